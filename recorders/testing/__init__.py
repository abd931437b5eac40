"""Media that shows its own clock: a kind of source, and the sample lecture."""

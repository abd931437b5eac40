"""Google Drive: a destination, and the calls that it and libraries there are made of."""

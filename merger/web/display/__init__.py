"""How pages display a record: its state in words, and its timeline as a picture. Pure."""

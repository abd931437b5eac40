"""The commands of `app.py`, a module for each family, with their arguments and tables."""

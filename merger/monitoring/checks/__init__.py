"""What `app.py check` looks at, a module for each family.

Touches the database, the disks and the programs it looks at. `doctor` has them in a table.
"""

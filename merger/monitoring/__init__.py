"""How the service is: what keeps it from running, its numbers, its signs of life.

Touches the database, the disks and the programs it looks at. Begin with `doctor`.
"""

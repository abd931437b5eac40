"""How the service is: what keeps it from running, what is damaged, its numbers, alarms.

Touches the database, the disks and the programs it looks at. Begin with `doctor`.
"""

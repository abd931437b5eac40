"""Files that survive: written aside, synced, renamed; the cache; room on the disk.

Touches file systems, and knows nothing of media. Begin with `files`.
"""

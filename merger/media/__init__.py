"""Media files as they are: every packet indexed, files placed on the clock, damage found.

Touches files, through PyAV. Begin with `library`.
"""

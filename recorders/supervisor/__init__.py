"""Which sources are to be recorded now, and watching that they are.

Starts a process for each (`processes`). Begin with `supervisor`.
"""

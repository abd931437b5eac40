"""One record, from claim to end, in a process of its own.

Touches everything below. Begin with `run`, and then `stages`, the table of what is done.
"""

"""One instant on two sides, by sound: how far the clock of one source is from that of another.

Begin with `measure`, which is pure and knows samples alone; `listening` decodes them, in a reader.
"""

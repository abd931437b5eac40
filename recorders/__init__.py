"""Where media comes from: one package or module for each kind of source.

Implements `merger.ports.recorder`. Begin with `base`, what all kinds share, and `registry`, which
kinds there are.
"""

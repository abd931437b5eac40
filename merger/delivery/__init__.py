"""Bringing results to where they go, once: look, act, write down.

Touches destinations through their port, and the ledger. Begin with `deliver`.
"""

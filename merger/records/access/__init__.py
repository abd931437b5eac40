"""Requests for what is another's, or past: who has to allow them, and what becomes of them.

Touches the database. Begin with `rules`, which decides; `store` keeps what waits for somebody.
"""

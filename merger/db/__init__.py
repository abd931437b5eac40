"""Connections and transactions, the schema, and two small stores beside the tables.

Touches the database. Begin with `engine`: `reading` and `writing` are the only ways to a session.
"""

"""Who may do what: users, keys, roles and scopes.

Touches the database. Begin with `permissions`.
"""

"""What is installed where: rooms, their sources, and what makes one right.

Touches the database. Begin with `spec`; `store` keeps rooms in the tables.
"""

"""HTTP: the API, the pages, signing in, and what an operator looks at.

Touches the database and the data folder. Begin with `app`, which puts it together.
"""

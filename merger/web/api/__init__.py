"""The API: resources, and the videos and pictures they link to.

Each module is one kind of resource. Begin with `records`.
"""

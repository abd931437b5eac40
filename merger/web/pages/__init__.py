"""The pages, rendered on the server, in the reader's language.

Each module is one page or a family of them. Begin with `base`, what all share.
"""

"""Drive, Calendar and Classroom behind one border (`http`), which translates their errors.

Knows the core's ports alone. Begin with `account`, who we are to Google.
"""

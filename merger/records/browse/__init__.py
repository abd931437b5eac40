"""What people look for among records: lists, their pictures, and the files of a record.

Touches the database. `views` says how a record looks; nothing here changes one.
"""

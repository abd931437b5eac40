"""A record's life in SQL: requested, queued, leased, ended; its versions, history and mails.

Touches the database. Begin with `queue`, where every change of `status` is; `requests` is what
people ask for, `views` what they are shown.
"""

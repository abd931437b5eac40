"""A record's life in SQL: requested, queued, leased, ended; its versions, history, mails and hooks.

Touches the database. Begin with `queue`, which says who works on which record, and `leases`, what
that worker may write; `requests` is what people do with records, `views` what they see of them.
"""

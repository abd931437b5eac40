"""Who else makes records: events of calendars, recordings that were discovered, and meetings.

Touches the database; calendars through their port. Begin with `calendar_sync`; for recordings that
nobody requested, with `discovered` and `placing`. `where` finds what is known of a lecture.
"""

"""Who else makes records: events of calendars, and recordings that were discovered.

Touches the database; calendars through their port. Begin with `calendar_sync`.
"""

"""Timetables from sheets and calendars: compared with the series that are known, and imported.

Touches the database. Begin with `importing`; `refreshing` reads those of the settings every hour.
"""

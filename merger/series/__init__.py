"""Lectures that repeat: series and timetables in SQL, their occurrences, and the records of these.

Touches the database. What a timetable says is read by `merger.timetable`, which is pure. Begin with
`unroll`, which keeps the occurrences of the coming weeks, and `occurrence_records`, which has each
of them recorded; `store` is what people do with series, `timetables` what sheets and calendars do.
"""

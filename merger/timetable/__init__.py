"""Lectures that repeat: the timetable as values, read from sheets and calendars. Pure.

Touches nothing outside: no file, no table, no clock. Begin with `recurrence`: when a series takes
place. `sheet` and `ics` read series from texts, `changes` compares them with those that are known,
and `matching` says which lecture a recording is of.
"""

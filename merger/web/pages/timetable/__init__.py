"""The pages of timetables: a week, a lecture, a series, days off, weekly requests, feeds.

Reads and changes what `merger.series` keeps. Begin with `week`.
"""

"""The core's side of live recording: what is to be recorded, and what becomes of it.

Touches the database and the data folder. Begin with `bookings`.
"""

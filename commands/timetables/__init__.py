"""Commands about timetables: importing them, the lectures ahead, days off, series."""

"""Google Classroom: which course a lecture is of, and its announcement."""

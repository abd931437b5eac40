"""Google Calendar: events read, watched, and given their videos."""

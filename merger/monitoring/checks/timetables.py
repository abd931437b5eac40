"""The timetables of the settings: whether they are read, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine

from merger.config import Settings
from merger.i18n import Message
from merger.monitoring.findings import Finding
from merger.series.timetables.source_state import findings_of_sources


def look_at_timetables(settings: Settings, engine: Engine) -> Iterator[Finding]:
    """Look at what is known of each; nothing is read."""
    for source, state, problem in findings_of_sources(engine, settings):
        if problem is not None:
            yield Finding(f"timetable {source}", "warning", problem)
        elif state.read_at is None:
            yield Finding("timetable", "ok", Message("timetable.import.not_yet", source=source))
        else:
            at = f"{state.read_at:%Y-%m-%d %H:%M} UTC"
            text = Message("timetable.import.is_read", source=source, at=at)
            yield Finding("timetable", "ok", text)

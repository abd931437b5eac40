"""Access: whether anybody is asked before somebody gets what is another's, or past."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine

from merger.config import Settings
from merger.i18n import Message
from merger.monitoring.findings import Finding, Level
from merger.records.access.mode import mode_of


def look_at_access(settings: Settings, engine: Engine) -> Iterator[Finding]:
    if mode_of(settings, engine) == "ask":
        yield Finding("access", "ok", Message("monitoring.access_asks"))
        return
    level: Level = "ok" if settings.access else "warning"  # somebody has chosen it
    yield Finding("access", level, Message("monitoring.access_open"))

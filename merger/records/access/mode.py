"""Whether requests for what is another's, or past, need leave: of a new installation, they do."""

from __future__ import annotations

from sqlalchemy import Engine

from merger.config import Settings
from merger.db.key_value import KeyValueStore
from merger.records.access.rules import Mode

_FACT = "access"


def mode_of(settings: Settings, engine: Engine) -> Mode:
    """Return what the operator has chosen, else what the database says; an upgraded one: open."""
    if settings.access:
        return settings.access
    return "ask" if KeyValueStore(engine).get(_FACT) == "ask" else "open"


def begin_with_asking(engine: Engine) -> None:
    """Have a new database say that requests need leave."""
    KeyValueStore(engine).get_or_set(_FACT, "ask")

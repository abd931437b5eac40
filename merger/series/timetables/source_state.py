"""How the timetables are that the settings name: when each was read, and what is wrong with it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from merger.config import Settings
from merger.db.engine import reading, writing
from merger.i18n import Message, from_json, to_json
from merger.series.timetables.importing import LONGEST_SOURCE
from models import Fact

EVERY = timedelta(hours=1)
URL_SOURCE = "url"
_LINK = re.compile(
    r"https://docs\.google\.com/spreadsheets/(?:u/[0-9]+/)?d/([A-Za-z0-9_-]+)(?:[/?#].*)?"
)
_INSTANTS = ("tried_at", "read_at", "failing_since")


@dataclass(frozen=True)
class SourceState:
    """How a timetable of the settings is.

    tried_at, read_at: the last time that it was read, and that this worked. failing_since, error:
    why it does not. etag: of what was taken completely. complaints: lines that were not understood.
    needs_confirmation: nothing was changed, because so much would end. others: the names of
    timetables that have some of its lectures as well.
    """

    tried_at: datetime | None = None
    read_at: datetime | None = None
    failing_since: datetime | None = None
    error: Message | None = None
    etag: str = ""
    complaints: int = 0
    needs_confirmation: bool = False
    others: str = ""


def configured_sources(settings: Settings) -> tuple[str, ...]:
    """Return the names of the timetables that the settings name."""
    sheet, url = settings.timetable_sheet, settings.timetable_url.reveal()
    return tuple(filter(None, (sheet and sheet_source(sheet), url and URL_SOURCE)))


def sheet_source(sheet: str) -> str:
    """Return the name of the timetable that a spreadsheet is."""
    name = f"sheet:{sheet_id(sheet)}"
    if len(name) <= LONGEST_SOURCE:
        return name
    return f"sheet:{hashlib.sha256(name.encode()).hexdigest()[:40]}"


def sheet_id(text: str) -> str:
    """Return the id of a spreadsheet, of itself or of its link."""
    link = _LINK.fullmatch(text.strip())
    return link[1] if link else text.strip()


def read_states(engine: Engine, sources: Collection[str]) -> dict[str, SourceState]:
    """Return how some timetables are, by their names."""
    with reading(engine) as session:
        return {source: _state(session.get(Fact, _fact(source))) for source in sources}


def findings_of_sources(
    engine: Engine, settings: Settings
) -> list[tuple[str, SourceState, Message | None]]:
    """Return the timetables of the settings, each with its state and what is wrong, if anything."""
    states = read_states(engine, configured_sources(settings))
    return [(source, state, _problem(state)) for source, state in states.items()]


def _problem(state: SourceState) -> Message | None:
    if state.error is not None and state.failing_since is not None:
        since = f"{state.failing_since:%Y-%m-%d %H:%M} UTC"
        return Message("timetable.import.failing", since=since, why=state.error)
    if state.needs_confirmation:
        return Message("timetable.import.unconfirmed")
    if state.complaints:
        return Message("timetable.import.some_lines", count=state.complaints)
    if state.others:
        return Message("timetable.import.beside", sources=state.others)
    return None


def is_state_due(state: SourceState, now: datetime) -> bool:
    return state.tried_at is None or not timedelta() <= now - state.tried_at < EVERY


def claim(session: Session, source: str, now: datetime) -> bool:
    """Claim a timetable that is due, unless another process has."""
    state = _state(session.get(Fact, _fact(source), with_for_update=True))
    if is_state_due(state, now):
        _write(session, source, replace(state, tried_at=now))
        return True
    return False


def note(engine: Engine, source: str, state: SourceState) -> None:
    writing(engine, lambda session: _write(session, source, state))


def note_failure(engine: Engine, source: str, why: Message, now: datetime) -> None:
    def fail(session: Session) -> None:
        state = _state(session.get(Fact, _fact(source), with_for_update=True))
        since = state.failing_since or now
        _write(session, source, replace(state, tried_at=now, failing_since=since, error=why))

    writing(engine, fail)


def _fact(source: str) -> str:
    return f"timetable:{source}"


def _state(fact: Fact | None) -> SourceState:
    if fact is None:
        return SourceState()
    stored = json.loads(fact.value)
    for name in _INSTANTS:
        stored[name] = datetime.fromisoformat(stored[name]) if stored[name] else None
    stored["error"] = from_json(stored["error"]) if stored["error"] else None
    return SourceState(**stored)


def _write(session: Session, source: str, state: SourceState) -> None:
    stored = asdict(replace(state, error=None))
    for name in _INSTANTS:
        stored[name] = stored[name].isoformat() if stored[name] else None
    stored["error"] = to_json(state.error) if state.error else None
    session.merge(Fact(name=_fact(source), value=json.dumps(stored)))

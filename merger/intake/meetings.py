"""Meetings while they go on: the events that are reported of them, and what follows from those.

Calls get lost, come twice, and in any order. So each event is kept as it came, and what holds now
is computed from all of them, in the order of their instants.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from merger.db.engine import reading, writing
from merger.ports.discovery import Discovery
from merger.ports.meetings import MeetingEvent
from merger.timeline.clock import LONGEST_RECORD
from models import MeetingEvent as EventRow
from models import Offer

KEPT = timedelta(days=120)

State = Literal["none", "recording", "paused", "processing"]
_STATE_AFTER: Mapping[str, State] = {
    "recording.started": "recording",
    "recording.resumed": "recording",
    "recording.paused": "paused",
    "recording.stopped": "none",
}


@dataclass(frozen=True)
class LiveState:
    """What is happening to the recording of a meeting. since: None where nothing is."""

    state: State = "none"
    since: datetime | None = None


def state_of(events: Iterable[MeetingEvent]) -> LiveState:
    """Return what follows from the events of one meeting. Pure.

    A meeting that has ended is being processed if any of it was recorded, whatever is reported
    after that.
    """
    now, has_recording = LiveState(), False
    for event in sorted(events, key=lambda event: event.order):
        if event.kind == "meeting.ended":
            return LiveState("processing", event.at) if has_recording else LiveState()
        state = _STATE_AFTER.get(event.kind, now.state)
        has_recording = has_recording or event.kind in _STATE_AFTER
        if state != now.state:
            now = LiveState(state, None if state == "none" else event.at)
    return now


def save_event(engine: Engine, event: MeetingEvent) -> None:
    """Keep an event, once; not the end of a meeting of which nothing else is known."""

    def save(session: Session) -> None:
        key = (event.uuid, event.number, event.kind, event.at)
        if event.kind == "meeting.ended" and not _is_known(session, event.uuid):
            return
        if session.get(EventRow, key) is None:
            session.add(
                EventRow(uuid=event.uuid, number=event.number, kind=event.kind, at=event.at)
            )

    writing(engine, save)


def _is_known(session: Session, uuid: str) -> bool:
    return session.scalar(select(EventRow.uuid).where(EventRow.uuid == uuid).limit(1)) is not None


def events_of(engine: Engine, uuid: str) -> list[MeetingEvent]:
    """Return what was reported of a meeting."""
    with reading(engine) as session:
        rows = session.scalars(select(EventRow).where(EventRow.uuid == uuid))
        return [_event_of(row) for row in rows]


def forget_events(engine: Engine, now: datetime) -> None:
    """Remove events that are too old for anybody to want their recording."""
    old = delete(EventRow).where(EventRow.at < now - KEPT)
    writing(engine, lambda session: session.execute(old))


def live_states(
    engine: Engine,
    offering: Mapping[str, Discovery],
    rooms: Sequence[Mapping[str, Any]],
    now: datetime,
) -> dict[int, LiveState]:
    """Return what is happening to the meetings of sources, by the ids of the sources.

    Args:
        offering: the kinds of sources that meetings may belong to.
        rooms: as `merger.rooms.store` describes them.
    """
    numbers = {
        source["id"]: offering[source["kind"]].place_of(source["address"])
        for room in rooms
        for source in room["sources"]
        if source["kind"] in offering
    }
    if not numbers:
        return {}
    with reading(engine) as session:
        states = states_of_numbers(session, {*numbers.values()}, now)
    return {source: states.get(number, LiveState()) for source, number in numbers.items()}


def states_of_numbers(
    session: Session, numbers: Collection[str], now: datetime
) -> dict[str, LiveState]:
    """Return the state of the latest meeting of each number that had one of late."""
    recent = select(EventRow).where(
        EventRow.number.in_(numbers), EventRow.at > now - LONGEST_RECORD
    )
    by_meeting: dict[tuple[str, str], list[MeetingEvent]] = defaultdict(list)
    for row in session.scalars(recent):
        by_meeting[row.number, row.uuid].append(_event_of(row))
    uuids = [uuid for _, uuid in by_meeting]
    finished = select(Offer.origin).where(Offer.origin.in_(uuids), Offer.state != "waiting")
    is_processed = {*session.scalars(finished)}
    states: dict[str, LiveState] = {}
    for (number, uuid), events in sorted(by_meeting.items(), key=lambda item: _begins(item[1])):
        state = state_of(events)
        is_over = state.state == "processing" and uuid in is_processed
        states[number] = LiveState() if is_over else state
    return states


def _begins(events: Sequence[MeetingEvent]) -> datetime:
    return min(event.at for event in events)


def _event_of(row: EventRow) -> MeetingEvent:
    return MeetingEvent(row.uuid, row.number, row.kind, row.at)

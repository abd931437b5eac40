"""Which record is that of an event of a calendar: whose video is attached to it, and announced.

An event has a record of its own, or shares one that is of its time already. There is one at a time:
when the event goes to another, the one before is no more of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from merger.i18n import Message
from merger.records.queue import add_history
from models import Event, Record


@dataclass(frozen=True)
class RoomEvent:
    """An event of a room's calendar. key: the idempotency key of a record of its own."""

    calendar: str
    event: str
    key: str
    name: str
    course_code: str | None


def link_event(session: Session, row: Record, event: RoomEvent, now: datetime) -> None:
    """Make a record that is there already, and of the event's time, the event's.

    Its name, its users and its key stay: it is not called off with the event. Where it is of
    another event, or was begun, its history says that nothing is attached.
    """
    if (row.calendar_id, row.event_id) != (event.calendar, event.event):
        is_free = row.calendar_id is None and row.event_id is None
        if is_free and row.status == "queued" and row.delivered_version is None:
            row.calendar_id, row.event_id = event.calendar, event.event
            row.course_code = row.course_code or event.course_code
            row.updated_at = now
            _note(session, row, Message("history.event_too", name=event.name), now)
        else:
            _note(session, row, Message("history.event_shares", name=event.name), now)
    unlink_event(session, event, row.id, now)


def unlink_event(session: Session, event: RoomEvent, but_for: int, now: datetime) -> None:
    """Take an event from other records than one: from what is not delivered yet.

    Its own record keeps what it has: it is off, or is the one.
    """
    wanted = (
        select(Record)
        .where(
            Record.calendar_id == event.calendar,
            Record.event_id == event.event,
            Record.id != but_for,
            Record.idempotency_key.is_(None) | (Record.idempotency_key != event.key),
            Record.delivered_version.is_(None),
        )
        .with_for_update()
    )
    for row in session.scalars(wanted):
        row.calendar_id = row.event_id = None
        if row.course_code == event.course_code:
            row.course_code = None
        row.updated_at = now
        _note(session, row, Message("history.event_elsewhere", name=event.name), now)


def _note(session: Session, row: Record, message: Message, now: datetime) -> None:
    """Add a line to the history of a record, unless it is there already."""
    known = select(Event.id).where(
        Event.record_id == row.id, Event.kind == "note", Event.message == message
    )
    if session.scalar(known.limit(1)) is None:
        add_history(session, row.id, row.attempt, now, "note", message)

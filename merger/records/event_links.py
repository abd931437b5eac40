"""Which record is that of an event in a calendar: whose video is attached to it, and announced.

An event has a record of its own, which follows it wherever it goes, or shares one that is of its
time already. There is one at a time: when the event goes to another, the one before is no more of
it. What is delivered stays what it was.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from merger.i18n import Message
from merger.ports.calendar import CalendarEvent
from merger.records.processing.queue import add_history
from merger.timeline.clock import Span
from models import Event, EventLink, Fact, Occurrence, Record, Room


def links_of(event: CalendarEvent) -> Select[EventLink]:
    """Select the links of an event."""
    return select(EventLink).where(
        EventLink.calendar_id == event.calendar, EventLink.event_id == event.event
    )


def own_record(session: Session, event: CalendarEvent, *, lock: bool = False) -> Record | None:
    """Return the record that follows an event."""
    link = session.scalars(links_of(event).where(EventLink.follows.is_(True))).one_or_none()
    return None if link is None else session.get(Record, link.record_id, with_for_update=lock)


def kept_record(session: Session, event: CalendarEvent) -> tuple[Record, Span] | None:
    """Return the record that was made for an event and kept for people, and when it was then."""
    wanted = links_of(event).where(EventLink.kept_start_at.is_not(None))
    link = session.scalars(wanted).first()
    if link is None or link.kept_start_at is None or link.kept_end_at is None:
        return None
    row = session.get_one(Record, link.record_id)
    return row, Span(link.kept_start_at, link.kept_end_at)


def link_own(row: Record, event: CalendarEvent) -> None:
    """Make a new record the one that follows an event."""
    row.event_link = EventLink(calendar_id=event.calendar, event_id=event.event, follows=True)


def link_event(session: Session, row: Record, event: CalendarEvent, now: datetime) -> None:
    """Make a record that is there already, and of the event's time, the event's.

    Its name and its users stay, and it is not called off with the event. Where it is of another
    event, or was begun, its history says that nothing is attached.
    """
    link = row.event_link
    if link is None and row.status == "queued" and row.delivered_version is None:
        row.event_link = EventLink(calendar_id=event.calendar, event_id=event.event)
        row.course_code = row.course_code or event.course_code
        row.updated_at = now
        _note(session, row, Message("history.event_too", name=event.name), now)
    elif link is None or (link.calendar_id, link.event_id) != (event.calendar, event.event):
        _note(session, row, Message("history.event_shares", name=event.name), now)
    unlink_event(session, event, row.id, now)


def unlink_event(session: Session, event: CalendarEvent, but_for: int, now: datetime) -> None:
    """Take an event from other records than one: from what is not delivered yet.

    Its own record stays its own: it is off, or is the one.
    """
    wanted = (
        select(Record)
        .join(EventLink)
        .where(
            EventLink.calendar_id == event.calendar,
            EventLink.event_id == event.event,
            EventLink.follows.is_(None),
            Record.id != but_for,
            Record.delivered_version.is_(None),
        )
        .with_for_update()
    )
    for row in session.scalars(wanted):
        row.event_link = None
        if row.course_code == event.course_code:
            row.course_code = None
        row.updated_at = now
        _note(session, row, Message("history.event_elsewhere", name=event.name), now)


def keep_for_people(session: Session, row: Record) -> None:
    """Have a record no longer follow its event or its series: people want it, whatever they do.

    As long as its span is still that of the event: before somebody changes it.
    """
    _update_occurrences(session, row, follows=False)
    link = row.event_link
    if link is not None and link.follows:
        link.follows = None
        link.kept_start_at, link.kept_end_at = row.start_at, row.end_at


def keep_texts(session: Session, row: Record) -> None:
    """Have a record keep its name and its course, whatever its event or its series is called."""
    _update_occurrences(session, row, keeps_texts=True)
    if row.event_link is not None:
        row.event_link.keeps_texts = True


def move_occurrences(session: Session, row: Record, room: Room, span: Span, now: datetime) -> None:
    """Have the lectures of a timetable take place where people have moved their record."""
    _update_occurrences(
        session, row, start_at=span.start, end_at=span.end, room_id=room.id, is_changed=True,
        updated_at=now,
    )  # fmt: skip


def forget_called_off(session: Session, row: Record) -> None:
    """Have a record that is about to be removed be made again, should its lecture take place."""
    _update_occurrences(session, row, requested_at=None)


def _update_occurrences(session: Session, row: Record, **values: Any) -> None:
    session.execute(update(Occurrence).where(Occurrence.record_id == row.id).values(**values))


def note_removed(session: Session, row: Record, now: datetime) -> None:
    """Remember of the event of a record that people removed it: it is not to be made again.

    An occurrence knows by itself: it has had a record.
    """
    if row.event_link is not None:
        name = _removal_fact(row.event_link.calendar_id, row.event_link.event_id)
        session.merge(Fact(name=name, value=now.isoformat()))


def was_removed(session: Session, event: CalendarEvent) -> bool:
    """Return whether people have removed the record of an event."""
    return session.get(Fact, _removal_fact(event.calendar, event.event)) is not None


def _removal_fact(calendar: str, event: str) -> str:
    digest = hashlib.sha256(f"{calendar}\0{event}".encode()).hexdigest()
    return f"removed {digest[:48]}"  # the name of a fact has room for 64 characters


def _note(session: Session, row: Record, message: Message, now: datetime) -> None:
    """Add a line to the history of a record, unless it is there already."""
    known = select(Event.id).where(
        Event.record_id == row.id, Event.kind == "note", Event.message == message
    )
    if session.scalar(known.limit(1)) is None:
        add_history(session, row.id, row.attempt, now, "note", message)

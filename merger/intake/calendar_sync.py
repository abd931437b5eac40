"""Events of rooms' calendars become records, and what becomes of them later.

A calendar is read in increments as long as its token is good, and as a whole once a day: the window
moves on, and an event that was deleted unheard is found missing. A record that somebody asked for
by hand is never touched; one that was begun is not called back.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from merger.db.engine import reading, writing
from merger.errors import MergerError, Refused
from merger.i18n import Message
from merger.mail_address import email_of
from merger.ports.calendar import CalendarEvent, CalendarReader, Changes, Channel
from merger.records import lookup, planned, requests
from merger.records.event_links import (
    kept_record,
    link_event,
    own_record,
    unlink_event,
    was_removed,
)
from merger.service import Service
from merger.timeline.clock import LONGEST_RECORD, Span
from merger.timeline.zones import zone_named
from models import Calendar, EventLink, Record, Room

log = logging.getLogger(__name__)

POLLED = timedelta(minutes=5)
CHECKED = timedelta(hours=1)  # with a channel, which may fail to tell
WHOLE = timedelta(days=1)
WINDOW = timedelta(days=1), timedelta(days=35)  # before and after now
_CHANNEL = timedelta(days=7)
_RENEWED = timedelta(days=1)  # before it ends
_MISTAKE = Message("error.program_mistake")
_AFTER_A_FAILURE = timedelta(minutes=10)


@dataclass(frozen=True)
class _State:
    """How far a calendar was read. held: until when it is this process's to read."""

    token: str | None
    synced_at: datetime | None
    channel: Channel | None
    held: datetime


def read_calendars(service: Service, now: datetime) -> None:
    """Read the calendars that are due. One that cannot be read does not stop the others."""
    reader = service.calendars
    if reader is None:
        return
    for room in _rooms(service.engine):
        state = writing(service.engine, partial(_claim_calendar, room=room, now=now))
        if state is None:
            continue
        try:
            _read(service.engine, reader, room, state, now)
        except MergerError as error:
            log.warning("the calendar of room %r cannot be read: %s", room.name, error.message)
            writing(service.engine, partial(_write_error, room=room, why=error.message))
        except Exception:  # the one place of the calendars: what others write is odd at times
            log.exception("the calendar of room %r: a bug in this program", room.name)
            writing(service.engine, partial(_write_error, room=room, why=_MISTAKE))


def mark_calendar_stale(engine: Engine, channel: str, token: str, now: datetime) -> bool:
    """Have a calendar read soon whose channel says that it changed; return whether it is ours.

    Anybody may call, so that nothing is written, and no lock taken, before the token is right.
    """

    def find(session: Session) -> Calendar | None:
        row = session.scalars(select(Calendar).where(Calendar.channel_id == channel)).one_or_none()
        if row is None or not hmac.compare_digest(
            (row.channel_token or "").encode(), token.encode("utf-8", "surrogateescape")
        ):
            return None
        return row

    def mark(session: Session) -> bool:
        row = find(session)
        if row is not None:
            row.due_at = min(row.due_at, now)
        return row is not None

    if not (channel and token):
        return False
    with reading(engine) as session:
        row = find(session)
        if row is None or row.due_at <= now:  # it is read soon anyway
            return row is not None
    return writing(engine, mark)


def is_any_due(engine: Engine, now: datetime) -> bool:
    """Return whether a calendar is to be read now."""
    with reading(engine) as session:
        wanted = (
            select(Room.id)
            .outerjoin(Calendar, Calendar.room_id == Room.id)
            .where(
                Room.calendar_id.is_not(None),
                Calendar.due_at.is_(None)
                | (Calendar.due_at <= now)
                | (Calendar.calendar_id != Room.calendar_id),
            )
        )
        return session.scalar(wanted.limit(1)) is not None


def _rooms(engine: Engine) -> list[Room]:
    with reading(engine) as session:
        wanted = select(Room).where(Room.calendar_id.is_not(None)).order_by(Room.id)
        rows = list(session.scalars(wanted))
        session.expunge_all()
        return rows


def _read(engine: Engine, reader: CalendarReader, room: Room, state: _State, now: datetime) -> None:
    calendar, zone = room.calendar_id or "", zone_named(room.zone)
    window = Span(now - WINDOW[0], now + WINDOW[1])
    is_old = state.synced_at is None or now - state.synced_at >= WHOLE
    changes = reader.changes(calendar, None if is_old else state.token, window, zone)
    # What is off comes first: an event that stands in for another at the same time, such as of a
    # series that was cut in two, must not join a record that is called off a moment later.
    if changes.whole:
        _cancel_missing(engine, room.id, calendar, window, changes, now)
    for event in sorted(changes.events, key=lambda event: not event.is_off):
        _apply_unless_refused(engine, room, event, now)
    channel = _channel(reader, calendar, state.channel, now)
    writing(engine, lambda session: _note(session, room, state, changes, channel, now))


def _apply_unless_refused(engine: Engine, room: Room, event: CalendarEvent, now: datetime) -> None:
    try:
        apply_changes(engine, room, event, now)
    except Refused as error:  # such as an event of two days
        log.info("event %r of room %r is no record: %s", event.name, room.name, error.message)


def apply_changes(engine: Engine, room: Room, event: CalendarEvent, now: datetime) -> None:
    """Make the record of an event of a room's calendar, or change it. Raises Refused."""
    if writing(engine, lambda session: _follow(session, room, event, now)):
        return
    if event.is_off or event.span is None or not _is_to_be_made(event.span, now):
        return
    if _is_settled(engine, event, event.span):
        return
    request = requests.Request(
        room.name, event.span.start, event.span.end, name=event.name, users=_owner(event),
        course_code=event.course_code, event=event,
    )  # fmt: skip
    record, is_new = requests.request_record(engine, request, now)
    if is_new:
        log.info("record %s: for the event %r of room %r", record, event.name, room.name)


def _is_to_be_made(span: Span, now: datetime) -> bool:
    return span.end > now - WINDOW[0] and span.length <= LONGEST_RECORD


def _owner(event: CalendarEvent) -> tuple[str, ...]:
    try:
        return (email_of(event.owner, "owner"),) if event.owner else ()
    except Refused:
        return ()


def _is_settled(engine: Engine, event: CalendarEvent, span: Span) -> bool:
    """Return whether an event has no record of its own to be made.

    People removed it, or asked for it by hand as well: then it is theirs, until the event moves
    away from it.
    """
    with reading(engine) as session:
        if was_removed(session, event):
            return True
        kept = kept_record(session, event)
        return kept is not None and (not lookup.is_untouched(kept[0]) or kept[1] == span)


def _follow(session: Session, room: Room, event: CalendarEvent, now: datetime) -> bool:
    """Have an event's own record follow it; return whether there is one."""
    row = own_record(session, event, lock=True)
    if row is not None:
        _change(session, row, room, event, now)
    return row is not None


def _change(session: Session, row: Record, room: Room, event: CalendarEvent, now: datetime) -> None:
    is_elsewhere = row.room_id is not None and row.room_id != room.id
    if is_elsewhere and _has_calendar(session, row.room_id or 0, event.calendar):
        return  # two rooms share a calendar: it is the first one's
    plan = planned.Plan(
        "event", room, event.span, event.name, event.course_code, _owner(event), _why_off(event)
    )
    other = planned.follow(
        session, row, plan, now,
        keeps_texts=bool(row.event_link and row.event_link.keeps_texts),
        is_worth_it=event.span is not None and _is_to_be_made(event.span, now),
        on_move=lambda: unlink_event(session, event, row.id, now),
    )  # fmt: skip
    if other is not None:
        planned.add_people(session, other, _owner(event), now)
        link_event(session, other, event, now)


def _why_off(event: CalendarEvent) -> Message | None:
    """Return why an event is no lecture any more, or None. Pure."""
    return Message("calendar.cancelled") if event.is_off else planned.why_too_long(event.span)


def _has_calendar(session: Session, room: int, calendar: str) -> bool:
    row = session.get(Room, room)
    return row is not None and row.calendar_id == calendar


def _cancel_missing(
    engine: Engine, room: int, calendar: str, window: Span, changes: Changes, now: datetime
) -> None:
    """Cancel records of events that are no longer there, though all that is there was listed."""
    there = {event.event for event in changes.events if event.calendar == calendar}

    def cancel(session: Session) -> None:
        wanted = (
            select(Record)
            .join(EventLink)
            .where(
                Record.room_id == room,
                EventLink.calendar_id == calendar,
                EventLink.event_id.not_in(there),
                EventLink.follows.is_(True),
                Record.status == "queued",
                Record.start_at >= window.start,
                Record.end_at <= window.end,
            )
            .with_for_update()
        )
        for row in session.scalars(wanted):
            if lookup.is_untouched(row):
                planned.call_off(session, row, Message("calendar.gone"), now)

    writing(engine, cancel)


# --- what is known of a calendar ------------------------------------------------------------------


def _claim_calendar(session: Session, room: Room, now: datetime) -> _State | None:
    """Claim a calendar that is due, unless another daemon has; return how far it was read.

    Where its reader dies, it is due again after some minutes.
    """
    row = session.get(Calendar, room.id, with_for_update=True)
    if row is None or row.calendar_id != room.calendar_id:
        if row is None:
            row = Calendar(room_id=room.id)
            session.add(row)
        row.calendar_id, row.sync_token, row.synced_at = room.calendar_id or "", None, None
        row.channel_id = row.channel_token = row.channel_resource = row.channel_until = None
    elif row.due_at > now:
        return None
    row.due_at = now + _AFTER_A_FAILURE
    return _State(row.sync_token, row.synced_at, _channel_of(row), row.due_at)


def _channel(
    reader: CalendarReader, calendar: str, old: Channel | None, now: datetime
) -> Channel | None:
    """Return the channel by which a calendar tells; another one before the old one ends."""
    if old is not None and old.until - now > _RENEWED:
        return old
    try:
        new = reader.watch(calendar, secrets.token_hex(16), secrets.token_hex(16), now + _CHANNEL)
    except MergerError as error:  # it is read every few minutes, then
        log.info("calendar %s does not tell of changes: %s", calendar, error.message)
        return old if old is not None and old.until > now else None
    if new is not None and old is not None:
        try:
            reader.unwatch(old)
        except MergerError as error:  # it ends by itself, and until then tells as well
            log.info("calendar %s: an old channel goes on: %s", calendar, error.message)
    return new


def _channel_of(row: Calendar) -> Channel | None:
    if not (row.channel_id and row.channel_token and row.channel_until):
        return None
    return Channel(row.channel_id, row.channel_token, row.channel_resource or "", row.channel_until)


def _note(
    session: Session,
    room: Room,
    state: _State,
    changes: Changes,
    channel: Channel | None,
    now: datetime,
) -> None:
    row = session.get(Calendar, room.id, with_for_update=True)
    if row is None or row.calendar_id != room.calendar_id:
        return  # the room is gone, or has another one meanwhile
    row.sync_token, row.error_message = changes.token, None
    if changes.whole:
        row.synced_at = now
    if row.due_at == state.held:  # else it has told of another change while it was read
        row.due_at = now + (CHECKED if channel else POLLED)
    if not changes.whole and any(event.is_off for event in changes.events):
        # An earlier event at that time may have had no record of its own, and is not told again.
        row.synced_at, row.due_at = None, now
    row.channel_id = channel.id if channel else None
    row.channel_token = channel.token if channel else None
    row.channel_resource = channel.resource if channel else None
    row.channel_until = channel.until if channel else None


def _write_error(session: Session, room: Room, why: Message) -> None:
    row = session.get(Calendar, room.id, with_for_update=True)
    if row is not None:
        row.error_message = why


def calendar_errors(engine: Engine) -> dict[int, Message]:
    """Return why the calendars of rooms cannot be read, by room: of those that cannot."""
    with reading(engine) as session:
        rows: Iterable[Calendar] = session.scalars(
            select(Calendar).where(Calendar.error_message.is_not(None))
        )
        return {row.room_id: row.error_message for row in rows if row.error_message}

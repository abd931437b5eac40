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

from merger.accounts.users import email_of, user_row
from merger.db.engine import reading, writing
from merger.errors import MergerError, Refused
from merger.i18n import Message, sentences
from merger.ports.calendar import CalendarEvent, CalendarReader, Changes, Channel
from merger.records import requests
from merger.records.event_links import RoomEvent, link_event, unlink_event
from merger.records.queue import add_history, release
from merger.service import Service
from merger.timeline.clock import LONGEST_RECORD, Span
from merger.timeline.zones import zone_named
from models import Calendar, Fact, Record, RecordUser, Room

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
        state = writing(service.engine, partial(_taken, room=room, now=now))
        if state is None:
            continue
        try:
            _read(service.engine, reader, room, state, now)
        except MergerError as error:
            log.warning("the calendar of room %r cannot be read: %s", room.name, error.message)
            writing(service.engine, partial(_failed, room=room, why=error.message))
        except Exception:  # the one place of the calendars: what others write is odd at times
            log.exception("the calendar of room %r: a mistake in this program", room.name)
            writing(service.engine, partial(_failed, room=room, why=_MISTAKE))


def mark_calendar_stale(engine: Engine, channel: str, token: str, now: datetime) -> bool:
    """Have a calendar read soon whose channel says that it changed; return whether it is ours."""

    def mark(session: Session) -> bool:
        row = session.scalars(select(Calendar).where(Calendar.channel_id == channel)).one_or_none()
        if row is None or not hmac.compare_digest(
            (row.channel_token or "").encode(), token.encode("utf-8", "surrogateescape")
        ):
            return False
        row.due_at = min(row.due_at, now)
        return True

    return bool(channel and token) and writing(engine, mark)


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
    for one in sorted(changes.happenings, key=lambda one: not one.is_off):
        _guarded(engine, room, one, now)
    channel = _channel(reader, calendar, state.channel, now)
    writing(engine, lambda session: _note(session, room, state, changes, channel, now))


def _guarded(engine: Engine, room: Room, one: CalendarEvent, now: datetime) -> None:
    try:
        apply_changes(engine, room, one, now)
    except Refused as error:  # such as an event of two days
        log.info("event %r of room %r is no record: %s", one.name, room.name, error.message)


def apply_changes(engine: Engine, room: Room, one: CalendarEvent, now: datetime) -> None:
    """Make the record of an event of a room's calendar, or change it. Raises Refused."""
    key = requests.event_key(one.calendar, one.event)
    row = _record_of(engine, key)
    if row is not None:
        writing(engine, lambda session: _changed(session, row, room, one, now))
        return
    if one.is_off or one.span is None or not _is_to_be_made(one.span, now):
        return
    if _is_settled(engine, key, one.span):
        return
    owner = _owner(one)
    request = requests.Request(
        room.name, one.span.start, one.span.end, name=one.name, users=owner,
        course_code=one.course_code, event_id=one.event, calendar_id=one.calendar,
        idempotency_key=key,
    )  # fmt: skip
    record, is_new = requests.request_record(engine, request, now)
    if is_new:
        log.info("record %s: for the event %r of room %r", record, one.name, room.name)


def _event(one: CalendarEvent) -> RoomEvent:
    key = requests.event_key(one.calendar, one.event)
    return RoomEvent(one.calendar, one.event, key, one.name, one.course_code)


def _is_to_be_made(span: Span, now: datetime) -> bool:
    return span.end > now - WINDOW[0] and span.length <= LONGEST_RECORD


def _owner(one: CalendarEvent) -> tuple[str, ...]:
    try:
        return (email_of(one.owner, "owner"),) if one.owner else ()
    except Refused:
        return ()


def _record_of(engine: Engine, key: str) -> int | None:
    with reading(engine) as session:
        return session.scalar(select(Record.id).where(Record.idempotency_key == key))


def _is_settled(engine: Engine, key: str, span: Span) -> bool:
    """Return whether an event has no record of its own to be made.

    People removed it, or asked for it by hand as well: then it is theirs, until the event moves
    away from it.
    """
    with reading(engine) as session:
        if session.get(Fact, requests.removed_name(key)) is not None:
            return True
        wanted = select(Record).where(Record.idempotency_key.startswith(requests.kept_key(key)))
        row = session.scalars(wanted).one_or_none()
        return row is not None and (
            not _is_not_begun(row) or row.idempotency_key == requests.kept_key(key, span)
        )


def _changed(session: Session, record: int, room: Room, one: CalendarEvent, now: datetime) -> None:
    row = session.get(Record, record, with_for_update=True)
    if row is None:
        return
    # By an event, and not by a person.
    was_cancelled = row.status == "cancelled" and row.error_code == requests.EVENT_OFF
    if not (_is_not_begun(row) or was_cancelled):
        return
    why = _why_off(one)
    if why is not None or one.span is None:
        if why is not None and not was_cancelled:
            _call_off(session, row, why, now)
        return
    changes: list[Message] = []
    if row.room_id != room.id:
        if row.room_id is not None and _has_calendar(session, row.room_id, one.calendar):
            return  # two rooms share a calendar: it is the first one's
        row.room_id, row.zone = room.id, room.zone
        changes.append(Message("history.event_of_room"))
    if was_cancelled or (row.start_at, row.end_at) != (one.span.start, one.span.end):
        other = requests.find_equal(session, row, room.id, one.span)
        if other is not None:  # one video is enough
            requests.add_users(session, other, _owner(one))
            link_event(session, other, _event(one), now)
            if not was_cancelled:
                _call_off(session, row, Message("calendar.same_time", record=other.id), now)
            return
    if (row.start_at, row.end_at) != (one.span.start, one.span.end):
        row.start_at, row.end_at = one.span.start, one.span.end
        row.run_after = max(one.span.end, now)
        unlink_event(session, _event(one), row.id, now)
        changes.append(Message("history.event_moved"))
    if row.event_name != one.name:
        row.event_name = one.name
        changes.append(Message("history.event_renamed"))
    if row.course_code != one.course_code:
        row.course_code = one.course_code
        changes.append(Message("history.event_of_course"))
    if _add_owner(session, row, one):
        changes.append(Message("history.event_of_owner"))
    if was_cancelled and _is_to_be_made(one.span, now):
        row.error_code = row.error_message = None
        release(row, "queued", now)
        changes.append(Message("history.event_on_again"))
    if changes:
        row.updated_at = now
        add_history(session, row.id, row.attempt, now, "event", sentences(changes))


def _why_off(one: CalendarEvent) -> Message | None:
    """Return why an event is no lecture any more, or None. Pure."""
    if one.is_off:
        return Message("calendar.cancelled")
    if one.span is None:
        return Message("calendar.whole_days")
    if one.span.length > LONGEST_RECORD:
        return Message("calendar.too_long")
    return None


def _has_calendar(session: Session, room: int, calendar: str) -> bool:
    row = session.get(Room, room)
    return row is not None and row.calendar_id == calendar


def _call_off(session: Session, row: Record, why: Message, now: datetime) -> None:
    row.error_code, row.error_message = requests.EVENT_OFF, why
    release(row, "cancelled", now)
    add_history(session, row.id, row.attempt, now, "cancelled", why)


def _add_owner(session: Session, row: Record, one: CalendarEvent) -> bool:
    """Make the organiser the owner; who else wants the record stays."""
    owner = _owner(one)
    if not owner or (row.users and row.users[0].user.email == owner[0]):
        return False
    others = [entry for entry in row.users if entry.user.email != owner[0]]
    for position, entry in enumerate(others, 1):
        entry.position = position
    mine = [entry for entry in row.users if entry.user.email == owner[0]]
    if mine:
        mine[0].position = 0
    else:
        row.users.append(RecordUser(user=user_row(session, owner[0]), position=0))
    return True


def _is_not_begun(row: Record) -> bool:
    return row.status == "queued" and row.stage == "collect" and row.delivered_version is None


def _cancel_missing(
    engine: Engine, room: int, calendar: str, window: Span, changes: Changes, now: datetime
) -> None:
    """Cancel records of events that are no longer there, though all that is there was listed."""
    there = {requests.event_key(one.calendar, one.event) for one in changes.happenings}

    def cancel(session: Session) -> None:
        wanted = (
            select(Record)
            .where(
                Record.room_id == room,
                Record.calendar_id == calendar,
                Record.idempotency_key.like("event %"),
                Record.status == "queued",
                Record.start_at >= window.start,
                Record.end_at <= window.end,
            )
            .with_for_update()
        )
        for row in session.scalars(wanted):
            if row.idempotency_key not in there and _is_not_begun(row):
                _call_off(session, row, Message("calendar.gone"), now)

    writing(engine, cancel)


# --- what is known of a calendar ------------------------------------------------------------------


def _taken(session: Session, room: Room, now: datetime) -> _State | None:
    """Take a calendar that is due, unless another daemon has; return how far it was read.

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
    if not changes.whole and any(one.is_off for one in changes.happenings):
        # An earlier event at that time may have had no record of its own, and is not told again.
        row.synced_at, row.due_at = None, now
    row.channel_id = channel.id if channel else None
    row.channel_token = channel.token if channel else None
    row.channel_resource = channel.resource if channel else None
    row.channel_until = channel.until if channel else None


def _failed(session: Session, room: Room, why: Message) -> None:
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

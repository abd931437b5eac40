"""Recordings get another time or room, as long as work on them has not begun."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from merger.accounts.external import requester_of
from merger.accounts.permissions import Principal
from merger.db.engine import reading, writing
from merger.errors import Conflict, Forbidden, Invalid
from merger.i18n import Message
from merger.intake.asking import check_meetings
from merger.records import leave, lookup
from merger.records.access import store as access
from merger.records.access.mode import mode_of
from merger.records.access.rules import Mode
from merger.records.edit import Edit, apply_edit, check_edit
from merger.records.event_links import keep_for_people, move_occurrences
from merger.records.processing.queue import add_history
from merger.service import Service
from merger.timeline.clock import Span, record_span
from merger.timeline.zones import zone_named
from models import Record, Room


@dataclass(frozen=True)
class Move:
    """Where a recording goes; None leaves it. start, end: aware."""

    start: datetime | None = None
    end: datetime | None = None
    room: str | None = None

    def __bool__(self) -> bool:
        return any(value is not None for value in (self.start, self.end, self.room))


def change_record(
    service: Service, record: int, edit: Edit, move: Move, now: datetime, by: Principal
) -> bool:
    """Change a record, all of it or nothing; return whether anything is different.

    What a record that moves was made for, an event or a lecture of a series, does not move it any
    more; the lecture moves with it. Of several users, the owner alone may, and editors.

    Raises:
        Conflict: work on it has begun, or another record is of that room and time.
        Forbidden: they could not request that either.
        InvalidFields, Invalid, NotFound
    """
    edit, naming = check_edit(edit), requester_of(by, service.settings)
    mode: Mode = "open" if by.sees_all else mode_of(service.settings, service.engine)
    if move and not by.sees_all:
        with reading(service.engine) as session:
            row = lookup.record_row(session, record, by.only_of)
            room, span = _target(session, row, move, now)
            check_meetings(session, service, Room.id == room.id, [span], by)

    def act(session: Session) -> bool:
        is_moved = bool(move) and _move_record(session, record, move, now, by, mode)
        return apply_edit(session, record, edit, now, by, naming) or is_moved

    return writing(service.engine, act)


def _move_record(
    session: Session, record: int, move: Move, now: datetime, by: Principal, mode: Mode
) -> bool:
    row = lookup.lock_record(session, record, by.only_of)
    lookup.check_owner(row, by.only_of)
    if not lookup.is_untouched(row):
        raise Conflict("status", "records.has_begun")
    room, span = _target(session, row, move, now)
    if (row.room_id, row.start_at, row.end_at) == (room.id, span.start, span.end):
        return False
    decision = access.decision_on(session, room, by, span, now, mode, without=record)
    if decision.outcome == "forbidden":
        raise Forbidden(access.CODE, "access.room_closed", room=room.name)
    if decision.outcome == "needs_leave":
        raise Forbidden(access.CODE, "access.move_needs_leave")
    other = lookup.find_equal(session, row, room.id, span)
    if other is not None:
        raise Conflict("conflict", "records.same_exists", record=other.id)
    _move(session, row, room, span, now, by)
    return True


def _target(session: Session, row: Record, move: Move, now: datetime) -> tuple[Room, Span]:
    """Return the room and the span that a record is to have. Raises Invalid."""
    room = row.room
    if move.room is not None:
        room = lookup.room_row(session, move.room, lock=True)
    if room is None:
        raise Invalid("room", "error.missing")
    return room, record_span(move.start or row.start_at, move.end or row.end_at, now)


def _move(
    session: Session, row: Record, room: Room, span: Span, now: datetime, by: Principal
) -> None:
    keep_for_people(session, row)
    move_occurrences(session, row, room, span, now)
    row.room, row.zone = room, room.zone
    row.start_at, row.end_at, row.updated_at = span.start, span.end, now
    row.run_after = max(span.end, now)
    if not by.sees_all:  # an event of an editor's may show more than its owner may elsewhere
        row.media = leave.new_leave(by)
    zone = zone_named(room.zone)
    begins, ends = (at.astimezone(zone) for at in (span.start, span.end))
    when = f"{begins:%Y-%m-%d %H:%M:%S}-{ends:%H:%M:%S}"
    message = Message("history.moved_by", email=by.email, room=room.name, span=when)
    add_history(session, row.id, row.attempt, now, "edited", message)

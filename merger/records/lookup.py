"""Rows of records and rooms, found and locked for whoever may have them."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.interfaces import ORMOption

from merger.accounts.room_policy import may_watch, policy_of_json
from merger.db.engine import reading
from merger.errors import Forbidden, Invalid, NotFound, did_you_mean
from merger.names import LONGEST_NAME
from merger.records import leave
from merger.timeline.clock import Span
from merger.timeline.zones import zone_named
from models import Record, RecordKey, Room, User


def room_row(session: Session, name: str, *, lock: bool = False) -> Room:
    """Return the row of a room. Raises Invalid with the name that was meant."""
    if len(name) > LONGEST_NAME:
        raise Invalid("room", "records.room_name_too_long", longest=LONGEST_NAME)
    wanted = select(Room).where(Room.name == name)
    # Whoever requests the same record at the same time waits here, and then finds it.
    room = session.scalars(wanted.with_for_update() if lock else wanted).one_or_none()
    if room is None:
        names = list(session.scalars(select(Room.name).order_by(Room.name)))
        raise Invalid("room", "records.no_room", room=name, hint=did_you_mean(name, names))
    return room


def room_zone(engine: Engine, room: str) -> ZoneInfo:
    """Return the zone of a room. Raises Invalid for an unknown room."""
    with reading(engine) as session:
        return zone_named(room_row(session, room).zone)


def record_row(
    session: Session, record: int, only_of: int | None = None, *, lock: bool = False
) -> Record:
    """Return the row of a record. Raises NotFound where it is not there, or not for this user."""
    row = session.get(Record, record, with_for_update=True if lock else None)
    if row is None or (only_of is not None and only_of not in [e.user_id for e in row.users]):
        raise NotFound("record", "records.not_found", record=record)
    return row


def watched_row(
    session: Session,
    record: int,
    only_of: int | None = None,
    options: Sequence[ORMOption] = (),
) -> Record:
    """Return the row of a record for somebody who looks at it, and changes nothing.

    Args:
        options: of what belongs to it, which is loaded with it.

    Raises:
        NotFound: it is not there, or they are not among its people and may not watch it either.
    """
    row = session.get(Record, record, options=options)
    if row is None or not (is_among(row, only_of) or _may_watch(session, row, only_of)):
        raise NotFound("record", "records.not_found", record=record)
    return row


def is_among(row: Record, user: int | None) -> bool:
    """Return whether a user is among the people of a record. None: an editor, who always is."""
    return user is None or user in [entry.user_id for entry in row.users]


def _may_watch(session: Session, row: Record, user: int | None) -> bool:
    watcher = session.get(User, user) if user is not None else None
    policy = policy_of_json(row.room.watchers) if row.room is not None else None
    return watcher is not None and may_watch(policy, watcher.email)


def lock_record(session: Session, record: int, only_of: int | None) -> Record:
    """Return the row of a record, locked after its room, as whoever requests the same does."""
    room = session.scalar(select(Record.room_id).where(Record.id == record))
    if room is not None:
        session.get(Room, room, with_for_update=True)
    return record_row(session, record, only_of, lock=True)


def check_owner(row: Record, only_of: int | None) -> None:
    """Raise Forbidden for a user who may have joined a record only to spoil it for the others."""
    if only_of is not None and row.users[0].user_id != only_of:
        raise Forbidden(
            "not_owner", "records.not_owner", record=row.id, owner=row.users[0].user.email
        )


def find_equal(session: Session, row: Record, room: int, span: Span) -> Record | None:
    """Return another record that is, or will be, of the same room, span, layout and profile.

    That is as good: it may show the same.
    """
    for other in live_records(session, room, span, row.layout, row.profile):
        if other.id != row.id and leave.shows_the_same(session, row, other):
            return other
    return None


def find_live(session: Session, room: int, span: Span, layout: str, profile: str) -> Record | None:
    """Return the record of a room, span, layout and profile that is, or will be."""
    rows = live_records(session, room, span, layout, profile)
    return rows[0] if rows else None


def live_records(
    session: Session, room: int, span: Span, layout: str, profile: str
) -> Sequence[Record]:
    wanted = select(Record).where(
        Record.room_id == room,
        Record.start_at == span.start,
        Record.end_at == span.end,
        Record.layout == layout,
        Record.profile == profile,
        Record.status.not_in(("failed", "cancelled")),
    )
    return session.scalars(wanted.order_by(Record.id)).all()


def status_of(engine: Engine, record: int) -> str:
    """Return the status of a record. Raises NotFound where it is not there."""
    with reading(engine) as session:
        return record_row(session, record).status


def is_made_with(engine: Engine, record: int, key: int | None) -> bool:
    """Return whether it was this API key with which a record was requested first."""
    with reading(engine) as session:
        row = session.get(RecordKey, record)
        return row is not None and row.key_id == key


def is_untouched(row: Record) -> bool:
    """Return whether work on a record has not begun, so that its room and span may still change."""
    return row.status == "queued" and row.stage == "collect" and row.delivered_version is None

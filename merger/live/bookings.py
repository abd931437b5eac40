"""What is to be recorded live, as the tables have it; lines for the histories of recordings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, selectinload

from merger.db.engine import reading, writing
from merger.errors import Refused
from merger.i18n import Message
from merger.ports.recorder import SourceOfRoom
from merger.records import outbox
from merger.records.processing.queue import add_history
from merger.timeline.clock import Span
from merger.timeline.zones import zone_named
from models import AccessRequest, Record, Room, Source

NO_RECORD = 0  # no record has this id
SILENT = "silent"  # of which editors are notified, too


@dataclass(frozen=True)
class Camera:
    """A source that is recorded here, with its number in the tables.

    early, late: so long before and after a booking it is recorded.
    """

    id: int
    source: SourceOfRoom
    early: timedelta
    late: timedelta


@dataclass(frozen=True)
class Booking:
    """A record that needs media of a room; NO_RECORD for a request that waits for leave."""

    record: int
    room: str
    span: Span


def cameras(engine: Engine, kind: str) -> list[Camera]:
    """Return all sources of a kind, with their credentials; rooms without a zone are left out."""
    found = []
    with reading(engine) as session:
        with_secrets = selectinload(Room.sources).undefer(Source.credentials)
        for room in session.scalars(select(Room).options(with_secrets).order_by(Room.id)):
            try:
                zone = zone_named(room.zone)
            except Refused:
                continue  # `app.py check` says so
            found += [
                Camera(
                    s.id,
                    SourceOfRoom(
                        room.name, s.name, s.role, s.kind, s.address, zone, s.credentials, s.id
                    ),
                    timedelta(seconds=room.early_s),
                    timedelta(seconds=room.late_s),
                )
                for s in room.sources
                if s.kind == kind
            ]
    return found


def bookings(engine: Engine, span: Span) -> list[Booking]:
    """Return the records that take place within a span, except those that were cancelled.

    One that failed meanwhile may be queued again by hand: what it needs is recorded all the same.
    So is what waits for somebody's leave, which may come after the lecture.
    """
    with reading(engine) as session:
        rows = session.execute(
            select(Record.id, Room.name, Record.start_at, Record.end_at)
            .join(Room)
            .where(
                Record.status != "cancelled",
                Record.start_at < span.end,
                Record.end_at > span.start,
            )
            .order_by(Record.id)
        ).all()
        waiting = session.execute(
            select(Room.name, AccessRequest.start_at, AccessRequest.end_at)
            .join(AccessRequest.room)
            .where(
                AccessRequest.state == "pending",
                AccessRequest.start_at < span.end,
                AccessRequest.end_at > span.start,
            )
            .order_by(AccessRequest.id)
        ).all()
    return [
        *(Booking(record, room, Span(start, end)) for record, room, start, end in rows),
        *(Booking(NO_RECORD, room, Span(start, end)) for room, start, end in waiting),
    ]


def add_to_histories(
    engine: Engine, records: Iterable[int], now: datetime, kind: str, message: Message
) -> None:
    """Add a line to the history of some records, any of which may be gone by now."""
    numbers = tuple(records)

    def write(session: Session) -> None:
        for row in session.scalars(select(Record).where(Record.id.in_(numbers))):
            add_history(session, row.id, row.attempt, now, kind, message)
            if kind == SILENT:
                outbox.add_silent(session, row, message, now)

    if numbers:
        writing(engine, write)

"""Records in a queue, without media: for tests of who may work on what; and the fixtures with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Engine, func, insert, select, update
from sqlalchemy.orm import Session

from merger.db.engine import reading, writing
from merger.records import requests, views
from merger.records.processing import queue
from merger.records.processing.leases import Lease
from merger.records.processing.queue import Claim
from models import Base, Event, Record, RecordUser, Room, User

NOON = datetime(2026, 11, 20, 9, tzinfo=UTC)  # in Moscow
LEASE = timedelta(seconds=60)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@dataclass
class Line:
    """A queue and what time it is."""

    engine: Engine
    clock: datetime = NOON

    def __post_init__(self) -> None:
        self._seconds = count(1)  # records of the same room and span would be the same

    def room(self, name: str, **values: Any) -> None:
        self.write(lambda session: session.add(Room(name=name, zone="Europe/Moscow", **values)))

    def ask(self, due: timedelta = timedelta(), room: str = "504", *users: str) -> int:
        """Ask for a record that is due some time after noon; return its id."""
        end = NOON + due
        start = end - HOUR - timedelta(seconds=next(self._seconds))
        request = requests.Request(room, start, end, users=users)
        return requests.request_record(self.engine, request, end - timedelta(days=1))[0]

    def lease(self, claim: Claim) -> Lease:
        """Return what the holder of a claim may do."""
        return Lease(self.engine, claim, lambda: self.clock)

    def claim(self, worker: str = "one") -> Claim | None:
        return queue.claim_next(self.engine, worker, self.clock, LEASE)

    def claimed(self, worker: str = "one") -> Claim:
        """Claim a record that must be there."""
        held = self.claim(worker)
        assert held is not None
        return held

    def row(self, record: int = 1) -> Record:
        """Return the row of a record, for reading."""
        with reading(self.engine) as session:
            row = session.get_one(Record, record)
            session.expunge(row)
            return row

    def set(self, record: int = 1, **values: Any) -> None:
        """Change a row behind everybody's back."""
        self.write(
            lambda session: session.execute(
                update(Record).where(Record.id == record).values(**values)
            )
        )

    def write(self, act: Any) -> None:
        writing(self.engine, act)

    def told(self, record: int = 1) -> list[tuple[str, str]]:
        """Return the history of a record: kinds and texts."""
        return [(e["kind"], e["text"]) for e in views.record_details(self.engine, record)["events"]]

    def events(self, record: int = 1) -> list[str]:
        return [kind for kind, _ in self.told(record)]

    def dump(self) -> dict[str, list[Any]]:
        """Return all that the database holds."""
        with self.engine.connect() as connection:
            return {
                table.name: sorted(map(repr, connection.execute(select(table))))
                for table in Base.metadata.sorted_tables
            }


def reason(row: Record) -> str:
    """Return why a record failed, in words."""
    return str(row.error_message or "")


def fill(engine: Engine, records: int, rooms: int = 10, owners: int = 20) -> None:
    """Queue many records at once: an hour apart in each room, all of them due at noon."""
    first = NOON - timedelta(days=365)

    def write(session: Session) -> None:
        session.execute(
            insert(Room),
            [{"id": 100 + n, "name": f"room {n}", "zone": "UTC"} for n in range(rooms)],
        )
        session.execute(
            insert(User), [{"id": n, "email": f"{n}@example.org"} for n in range(1, owners + 1)]
        )
        session.execute(
            insert(Record),
            [
                {
                    "id": n, "room_id": 100 + n % rooms, "zone": "UTC", "event_name": "lecture",
                    "start_at": first + n // rooms * HOUR, "end_at": first + (1 + n // rooms) * HOUR,
                    "layout": "side_by_side", "profile": "720p", "created_at": first,
                    "updated_at": first, "run_after": NOON - n * timedelta(milliseconds=1),
                }
                for n in range(1, records + 1)
            ],
        )  # fmt: skip
        session.execute(
            insert(RecordUser),
            [
                {"record_id": n, "user_id": 1 + n % owners, "position": 0}
                for n in range(1, records + 1)
            ],
        )

    writing(engine, write)


def claims(engine: Engine) -> Sequence[tuple[int, int]]:
    """Return how often each record was claimed, by what the history says."""
    with reading(engine) as session:
        rows = session.execute(
            select(Event.record_id, func.count())
            .where(Event.kind == "claimed")
            .group_by(Event.record_id)
        )
        return [(record, times) for record, times in rows]


@pytest.fixture
def line(engine: Engine) -> Line:
    """A queue of room 504, at noon."""
    made = Line(engine)
    made.room("504")
    return made


@pytest.fixture
def lease(line: Line) -> Lease:
    """The lease of a record that was claimed at noon."""
    line.ask()
    return line.lease(line.claimed())

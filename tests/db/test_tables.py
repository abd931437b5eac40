"""What the tables keep, compute and refuse, on each kind of database."""

from __future__ import annotations

import os
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from merger.db.engine import connect, reading, writing
from models import STATUSES, EventLink, Record, Room, Source
from tests.db.conftest import NOON, record
from tests.support.databases import ON_MARIADB, ON_SQLITE
from tests.support.selection import BOTH_DATABASES

pytestmark = BOTH_DATABASES


def test_processing_and_done_follow_the_status(engine: Engine) -> None:
    with engine.begin() as connection:
        for status in STATUSES:
            connection.execute(insert(Record).values(record(status=status)))
    rows = select(Record.status, Record.processing, Record.done)
    with engine.connect() as connection:
        assert {
            status: (processing, done) for status, processing, done in connection.execute(rows)
        } == {
            "queued": (0, 0),
            "running": (1, 0),
            "delivered": (0, 1),
            "failed": (0, 1),
            "cancelled": (0, 1),
        }
    with engine.begin() as connection:
        connection.execute(update(Record).values(status="running"))
    with engine.connect() as connection:
        assert {*connection.execute(rows)} == {("running", 1, 0)}


@pytest.mark.parametrize("column", ["processing", "done"])
def test_processing_and_done_cannot_be_written(engine: Engine, column: str) -> None:
    with engine.begin() as connection:
        connection.execute(insert(Record).values(record()))
    with pytest.raises(DBAPIError), engine.begin() as connection:
        connection.execute(text(f"UPDATE records SET {column} = 1"))
    with pytest.raises(DBAPIError), engine.begin() as connection:
        connection.execute(insert(Record).values(record(**{column: 1})))
    with engine.connect() as connection:
        assert connection.execute(select(Record.processing, Record.done)).all() == [(0, 0)]


def test_instants_keep_their_microseconds(engine: Engine) -> None:
    moscow = NOON.astimezone(timezone(timedelta(hours=3)))
    microsecond = timedelta(microseconds=1)

    def write(session: Any) -> None:
        session.add(Record(**record(start_at=moscow, end_at=NOON + microsecond)))

    writing(engine, write)
    with reading(engine) as session:
        found = session.scalars(select(Record)).one()
        assert (found.start_at, found.end_at) == (NOON, NOON + microsecond)
        assert found.start_at.utcoffset() == timedelta(0)
        for least, count in ((NOON, 1), (NOON + microsecond, 0), (moscow, 1)):
            query = select(func.count()).where(Record.start_at >= least)
            assert session.scalar(query) == count


NAMES = ["Room", "room", "é", "e", "e\u0301", "ё", "е", "ß", "ss", "аудитория", "🎓", "🎒"]


def test_keys_are_compared_exactly(engine: Engine) -> None:
    with engine.begin() as connection:
        for name in NAMES:
            connection.execute(insert(Room).values(name=name, zone="UTC"))
    with engine.connect() as connection:
        for name in NAMES:
            assert connection.scalars(select(Room.name).where(Room.name == name)).all() == [name]
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(insert(Room).values(name="Room", zone="UTC"))


def test_a_long_report_is_kept_and_what_does_not_fit_is_an_error(engine: Engine) -> None:
    report = "ё🎓" * 500_000
    with engine.begin() as connection:
        connection.execute(insert(Record).values(record(report=report, media={"ё": ["🎓", None]})))
    with engine.connect() as connection:
        found = connection.execute(select(Record.report, Record.media)).one()
        assert found == (report, {"ё": ["🎓", None]})
    if engine.dialect.name != "sqlite":  # which knows no lengths
        with pytest.raises(DBAPIError), engine.begin() as connection:
            connection.execute(insert(Record).values(record(event_name="e" * 1025)))


def test_foreign_keys_are_enforced(engine: Engine) -> None:
    source = {"role": "screen", "kind": "folder", "address": "/srv", "name": "slides"}
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(insert(Source).values(room_id=999, **source))
    with engine.begin() as connection:
        room = connection.execute(insert(Room).values(name="504", zone="UTC")).inserted_primary_key
        assert room is not None
        connection.execute(insert(Source).values(room_id=room[0], **source))
        connection.execute(insert(Record).values(record(room_id=room[0])))
        connection.execute(delete(Room))
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(Source)) == 0
        assert connection.scalars(select(Record.room_id)).all() == [None]


def test_nobody_else_may_read_a_new_file(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = connect(f"sqlite:///{tmp_path / 'data' / 'new.db'}")
        with made.begin() as connection:
            connection.execute(text("CREATE TABLE rooms (id INTEGER)"))
            found = {p.name: p.stat().st_mode & 0o777 for p in (tmp_path / "data").iterdir()}
    finally:
        os.umask(before)
    made.dispose()
    assert found == dict.fromkeys(("new.db", "new.db-wal", "new.db-shm"), 0o600)
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


@ON_SQLITE
def test_how_sqlite_is_set_up(engine: Engine) -> None:
    with engine.connect() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() for pragma in pragmas]
    assert found == ["wal", 2, 1, 30_000]  # 2: every commit is synced to the disk


@ON_MARIADB
def test_how_a_connection_to_mariadb_is_set_up(engine: Engine) -> None:
    with engine.connect() as connection:
        asked = "@@tx_isolation, @@time_zone, @@character_set_client, @@innodb_lock_wait_timeout"
        found = connection.execute(text(f"SELECT {asked}, @@sql_mode")).one()
    assert found[:4] == ("READ-COMMITTED", "+00:00", "utf8mb4", 10)
    assert "STRICT_ALL_TABLES" in found[4]


def test_one_record_follows_an_event_and_many_may_be_of_it(engine: Engine) -> None:
    def link(record: int, follows: bool | None, event: str = "event") -> EventLink:
        return EventLink(record_id=record, calendar_id="calendar", event_id=event, follows=follows)

    with engine.begin() as connection:
        connection.execute(insert(Record), [record() for _ in range(6)])
    writing(
        engine,
        lambda s: s.add_all([link(1, True), link(2, None), link(3, None), link(4, True, "Event")]),
    )
    for wrong in (link(5, True), link(1, None)):
        with pytest.raises(IntegrityError), Session(engine) as session:
            session.add(wrong)
            session.flush()
    with engine.begin() as connection:
        connection.execute(delete(Record).where(Record.id == 1))
        assert connection.scalar(select(func.count()).select_from(EventLink)) == 3

"""Connections and transactions: what is tried again, and how the rest is told."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier
from time import monotonic

import pytest
from sqlalchemy import Engine, event, insert, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from merger.db import engine as database
from merger.db.engine import LostRace, connect, database_url, is_unreachable, reading, writing
from merger.errors import Broken, MergerError, Refused, Temporary
from models import Room
from tests.support.databases import ON_MARIADB, ON_SQLITE, PASSWORD, MariaDB
from tests.support.selection import BOTH_DATABASES

pytestmark = BOTH_DATABASES


@pytest.fixture
def rooms(engine: Engine) -> Engine:
    """A database with the rooms 1 and 2, whose chunks last no time at all."""
    with engine.begin() as connection:
        for number in (1, 2):
            connection.execute(
                insert(Room).values(id=number, name=str(number), zone="UTC", chunk_s=0)
            )
    return engine


def count_up(session: Session, number: int = 1) -> None:
    session.execute(update(Room).where(Room.id == number).values(chunk_s=Room.chunk_s + 1))


def counted(engine: Engine, number: int = 1) -> int:
    with reading(engine) as session:
        return session.scalars(select(Room.chunk_s).where(Room.id == number)).one()


def own_id(session: Session) -> int:
    return int(session.scalar(text("SELECT CONNECTION_ID()")) or 0)


def kill(mariadb: MariaDB, connection_id: int) -> None:
    mariadb.execute("KILL CONNECTION %s", connection_id)
    until = monotonic() + 600
    while mariadb.execute(
        "SELECT 1 FROM information_schema.processlist WHERE id = %s", connection_id
    ):
        assert monotonic() < until


def told(act: Callable[[], object], kind: type[MergerError], code: str) -> str:
    """Return the message of an error, which never holds a password."""
    with pytest.raises(kind) as caught:
        act()
    assert caught.value.code == code
    assert PASSWORD not in str(caught.value) and "geheim" not in str(caught.value)
    assert caught.value.__cause__ is not None
    return str(caught.value)


def test_a_transaction_happens_or_does_not(rooms: Engine) -> None:
    def stumble(session: Session) -> None:
        count_up(session)
        raise KeyError("a mistake")

    assert writing(rooms, lambda session: count_up(session)) is None
    with pytest.raises(KeyError):
        writing(rooms, stumble)
    assert counted(rooms) == 1


def test_what_was_written_can_be_read_after_the_session(rooms: Engine) -> None:
    def write(session: Session) -> Room:
        room = Room(name="3", zone="UTC")
        session.add(room)
        return room

    room = writing(rooms, write)
    assert (room.id, room.name, room.chunk_s) == (3, "3", 1800)


def test_reading_writes_nothing(rooms: Engine) -> None:
    with reading(rooms) as session:
        count_up(session)
    assert counted(rooms) == 0


@ON_MARIADB
def test_a_deadlock_is_tried_again(rooms: Engine) -> None:
    both_hold_one = Barrier(2, timeout=30)
    tried: Counter[int] = Counter()

    def both_rooms(first: int, second: int) -> None:
        def act(session: Session) -> None:
            tried[first] += 1
            count_up(session, first)
            if tried[first] == 1:
                both_hold_one.wait()
            count_up(session, second)

        writing(rooms, act)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(both_rooms, (1, 2), (2, 1)))
    assert sorted(tried.values()) == [1, 2]
    assert (counted(rooms, 1), counted(rooms, 2)) == (2, 2)


@ON_MARIADB
def test_a_wait_for_a_lock_is_tried_again(rooms: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with rooms.connect() as holder:
        holder.execute(update(Room).values(chunk_s=10))
        tries = 0

        def act(session: Session) -> None:
            nonlocal tries
            tries += 1
            if tries == 3:
                holder.commit()
            session.execute(text("SET SESSION innodb_lock_wait_timeout = 1"))
            count_up(session)

        monkeypatch.setattr(database, "_RACES", 2)
        message = told(lambda: writing(rooms, act), LostRace, "database_race")
        assert "another process changed the same data" in message
        writing(rooms, act)
    assert counted(rooms) == 11


@ON_SQLITE
def test_a_locked_sqlite_is_tried_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch, rooms: Engine
) -> None:
    monkeypatch.setattr(database, "_BUSY_S", 0)
    engine = connect(database_url)
    holder = sqlite3.connect(make_url(database_url).database or "", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    holder.execute("UPDATE rooms SET chunk_s = 10")
    failures = 0

    @event.listens_for(engine, "handle_error")
    def count(_: object) -> None:
        nonlocal failures
        failures += 1
        if failures == 10:
            holder.execute("COMMIT")

    assert counted(engine) == 0  # readers are not held up
    assert "in use" in told(lambda: writing(engine, count_up), LostRace, "database_race")
    assert failures == 8
    writing(engine, count_up)
    assert (failures, counted(engine)) == (10, 11)
    holder.close()
    engine.dispose()


@ON_SQLITE
def test_a_transaction_that_reads_before_it_writes_waits_its_turn(rooms: Engine) -> None:
    def act(session: Session) -> None:
        found = session.scalars(select(Room.chunk_s).where(Room.id == 1)).one()
        session.execute(update(Room).where(Room.id == 1).values(chunk_s=found + 1))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: writing(rooms, act), range(40)))
    assert counted(rooms) == 40


@ON_MARIADB
def test_a_connection_that_died_while_idle_is_replaced(rooms: Engine, mariadb: MariaDB) -> None:
    with reading(rooms) as session:
        idle = own_id(session)
    kill(mariadb, idle)
    writing(rooms, count_up)
    with reading(rooms) as session:
        assert own_id(session) != idle
    assert counted(rooms) == 1


@ON_MARIADB
def test_a_connection_that_dies_in_a_transaction_is_told(rooms: Engine, mariadb: MariaDB) -> None:
    def act(session: Session) -> None:
        count_up(session)
        kill(mariadb, own_id(session))
        count_up(session)

    message = told(lambda: writing(rooms, act), Temporary, "database")
    assert "cannot be reached" in message
    assert counted(rooms) == 0  # with another connection


@ON_MARIADB
def test_a_server_that_is_away_is_told_and_found_again(rooms: Engine, mariadb: MariaDB) -> None:
    with mariadb.down():
        for act in (lambda: counted(rooms), lambda: writing(rooms, count_up)):
            message = told(act, Temporary, "database")
            assert "cannot be reached" in message and str(mariadb.port) in message
    writing(rooms, count_up)
    mariadb.restart()
    assert counted(rooms) == 1


@ON_MARIADB
def test_a_server_that_goes_away_in_a_transaction_is_told(rooms: Engine, mariadb: MariaDB) -> None:
    def act(session: Session) -> None:
        count_up(session)
        mariadb.kill()
        count_up(session)

    with mariadb.down():  # started again whatever happens
        mariadb.start()
        with pytest.raises(Temporary) as caught:
            writing(rooms, act)
    assert is_unreachable(caught.value)
    assert counted(rooms) == 0


@pytest.fixture
def engines() -> Iterator[Callable[[str], Engine]]:
    """Connects to databases, until the end of a test."""
    with ExitStack() as opened:

        def open_engine(url: str) -> Engine:
            engine = connect(url)
            opened.callback(engine.dispose)
            return engine

        yield open_engine


def test_mistakes_that_only_the_server_can_see(
    mariadb: MariaDB, engines: Callable[[str], Engine]
) -> None:
    wrong = engines(mariadb.url("mysql", password="auch-geheim"))
    message = told(lambda: writing(wrong, own_id), Broken, "database")
    assert "refuses access" in message and "Access denied for user 'merger'" in message

    missing = engines(mariadb.url("no_such"))
    message = told(lambda: writing(missing, own_id), Broken, "database")
    assert "CREATE DATABASE `no_such` CHARACTER SET utf8mb4" in message


def test_a_mistake_in_a_statement(rooms: Engine) -> None:
    def act(session: Session) -> None:
        session.execute(text("SELEC 1"))

    told(lambda: writing(rooms, act), Broken, "database")


def test_tables_that_are_missing(database_url: str, engines: Callable[[str], Engine]) -> None:
    engine = engines(database_url)
    for act in (lambda: counted(engine), lambda: writing(engine, count_up)):
        assert "python app.py init-db" in told(act, Broken, "schema")


def test_a_column_that_is_missing(rooms: Engine) -> None:
    with rooms.begin() as connection:
        connection.execute(text("ALTER TABLE rooms DROP COLUMN chunk_s"))
    assert "python app.py init-db" in told(lambda: counted(rooms), Broken, "schema")


@ON_SQLITE
def test_all_connections_are_in_use(rooms: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms.pool, "_timeout", 0.01)
    with ExitStack() as held:
        for _ in range(15):
            held.enter_context(rooms.connect())
        message = told(lambda: counted(rooms), Temporary, "database")
        assert "all connections" in message
    assert counted(rooms) == 0


@pytest.mark.parametrize(
    "text",
    [
        "", "geheim", "mysql+pymysql:/u:geheim@host/db", "postgresql://u:geheim@host/db",
        "oracle+x://u:geheim@host/db", "mysql://u:geheim@host", "mysql://u:geheim@host/",
        "mysql://u:geheim@host:port/db", "mysql://u:geheim@host:/db", "mysql://u:geheim@[::1/db",
        "mysql+pymysql://u:sehr@geheim@host/db",
    ],
)  # fmt: skip
def test_an_address_that_makes_no_sense(text: str) -> None:
    with pytest.raises(Refused) as caught:
        database_url(text)
    assert caught.value.code == "database"
    assert "SQLALCHEMY_DATABASE_URI" in str(caught.value)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("mysql://u:p@h/d", "mysql+pymysql://u:p@h/d?charset=utf8mb4"),
        ("mariadb://u:p%40@h:3307/d", "mysql+pymysql://u:p%40@h:3307/d?charset=utf8mb4"),
        ("mysql+mysqldb://h/d?charset=utf8", "mysql+pymysql://h/d?charset=utf8"),
        ("sqlite:///data/merger.sqlite", "sqlite:///data/merger.sqlite"),
    ],
)
def test_an_address(text: str, means: str) -> None:
    assert database_url(text).render_as_string(hide_password=False) == means

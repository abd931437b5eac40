"""The database: SQLite by default, MySQL or MariaDB through PyMySQL; connections and transactions.

`reading` and `writing` are the only ways to a session. Driver errors are translated here: what may
pass is Temporary, the rest is Broken.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from merger.errors import Broken, Invalid, MergerError, Temporary
from merger.storage.private import FOLDER, create_private_file

T = TypeVar("T")

# SQLite waits so long for another writer; a transaction of ours takes milliseconds.
_BUSY_S = 30
_CONNECT_S = 10
_ANSWER_S = 30
_LOCK_S = 10
# MySQL and MariaDB: deadlock, lock wait timeout, and (MariaDB from 11.6) "record has changed since
# last read"; a row that another one inserted first, or removed. Nothing was written; the same
# transaction may be tried again at once, and finds what the others wrote.
_LOST_RACE = {1213, 1205, 1020, 1062, 1451, 1452}
_RACES = 8
# The driver's and the server's ways to say that the server is not there (any more), or not yet.
_UNREACHABLE = {1040, 1053, 1077, 1152, 1153, 1158, 1159, 1160, 1161, 1203, 1927}
_UNREACHABLE |= {2002, 2003, 2006, 2013, 2055, 0}
_DISK_FULL = {1021, 1114}
_MISSING = {1146, 1054}  # table, column
_VALUES = {1048, 1264, 1364, 1366, 1406}  # that a column does not take
_NO_ACCESS = {1044, 1045, 1698}
_NO_SUCH_DATABASE = 1049


def database_url(text: str) -> URL:
    """Return the address of a database. Raises Invalid, without repeating what may be a secret."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:  # the latter for a port that is no number
        raise Invalid("database", "db.no_url") from error
    backend = url.get_backend_name()
    if backend not in ("sqlite", "mysql", "mariadb"):
        raise Invalid("database", "db.other_backend", backend=backend)
    if backend != "sqlite":
        if not url.database:
            raise Invalid("database", "db.no_name")
        if "@" in (url.host or ""):  # the rest of a password, which messages would show
            raise Invalid("database", "db.at_sign")
        # MariaDB is recognised when connected; under its own name, it would ignore the tables'
        # `mysql_` options.
        url = url.set(drivername="mysql+pymysql")
        if "charset" not in url.query:
            url = url.update_query_dict({"charset": "utf8mb4"})
    return url


def database_file(text: str) -> Path | None:
    """Return the file of a database at an address; None where it is not in one. Raises Invalid."""
    return _file_of(database_url(text))


def _file_of(url: URL) -> Path | None:
    name = url.database or ""
    is_file = url.get_backend_name() == "sqlite" and name not in ("", ":memory:")
    return Path(name) if is_file and not name.startswith("file:") else None


def connect(text: str) -> Engine:
    """Return an engine for the database at an address; connects only when it is used."""
    url = database_url(text)
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    return create_engine(
        url,
        hide_parameters=True,  # of statements, in errors: some are secrets
        pool_pre_ping=True,
        pool_recycle=1800,
        isolation_level="READ COMMITTED",
        connect_args={
            "connect_timeout": _CONNECT_S,
            "read_timeout": _ANSWER_S,
            "write_timeout": _ANSWER_S,
            # Instants are compared as text nowhere, and NOW() is never used; but people look.
            # A server would wait longer for a lock than we for its answer.
            "init_command": "SET time_zone = '+00:00', sql_mode = 'TRADITIONAL',"
            f" innodb_lock_wait_timeout = {_LOCK_S}",
        },
    )


def _sqlite(url: URL) -> Engine:
    path = _file_of(url)
    if path is not None:
        try:
            path.parent.mkdir(FOLDER, parents=True, exist_ok=True)
        except OSError as error:
            raise Broken(
                "database", "db.no_folder", path=str(path), why=error.strerror or str(error)
            ) from error
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": _BUSY_S})

    @event.listens_for(engine, "do_connect")
    def create(*_: object) -> None:
        # SQLite would let others read it. Where it cannot be made, SQLite says why.
        if path is not None:
            with suppress(OSError):
                create_private_file(path, "")

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # transactions begin where we say so, below
        # SQLite's own knows no letters but those of ASCII.
        connection.create_function("lower", 1, _lower, deterministic=True)
        _enable_wal(connection)
        for pragma in (
            "synchronous = FULL",  # a committed row survives a power cut
            "foreign_keys = ON",
            f"busy_timeout = {_BUSY_S * 1000}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and then writes would fail where another wrote meanwhile.
        immediate = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _lower(text: str | None) -> str | None:
    return None if text is None else str(text).lower()


def _enable_wal(connection: sqlite3.Connection) -> None:
    """Let readers and a writer not wait for each other, from the first connection on."""
    until = time.monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # SQLite itself does not wait where another process makes the same file so just now.
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Open a session that only reads."""
    with translate_errors(engine), Session(engine) as session:
        yield session


def writing(engine: Engine, act: Callable[[Session], T]) -> T:
    """Run a function in a transaction of its own, anew where it lost a race, and return its value.

    The function must do nothing but work on the session. Raises Temporary where the database
    cannot be reached: then the transaction may or may not have happened.
    """
    for tried in range(1, _RACES + 1):
        try:
            with (
                translate_errors(engine),
                Session(engine.execution_options(writes=True), expire_on_commit=False) as session,
                session.begin(),
            ):
                return act(session)
        except LostRace:
            if tried == _RACES:
                raise
    raise AssertionError("the loop returns or raises")


class LostRace(Temporary):
    """A transaction did not happen, because others were quicker."""


@contextmanager
def translate_errors(engine: Engine) -> Iterator[None]:
    """Translate what the driver raises into our errors."""
    try:
        yield
    except PoolTimeout as error:
        raise Temporary("database", "db.no_connection") from error
    except DBAPIError as error:
        raise _translate(engine, error) from error
    except StatementError as error:  # of a value on its way there, such as a secret without a key
        if isinstance(error.orig, MergerError):
            raise error.orig from error
        raise


def _translate(engine: Engine, error: DBAPIError) -> MergerError:
    where = engine.url.render_as_string(hide_password=True)
    why = str(error.orig)
    if engine.dialect.name == "sqlite":
        return _translate_sqlite(where, why)
    number = error.orig.args[0] if error.orig and error.orig.args else None
    if number in _LOST_RACE:
        return LostRace("database_race", "db.race", where=where, why=why)
    if number in _DISK_FULL:
        return Temporary("database", "db.disk_full", where=where)
    if number == _NO_SUCH_DATABASE:
        statement = f"CREATE DATABASE `{engine.url.database}` CHARACTER SET utf8mb4"
        return Broken("database", "db.missing", where=where, statement=statement)
    if number in _NO_ACCESS:
        return Broken("database", "db.no_access", where=where, why=why)
    if number in _VALUES:
        return Broken("database_value", "db.value", where=where, why=why)
    if number in _MISSING:
        return _tables_behind(where, why)
    if error.connection_invalidated or number in _UNREACHABLE or isinstance(error, InterfaceError):
        return Temporary("database", "db.unreachable", where=where, why=why)
    return Broken("database", "db.statement", where=where, why=why)


def _translate_sqlite(where: str, why: str) -> MergerError:
    raced = ("locked", "busy", "UNIQUE constraint", "FOREIGN KEY constraint")
    if any(word in why for word in raced):
        return LostRace("database_race", "db.in_use", where=where)
    if "full" in why or "disk I/O" in why:
        return Temporary("database", "db.unwritable", where=where, why=why)
    if "no such table" in why or "no such column" in why:
        return _tables_behind(where, why)
    if "malformed" in why or "not a database" in why:
        return Broken("database", "db.damaged", where=where, why=why)
    return Broken("database", "db.failed", where=where, why=why)


def _tables_behind(where: str, why: str) -> Broken:
    return Broken("schema", "db.tables_behind", where=where, why=why)


def is_unreachable(error: BaseException) -> bool:
    """Return whether an error says that the database is away for now."""
    return isinstance(error, Temporary) and error.code == "database"

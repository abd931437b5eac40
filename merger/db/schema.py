"""The tables of a database: whether they are those of this program, and upgrading them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from merger.db.engine import translate_errors
from merger.errors import Broken, Temporary

State = Literal["current", "behind", "ahead", "empty", "foreign"]

MIGRATIONS = Path(__file__).parents[2] / "migrations"
# Not alembic's usual name: with that one, the tables of any other program might pass for ours.
VERSION_TABLE = "merger_version"
_WAIT_S = 20  # for another process that does the same; less than a connection waits for an answer


def upgrade(engine: Engine) -> list[str]:
    """Bring the tables of a database up to date; return the revisions applied, oldest first.

    Several processes may call it at once. Raises Broken where the tables are not ours or newer
    than this program, Temporary where another process is at it for long.
    """
    with translate_errors(engine), locked_connection(engine) as connection:
        found = _state(connection)
        if found in ("ahead", "foreign"):
            raise _not_current(found, connection)
        scripts = _scripts()
        missing = scripts.iterate_revisions("head", _revision(connection) or "base")
        applied = [script.revision for script in missing][::-1]
        config = _config()
        config.attributes |= {"connection": connection, "version_table": VERSION_TABLE}
        command.upgrade(config, "head")
    return applied


def state(engine: Engine) -> State:
    """Return how the tables of a database relate to this program.

    behind is also where a migration was cut off; ahead is of a newer program; foreign is where
    there are tables, but none of them ours.
    """
    with translate_errors(engine), engine.connect() as connection:
        return _state(connection)


def is_ahead(engine: Engine) -> bool:
    """Return whether the tables are those of a newer program; quick enough to be asked often."""
    with translate_errors(engine), engine.connect() as connection:
        query = text(f"SELECT version_num FROM {VERSION_TABLE}")
        return connection.scalar(query) not in _known_revisions()


def revision(engine: Engine) -> str:
    """Return the last migration of a database; empty where there are no tables."""
    with translate_errors(engine), engine.connect() as connection:
        return _revision(connection) or ""


@cache
def _known_revisions() -> frozenset[str | None]:
    """Return the revisions of this program, and none: a migration that was cut off is no newer."""
    return frozenset((None, *(script.revision for script in _scripts().walk_revisions())))


def require_current(engine: Engine) -> None:
    """Raise Broken("schema"), which says what to do, unless the tables are as they should be."""
    with translate_errors(engine), engine.connect() as connection:
        found = _state(connection)
        if found != "current":
            raise _not_current(found, connection)


def _state(connection: Connection) -> State:
    tables = inspect(connection).get_table_names()
    if VERSION_TABLE not in tables:
        return "foreign" if tables else "empty"
    revision, scripts = _revision(connection), _scripts()
    if revision == scripts.get_current_head():
        return "current"
    revisions = {script.revision for script in scripts.walk_revisions()}
    return "behind" if revision is None or revision in revisions else "ahead"


def _revision(connection: Connection) -> str | None:
    """Return the last migration that ended; None before the first one did."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def _not_current(found: State, connection: Connection) -> Broken:
    where = connection.engine.url.render_as_string(hide_password=True)
    keys = {
        "empty": "db.empty", "behind": "db.behind", "ahead": "db.ahead", "foreign": "db.foreign",
    }  # fmt: skip
    return Broken("schema", keys[found], where=where)


@contextmanager
def locked_connection(engine: Engine) -> Iterator[Connection]:
    """Open a connection with which no other process changes all tables at the same time."""
    if engine.dialect.name == "sqlite":
        with engine.execution_options(writes=True).connect() as connection:
            # A migration may recreate a table: to drop the old one would drop what refers to it.
            # Within a transaction this pragma has no effect (https://sqlite.org/pragma.html).
            _set_foreign_keys(connection, "OFF")
            try:
                # One transaction, begun for writing: others wait, and it is all or nothing.
                with connection.begin():
                    yield connection
                    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchone()
                    if broken is not None:
                        raise Broken("schema", "db.broken_references", table=str(broken[0]))
            finally:
                _set_foreign_keys(connection, "ON")
        return
    with engine.connect() as connection:
        try:
            # Hashed because names of locks are of the whole server, and short.
            lock = "SELECT GET_LOCK(SHA1(CONCAT('merger.db.schema.', DATABASE())), :wait)"
            if not connection.scalar(text(lock), {"wait": _WAIT_S}):
                where = engine.url.render_as_string(hide_password=True)
                raise Temporary("schema", "db.busy", where=where)
            yield connection
            connection.commit()
        finally:
            # Closed, not kept for others: that gives back the lock, whatever happened.
            connection.invalidate()


def _set_foreign_keys(connection: Connection, value: str) -> None:
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA foreign_keys = {value}")
    cursor.close()


def _config() -> Config:
    config = Config()
    # A % begins a reference in there.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())

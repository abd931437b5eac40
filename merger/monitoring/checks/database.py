"""The database: whether it answers, its tables, its clock, and the key of its secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, text

from merger.db import schema
from merger.db.encryption import require_key
from merger.db.engine import reading
from merger.db.key_file import use_key_file
from merger.errors import Broken, Temporary
from merger.i18n import Message
from merger.monitoring.findings import Finding

CLOCKS_DIFFER = timedelta(seconds=5)
_MOST_DAMAGES = 3  # of a database that are listed


def look_at_database(engine: Engine) -> Iterator[Finding]:
    where = engine.url.render_as_string(hide_password=True)
    try:
        with reading(engine) as session:
            session.execute(text("SELECT 1")).one()
    except Temporary as error:
        message = Message("monitoring.database_away", why=error.message)
        yield Finding("database", "broken", message)
    else:
        if engine.dialect.name == "sqlite":
            _require_undamaged(engine, where)
        yield Finding("database", "ok", Message("monitoring.database", where=where))


def _require_undamaged(engine: Engine, where: str) -> None:
    """Read the file of a database in SQLite to its end; raise Broken for what is wrong in it."""
    with reading(engine) as session:
        rows = session.execute(text(f"PRAGMA quick_check({_MOST_DAMAGES})")).scalars().all()
    if damage := [str(row) for row in rows if row != "ok"]:
        raise Broken("database", "db.damaged", where=where, why="; ".join(damage))


def look_at_schema(engine: Engine) -> Iterator[Finding]:
    schema.require_current(engine)
    yield Finding("schema", "ok", Message("monitoring.schema"))


def look_at_key(engine: Engine, file: Path) -> Iterator[Finding]:
    use_key_file(engine, file)
    fits = require_key(engine)
    key = "monitoring.key" if fits else "monitoring.no_key_yet"
    yield Finding("key file", "ok", Message(key, file=str(file)))


def look_at_clocks(engine: Engine, now: Callable[[], datetime]) -> Iterator[Finding]:
    """Compare the clocks of the database server and of this machine.

    Leases are written by one machine and judged by another; the server stands for all others.
    """
    if engine.dialect.name == "sqlite":
        yield Finding("clocks", "ok", Message("monitoring.clock_of_file"))
        return
    with reading(engine) as session:
        before = now()
        answer: datetime = session.execute(text("SELECT UTC_TIMESTAMP(6)")).scalar_one()
        after = now()
    server = answer.replace(tzinfo=UTC)
    # The answer took some time: only what lies outside of that time is a difference.
    apart = max(before - server, server - after, timedelta())
    if apart > CLOCKS_DIFFER:
        message = Message("monitoring.clocks_differ", seconds=f"{apart.total_seconds():.1f}")
        yield Finding("clocks", "warning", message)
    else:
        yield Finding("clocks", "ok", Message("monitoring.clocks"))

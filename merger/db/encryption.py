"""Secrets in the tables: that the key file fits them, and encrypting all of them, or anew.

Which columns hold secrets is said in `models.py`, by their types.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    Text,
    bindparam,
    cast,
    delete,
    insert,
    select,
    update,
)

from merger.db.engine import translate_errors
from merger.db.key_file import KeyFile, key_file_of
from merger.db.schema import locked_connection
from merger.errors import Broken
from models import Base, JsonWithSecrets, Secret, SecretText, Words

_CHECK = "key-check"  # a secret that tells whether the key is the one of these tables
_AT_ONCE = 500  # rows
_PATIENCE_MS = 5000  # with whoever else has the file open
_SECRETS = Secret.__table__


def require_key(engine: Engine) -> bool:
    """Return whether the key file fits the tables; False where they have none yet.

    Raises:
        Broken: it is missing, or another one; the message says what to do.
    """
    with translate_errors(engine), engine.connect() as connection:
        return _fits(connection)


def ensure_key(engine: Engine) -> None:
    """Make sure that the key file fits the tables; where they have none yet, it is made.

    Raises:
        Broken: it is missing, or another one; the message says what to do.
    """
    if require_key(engine):
        return
    with translate_errors(engine), locked_connection(engine) as connection:
        if _fits(connection):
            return
        if not _keys(engine).exists():
            _require_nothing_encrypted(connection)
            _keys(engine).create()
        _remember_key(connection)


def encrypt_secrets(engine: Engine) -> int:
    """Encrypt the secrets that the tables still hold as they are; return how many there were."""
    with translate_errors(engine), locked_connection(engine) as connection:
        _mask_messages(connection)
        return sum(
            _write_again(connection, column, kind.is_plain(cast(column, Text)))
            for column, kind in _secret_columns()
        )


def change_key(engine: Engine) -> int:
    """Encrypt all secrets with a new key; return how many there were.

    Old keys stay in the file, so that nothing is lost wherever this is cut off, and a process that
    still writes with one of them is understood.
    """
    with translate_errors(engine), locked_connection(engine) as connection:
        _keys(engine).add_key()
        return sum(
            _write_again(connection, column, kind.is_encrypted(cast(column, Text)))
            for column, kind in _secret_columns()
        )


def forget_secrets(engine: Engine) -> int:
    """Remove the secrets that no key in the file can read; return how many there were.

    A key file that is missing is made; one that is there stays.
    """
    with translate_errors(engine), locked_connection(engine) as connection:
        _keys(engine).create()
        count = sum(_empty(connection, column, kind) for column, kind in _secret_columns())
        connection.execute(delete(Secret).where(cast(_SECRETS.c.value, Text) == ""))
        if not _fits(connection):
            _remember_key(connection)
        return count


def erase_remains(engine: Engine) -> bool:
    """Have a database file forget what was overwritten in it; return whether that was possible.

    SQLite leaves it where nothing else has come since. A server's files are the server's.
    """
    if engine.dialect.name != "sqlite":
        return True
    with translate_errors(engine), engine.connect() as connection:
        cursor = connection.connection.cursor()  # by itself: not in a transaction
        try:
            cursor.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            [(is_busy, *_)] = cursor.fetchall()
        except sqlite3.OperationalError:  # others are at it, or the disk has no room for a copy
            return False
        finally:
            cursor.close()
            connection.invalidate()  # it has too little patience for anything else
    return not is_busy


def _keys(engine: Engine) -> KeyFile:
    keys = key_file_of(engine.dialect)
    assert keys is not None, "use_key_file comes first"
    return keys


def _fits(connection: Connection) -> bool:
    query = select(_SECRETS.c.value).where(_SECRETS.c.name == _CHECK)
    return connection.scalar(query) is not None  # raises Broken where the key is another one


def _remember_key(connection: Connection) -> None:
    connection.execute(insert(Secret).values(name=_CHECK, value=uuid.uuid4().hex))


def _secret_columns() -> Iterator[tuple[Column[Any], SecretText | JsonWithSecrets]]:
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, SecretText | JsonWithSecrets):
                yield column, column.type


def _require_nothing_encrypted(connection: Connection) -> None:
    """Raise Broken where there is anything that a new key could not read."""
    for column, kind in _secret_columns():
        wanted = select(column).where(kind.is_encrypted(cast(column, Text)))
        connection.execute(wanted.limit(1)).all()


def _rows(
    connection: Connection, column: Column[Any], value: ColumnElement[Any], wanted: Any
) -> Iterator[list[dict[str, Any]]]:
    """Yield rows of a table, some at a time: their keys, and a value of each."""
    [identity] = column.table.primary_key
    query = select(identity.label("of"), value.label("new")).where(wanted).order_by(identity)
    after: Any = None
    while True:
        following = query if after is None else query.where(identity > after)
        found = connection.execute(following.limit(_AT_ONCE).with_for_update()).mappings().all()
        if not found:
            return
        after = found[-1]["of"]
        yield [dict(row) for row in found]


def _update(connection: Connection, column: Column[Any], rows: list[dict[str, Any]]) -> None:
    [identity] = column.table.primary_key
    statement = update(column.table).where(identity == bindparam("of"))
    connection.execute(statement.values({column: bindparam("new", type_=column.type)}), rows)


def _write_again(connection: Connection, column: Column[Any], wanted: ColumnElement[bool]) -> int:
    """Read values of a column and write them again, as its type does it; return how many."""
    count = 0
    for rows in _rows(connection, column, column, wanted):
        _update(connection, column, rows)
        count += len(rows)
    return count


def _mask_messages(connection: Connection) -> None:
    """Take passwords out of messages from before no message had any."""
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, Words):
                _write_again(connection, column, cast(column, Text).like("%://%:%@%"))


def _empty(connection: Connection, column: Column[Any], kind: SecretText | JsonWithSecrets) -> int:
    """Empty what cannot be read of a column; return how many there were."""
    stored = cast(column, Text)
    count = 0
    for rows in _rows(connection, column, stored, kind.is_encrypted(stored)):
        lost = [
            {"of": row["of"], "new": _emptied(row["new"], column, kind)}
            for row in rows
            if not _is_readable(row["new"], kind, connection)
        ]
        if lost:
            _update(connection, column, lost)
        count += len(lost)
    return count


def _is_readable(stored: str, kind: SecretText | JsonWithSecrets, connection: Connection) -> bool:
    value = json.loads(stored) if isinstance(kind, JsonWithSecrets) else stored
    try:
        kind.process_result_value(value, connection.dialect)
    except Broken:
        return False
    return True


def _emptied(stored: str, column: Column[Any], kind: SecretText | JsonWithSecrets) -> Any:
    if isinstance(kind, JsonWithSecrets):
        return {**json.loads(stored), **dict.fromkeys(kind.names)}
    return None if column.nullable else ""

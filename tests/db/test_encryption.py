"""Secrets in the tables, on each kind of database: nobody reads them there, and none is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, Text, insert, select

from merger.db.encryption import (
    change_key,
    encrypt_secrets,
    ensure_key,
    erase_remains,
    forget_secrets,
    require_key,
)
from merger.db.engine import connect, database_file, reading, writing
from merger.db.key_file import MARK, use_key_file
from merger.db.key_value import KeyValueStore
from merger.errors import Broken
from merger.i18n import Message
from merger.rooms.spec import LONGEST_TEXT
from models import (
    Base,
    Calendar,
    Delivery,
    Event,
    JsonWithSecrets,
    Record,
    Room,
    Secret,
    SecretText,
    Source,
    Upload,
)
from tests.db.conftest import NOON, record
from tests.support.databases import ON_SQLITE
from tests.support.selection import BOTH_DATABASES

pytestmark = BOTH_DATABASES

HIDDEN = "s3cr3t"
ADDRESS = f"rtsp://192.0.2.10/stream1?user=ann&password={HIDDEN}"
CREDENTIALS = f"viewer:{HIDDEN}€"
SESSION = f"https://uploads.example/drive?upload_id={HIDDEN}"
STATE = {"id": "1AbC", "session": SESSION, "readers": ["ann@example.org"]}
# What the type of a column cannot know: a hash, and what is worth nothing without our account.
KNOWN = {("users", "password_hash"), ("calendars", "sync_token")}


@dataclass
class Tables:
    """Tables with a secret in each place for one, and the file of the key."""

    engine: Engine
    file: Path

    def fill(self) -> None:
        rows: list[tuple[Any, dict[str, Any]]] = [
            (Room, {"id": 1, "name": "504", "zone": "UTC"}),
            (Source, {"id": 1, "room_id": 1, "name": "camera", "role": "speaker", "kind": "rtsp",
                      "address": ADDRESS, "credentials": CREDENTIALS}),
            (Source, {"id": 2, "room_id": 1, "name": "slides", "role": "screen", "kind": "folder",
                      "address": f"/srv/{HIDDEN}", "credentials": None}),
            (Record, record(id=1)),
            (Delivery, {"record_id": 1, "destination": "drive", "kind": "merge", "name": "a",
                        "name_key": "a", "status": "pending", "state": STATE}),
            (Delivery, {"record_id": 1, "destination": "folder", "kind": "merge", "name": "a",
                        "name_key": "a", "status": "delivered", "state": {}}),
            (Delivery, {"record_id": 1, "destination": "drive", "kind": "backup", "name": "b",
                        "name_key": "b", "status": "delivered", "state": {"session": None}}),
            (Upload, {"source_id": 1, "destination": "drive", "name": "a", "status": "pending",
                      "state": STATE}),
            (Calendar, {"room_id": 1, "calendar_id": "a@example.edu", "due_at": NOON,
                        "channel_token": HIDDEN}),
            (Secret, {"name": "web-secret", "value": HIDDEN}),
        ]  # fmt: skip

        def add(session: Any) -> None:
            for table, values in rows:
                session.add(table(**values))
                session.flush()

        writing(self.engine, add)

    def again(self) -> Tables:
        """Return the same for another process, which has read no key yet."""
        other = connect(self.engine.url.render_as_string(hide_password=False))
        use_key_file(other, self.file)
        return Tables(other, self.file)

    def stored(self) -> str:
        """Return all that the tables hold, as whoever copies them reads it."""
        with self.engine.connect() as connection:
            return "\n".join(
                str(connection.exec_driver_sql(f"SELECT * FROM {name}").all())
                for name in Base.metadata.tables
            )

    def read(self) -> list[Any]:
        """Return the secrets as the service reads them."""
        query = [
            select(Source.address, Source.credentials).order_by(Source.id), select(Upload.state),
            select(Delivery.state).order_by(Delivery.id), select(Calendar.channel_token),
            select(Secret.value).where(Secret.name == "web-secret"),
        ]  # fmt: skip
        with reading(self.engine) as session:
            return [tuple(row) for one in query for row in session.execute(one)]


SECRETS = [
    (ADDRESS, CREDENTIALS), (f"/srv/{HIDDEN}", None), (STATE,), (STATE,), ({},),
    ({"session": None},), (HIDDEN,), (HIDDEN,),
]  # fmt: skip


@pytest.fixture
def tables(engine: Engine, tmp_path: Path) -> Iterator[Tables]:
    """Tables of before there was a key."""
    made = Tables(engine, tmp_path / "secret.key")
    made.fill()
    assert made.stored().count(HIDDEN) == 7 and made.read() == SECRETS
    use_key_file(engine, made.file)
    yield made


@pytest.fixture
def closed(tables: Tables) -> Tables:
    """Tables whose secrets are encrypted."""
    ensure_key(tables.engine)
    encrypt_secrets(tables.engine)
    return tables


def refusal(tables: Tables, act: Any) -> str:
    before = tables.stored()
    with pytest.raises(Broken) as caught:
        act(tables.engine)
    assert caught.value.code == "secret_key"
    assert tables.stored() == before
    return str(caught.value)


def test_what_is_there_is_encrypted_once(tables: Tables) -> None:
    assert not require_key(tables.engine)
    ensure_key(tables.engine)
    assert require_key(tables.engine)
    assert encrypt_secrets(tables.engine) == 7
    assert HIDDEN not in tables.stored() and "192.0.2.10" not in tables.stored()
    assert tables.read() == SECRETS == tables.again().read()
    before = tables.stored()
    assert encrypt_secrets(tables.engine) == 0
    ensure_key(tables.engine)
    assert tables.stored() == before


def test_what_is_new_is_never_there_as_it_is(engine: Engine, tmp_path: Path) -> None:
    tables = Tables(engine, tmp_path / "secret.key")
    use_key_file(engine, tables.file)
    ensure_key(engine)
    tables.fill()
    assert HIDDEN not in tables.stored()
    assert tables.read() == SECRETS
    assert KeyValueStore(engine, Secret).get_or_set("web-secret", "another") == HIDDEN


@pytest.mark.quick
def test_columns_that_sound_like_secrets_are_encrypted() -> None:
    sounds = re.compile("address|credential|secret|token|password|session$")
    for table in Base.metadata.tables.values():
        for column in table.columns:
            if sounds.search(column.name) and (table.name, column.name) not in KNOWN:
                assert isinstance(column.type, SecretText), (table.name, column.name)
    states = [table.columns.get("state") for table in (Delivery.__table__, Upload.__table__)]
    assert all(isinstance(state.type, JsonWithSecrets) for state in states if state is not None)


def test_the_longest_text_has_room(closed: Tables) -> None:
    longest = "\U0001f393" * LONGEST_TEXT
    with closed.engine.begin() as connection:
        connection.execute(
            insert(Source).values(
                id=3, room_id=1, name="long", role="board", kind="folder", address=longest
            )
        )
    with reading(closed.engine) as session:
        assert session.scalar(select(Source.address).where(Source.id == 3)) == longest


def test_a_key_that_is_missing(closed: Tables) -> None:
    closed.file.unlink()
    other = closed.again()
    for act in (require_key, ensure_key):
        assert "is missing" in refusal(other, act)
    assert not closed.file.exists()
    with pytest.raises(Broken, match="is missing"):
        other.read()
    other.engine.dispose()


def test_a_key_of_another_database(closed: Tables, tmp_path: Path) -> None:
    right = closed.file.rename(tmp_path / "right.key")
    other = Tables(connect(f"sqlite:///{tmp_path / 'other.sqlite'}"), closed.file).again()
    Base.metadata.create_all(other.engine)
    ensure_key(other.engine)
    other.engine.dispose()
    here = closed.again()
    for act in (require_key, ensure_key):
        assert "does not belong to this database" in refusal(here, act)
    right.replace(closed.file)
    ensure_key(here.engine)
    assert here.read() == SECRETS
    here.engine.dispose()


def test_nothing_is_written_with_a_key_that_nobody_can_read(closed: Tables) -> None:
    closed.file.write_text("no key\n")
    other = closed.again()
    with pytest.raises(Broken, match="contains no valid key"):
        writing(other.engine, lambda session: session.add(Secret(name="new", value=HIDDEN)))
    assert HIDDEN not in other.stored()
    other.engine.dispose()


def test_an_encrypted_text_without_the_row_that_knows_the_key(closed: Tables) -> None:
    """Nobody makes a new key where there is anything that it could not read."""
    with closed.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM secrets")
    closed.file.unlink()
    other = closed.again()
    assert "is missing" in refusal(other, ensure_key)
    assert not closed.file.exists()
    other.engine.dispose()


def test_another_key(closed: Tables) -> None:
    running, old_file = closed.again(), closed.file.read_text()
    assert running.read() == SECRETS
    before = closed.stored()
    assert change_key(closed.engine) == 8  # with the one that tells whether the key is right
    assert running.read() == SECRETS == closed.again().read()
    old = re.findall(f"{MARK}[\\w=-]+", before)
    assert len(old) == 8 and not any(text in closed.stored() for text in old)
    closed.file.write_text(old_file)
    assert "does not belong" in refusal(closed.again(), require_key)
    running.engine.dispose()


def test_a_change_of_keys_that_is_cut_off(closed: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new key is in the file, and nothing uses it yet; then it is run again."""
    with monkeypatch.context() as patch:
        patch.setattr("merger.db.encryption._write_again", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            change_key(closed.engine)
    assert closed.again().read() == SECRETS
    assert change_key(closed.engine) == 8
    assert closed.again().read() == SECRETS


def test_many_rows(closed: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("merger.db.encryption._AT_ONCE", 2)
    with closed.engine.begin() as connection:
        for n in range(5):
            connection.execute(insert(Secret).values(name=f"more {n}", value=f"{n}"))
    assert change_key(closed.engine) == 13
    with reading(closed.engine) as session:
        found = session.execute(select(Secret.name, Secret.value)).all()
    assert {(f"more {n}", f"{n}") for n in range(5)} <= {tuple(row) for row in found}


def test_a_key_that_is_lost(closed: Tables) -> None:
    """What nobody can read is removed, and all the rest goes on with a new key."""
    closed.file.unlink()
    other = closed.again()
    assert forget_secrets(other.engine) == 8
    ensure_key(other.engine)
    state = {**STATE, "session": None}
    assert other.read() == [
        ("", None), ("", None), (state,), (state,), ({},), ({"session": None},), (None,),
    ]  # fmt: skip
    assert forget_secrets(other.engine) == 0
    assert KeyValueStore(other.engine, Secret).get_or_set("web-secret", "another") == "another"
    assert require_key(closed.again().engine)
    other.engine.dispose()


def test_what_can_be_read_is_never_removed(closed: Tables) -> None:
    assert forget_secrets(closed.engine) == 0
    assert closed.read() == SECRETS


def test_passwords_in_messages_of_before(tables: Tables) -> None:
    kept = Message("rooms.exists", room="504")
    add = [Event(record_id=1, at=NOON, attempt=1, kind="failed", message=kept) for _ in range(2)]
    writing(tables.engine, lambda session: session.add_all(add))
    old = f"no camera at rtsp://ann:{HIDDEN}@192.0.2.10/1"
    with tables.engine.begin() as connection:
        rows = sa.table("events", sa.column("id"), sa.column("text"))
        connection.execute(sa.update(rows).values(text=old).where(rows.c.id == 2))
    ensure_key(tables.engine)
    encrypt_secrets(tables.engine)
    assert HIDDEN not in tables.stored()
    with reading(tables.engine) as session:
        told = session.scalars(select(Event.message).order_by(Event.id)).all()
    assert told[0] == kept and str(told[1]) == "no camera at rtsp://ann:***@192.0.2.10/1"


@ON_SQLITE
def test_no_remains_are_left_in_the_file(tables: Tables, database_url: str) -> None:
    file = database_file(database_url)
    assert file is not None

    @sa.event.listens_for(tables.engine, "connect")
    def keep_remains(connection: Any, _: object) -> None:
        connection.execute("PRAGMA secure_delete = 0")  # Debian's SQLite is built to overwrite

    def everything() -> bytes:
        return b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))

    tables.engine.dispose()
    long = HIDDEN * 2000  # which has pages of its own
    with tables.engine.begin() as connection:
        connection.execute(sa.update(Source).values(credentials=long).where(Source.id == 1))
    ensure_key(tables.engine)
    encrypt_secrets(tables.engine)
    assert HIDDEN.encode() in everything()
    assert erase_remains(tables.engine)
    assert HIDDEN.encode() not in everything()
    assert tables.read() == [(ADDRESS, long), *SECRETS[1:]]


@ON_SQLITE
def test_remains_that_others_are_reading(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("merger.db.encryption._PATIENCE_MS", 0)
    ensure_key(tables.engine)
    encrypt_secrets(tables.engine)
    other = tables.again()
    with other.engine.connect() as connection:
        connection.execute(select(Room.name.cast(Text))).all()
        assert not erase_remains(tables.engine)
    other.engine.dispose()

"""Migrations make what models.py says, on each kind of database, from any state."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, delete, event, insert, inspect, select, text
from sqlalchemy.orm import Session

from merger.db import schema
from merger.db.engine import connect
from merger.errors import Broken, Temporary
from models import Base, Record, Room, User
from tests.db.conftest import record
from tests.support.databases import ON_MARIADB, PASSWORD, MariaDB
from tests.support.selection import BOTH_DATABASES

pytestmark = BOTH_DATABASES

ROOT = Path(__file__).parents[2]
# All migrations, the oldest first, and what the next one will be called.
REVISIONS = sorted(path.name[:4] for path in (schema.MIGRATIONS / "versions").glob("*.py"))
NEXT, AFTER_NEXT = (f"{int(REVISIONS[-1]) + n:04}" for n in (1, 2))


@pytest.fixture
def empty(database_url: str) -> Iterator[Engine]:
    """A database without any table."""
    engine = connect(database_url)
    yield engine
    engine.dispose()


def described(engine: Engine) -> list[str]:
    """Return what the database itself says of its tables: types, collations, defaults, everything."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            found = connection.scalars(text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"))
            statements = list(found)
        else:
            names = inspect(connection).get_table_names()
            shown = [connection.execute(text(f"SHOW CREATE TABLE `{name}`")) for name in names]
            statements = [rows.one()[1] for rows in shown]
    # Where a column or a key stands among others says nothing.
    lines = ["\n".join(sorted(re.split(r"\s*,\s*(?![^()]*\))|\s*\n\s*", s))) for s in statements]
    return sorted(line for line in lines if schema.VERSION_TABLE not in line)


def refusal(act: Callable[[Engine], object], engine: Engine) -> str:
    with pytest.raises(Broken) as caught:
        act(engine)
    assert caught.value.code == "schema"
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


def test_an_empty_database_gets_its_tables(empty: Engine) -> None:
    assert schema.state(empty) == "empty"
    assert "init-db" in refusal(schema.require_current, empty)
    assert schema.upgrade(empty) == REVISIONS
    assert schema.state(empty) == "current"
    schema.require_current(empty)
    with empty.connect() as connection:
        assert {*inspect(connection).get_table_names()} == {
            *Base.metadata.tables,
            schema.VERSION_TABLE,
        }


def test_a_second_time_nothing_happens(engine: Engine) -> None:
    before = described(engine)
    assert schema.upgrade(engine) == []
    assert described(engine) == before


def test_migrations_make_what_the_models_say(engine: Engine) -> None:
    migrated = described(engine)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    assert migrated == described(engine)


def test_alembic_finds_nothing_to_do(engine: Engine) -> None:
    options = {
        "version_table": schema.VERSION_TABLE,
        "compare_type": True,
        "compare_server_default": True,
    }
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


@ON_MARIADB
def test_tables_are_the_same_whatever_the_server_prefers(engine: Engine, mariadb: MariaDB) -> None:
    # The address as some write it, and the character set of a server that nobody has configured.
    url = mariadb.create()
    name = url.rpartition("/")[2]
    mariadb.execute(f"ALTER DATABASE {name} CHARACTER SET latin1")
    other = connect(url.replace("mysql+pymysql:", "mariadb:"))
    try:
        schema.upgrade(other)
        assert described(other) == described(engine)
        assert all("ENGINE=InnoDB" in shown and "utf8mb4" in shown for shown in described(other))
    finally:
        other.dispose()
        mariadb.drop(url)


def test_migrations_are_frozen() -> None:
    paths = list((schema.MIGRATIONS / "versions").glob("*.py"))
    assert paths
    for path in paths:
        imports = [
            n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Import | ast.ImportFrom)
        ]  # fmt: skip
        found = " ".join(ast.unparse(statement) for statement in imports)
        assert "models" not in found and "merger" not in found, path


UPGRADE = """
import sys
from merger.db import schema
from merger.db.engine import connect
engine = connect(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(schema.upgrade(engine))
"""


def test_several_processes_at_once(empty: Engine, database_url: str) -> None:
    command = [sys.executable, "-c", UPGRADE, database_url]
    pipe = subprocess.PIPE
    children = [
        subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        for _ in range(3)
    ]
    for child in children:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    ended = [child.communicate(timeout=600) for child in children]
    assert sorted(ended) == [(f"{REVISIONS}\n", ""), ("[]\n", ""), ("[]\n", "")]
    schema.require_current(empty)


@ON_MARIADB
def test_a_process_that_is_at_it_for_long(
    empty: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "_WAIT_S", 0)
    other = connect(database_url)
    with schema.locked_connection(other), pytest.raises(Temporary, match="another process"):
        schema.upgrade(empty)
    other.dispose()
    assert schema.state(empty) == "empty"
    assert schema.upgrade(empty) == REVISIONS


class PowerCut(BaseException):
    pass


@contextmanager
def power_cut(
    engine: Engine, at: int, act: Callable[[], object] | None = None
) -> Iterator[list[str]]:
    """Have something happen, or everything end, instead of the nth statement that changes anything."""
    done: list[str] = []

    def count(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.split()[0] in ("CREATE", "ALTER", "INSERT", "UPDATE"):
            if len(done) == at:
                if act is None:
                    raise PowerCut
                act()
            done.append(statement)

    event.listen(engine, "before_cursor_execute", count)
    yield done
    event.remove(engine, "before_cursor_execute", count)


def test_a_migration_that_is_cut_off_anywhere_can_be_run_again(engine: Engine) -> None:
    whole = described(engine)
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {schema.VERSION_TABLE}"))
    Base.metadata.drop_all(engine)
    for at in range(250):
        with power_cut(engine, at):
            try:
                schema.upgrade(engine)
                break
            except PowerCut:
                pass
        if engine.dialect.name == "sqlite" or at == 0:
            assert schema.state(engine) == "empty"
        else:
            assert schema.state(engine) == "behind"
            assert "init-db" in refusal(schema.require_current, engine)
    assert at > 10  # a migration that has ended is not begun again, so not each table is another
    assert described(engine) == whole
    schema.require_current(engine)


@ON_MARIADB
def test_the_server_is_killed_in_the_middle(empty: Engine, mariadb: MariaDB) -> None:
    with power_cut(empty, 8, mariadb.kill), pytest.raises(Temporary) as caught:
        schema.upgrade(empty)
    assert caught.value.code == "database"
    mariadb.start()
    assert schema.state(empty) == "behind"
    assert schema.upgrade(empty) == REVISIONS
    schema.require_current(empty)


ANOTHER = f"""
import sqlalchemy as sa
from alembic import op

revision, down_revision = "{NEXT}", "{REVISIONS[-1]}"


def upgrade():
    op.add_column("rooms", sa.Column("floor", sa.Integer()))
"""


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """The migrations of a newer program, at a place whose name is no easy one."""
    folder = tmp_path / "100% newer" / "migrations"
    shutil.copytree(schema.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / f"{NEXT}_floors.py").write_text(ANOTHER)
    return folder


def test_an_older_database_is_told_and_brought_up_to_date(
    engine: Engine, newer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.begin() as connection:
        connection.execute(insert(Room).values(name="504", zone="Europe/Moscow"))
    monkeypatch.setattr(schema, "MIGRATIONS", newer)
    assert schema.state(engine) == "behind"
    message = refusal(schema.require_current, engine)
    assert "older than this program" in message and "python app.py init-db" in message
    assert schema.upgrade(engine) == [NEXT]
    schema.require_current(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT name, floor FROM rooms")).all() == [("504", None)]


INSERT_RECORD = (
    "INSERT INTO records (id, room_id, start_at, end_at, created_at, updated_at, run_after, zone,"
    " layout, profile, event_name"
)
OF_ROOM_7 = ", ".join(["7", *["'2026-11-20 12:00:00'"] * 5, "'UTC', 'side_by_side', '720p'"])


def upgrade_until(
    revision: str, engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Make the tables as they were before a revision."""
    shutil.copytree(schema.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (folder / "versions").glob("*.py"):
        if path.name >= revision:
            path.unlink()
    with monkeypatch.context() as earlier:
        earlier.setattr(schema, "MIGRATIONS", folder)
        assert schema.upgrade(engine) == [one for one in REVISIONS if one < revision]


def test_names_and_addresses_of_before_get_their_form(
    empty: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade_until("0007", empty, tmp_path / "migrations", monkeypatch)
    emails = {
        1: "e\u0301va@example.edu", 2: "o\u0308@example.edu", 3: "\u00f6@example.edu",
        4: "\uff41nn@example.edu", 5: "ann@example.edu",
    }  # fmt: skip
    named = "INSERT INTO users (id, email, name) VALUES (:id, :email, :name)"
    with empty.begin() as connection:
        for user, email in emails.items():
            name = "\u202e" if user == 5 else f"a\u202e\u2066b \u200c{user}"
            connection.execute(text(named), {"id": user, "email": email, "name": name})
        connection.execute(text("INSERT INTO rooms (id, name, zone) VALUES (7, '504', 'UTC')"))
        connection.execute(
            text(f"{INSERT_RECORD}, course_code) VALUES (9, {OF_ROOM_7}, :name, :code)"),
            {"name": "\u202egnp.exe\x00", "code": "M1\u200f"},
        )
    assert "0007" in schema.upgrade(empty)
    with Session(empty) as session:
        people = session.scalars(select(User).order_by(User.id)).all()
        # Two that are one by now, and one that looks like another's, stay as they are.
        assert [p.email for p in people] == ["\u00e9va@example.edu", *list(emails.values())[1:]]
        assert [p.name for p in people] == [*(f"ab \u200c{n}" for n in range(1, 5)), "\u202e"]
        assert all(person.is_confirmed and not person.accounts for person in people)
        kept = session.scalars(select(Record)).one()
        assert (kept.event_name, kept.course_code) == ("gnp.exe", "M1")


def test_a_database_with_rows_keeps_them(
    empty: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite makes tables anew to count on; what refers to them stays, and refers to them."""
    upgrade_until("0004", empty, tmp_path / "migrations", monkeypatch)
    with empty.begin() as connection:
        for statement in (
            "INSERT INTO rooms (id, name, zone) VALUES (7, '504', 'UTC')",
            "INSERT INTO sources (room_id, name, role, kind, address)"
            " VALUES (7, 'camera', 'speaker', 'folder', '/videos')",
            "INSERT INTO users (id, email) VALUES (3, 'a@example.edu')",
            f"{INSERT_RECORD}) VALUES (9, {OF_ROOM_7}, 'lecture')",
            "INSERT INTO record_users VALUES (9, 3, 0)",
        ):
            connection.execute(text(statement))
    assert schema.upgrade(empty) == REVISIONS[3:]
    with empty.begin() as connection:
        kept = connection.execute(
            text("SELECT r.id, r.done, s.name, u.user_id FROM records r"
                 " JOIN sources s ON s.room_id = r.room_id JOIN record_users u ON u.record_id = r.id")
        )  # fmt: skip
        assert kept.all() == [(9, 0, "camera", 3)]
        connection.execute(delete(Record))
        connection.execute(delete(Room))
        for table in ("record_users", "sources"):
            assert connection.scalar(text(f"SELECT COUNT(*) FROM {table}")) == 0


def test_no_id_is_given_again(engine: Engine) -> None:
    """A worker that hung, a session, a link: they mean the old one."""
    for model, values in ((Room, {"name": "504", "zone": "UTC"}), (Record, record())):
        ids = []
        for _ in range(2):
            with engine.begin() as connection:
                ids.append(connection.execute(insert(model).values(values)).inserted_primary_key[0])
                connection.execute(delete(model))
        assert ids[0] < ids[1]


def test_a_new_migration_is_written_from_the_template(
    engine: Engine, newer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", newer)
    schema.upgrade(engine)
    config = schema._config()
    with engine.connect() as connection:
        config.attributes |= {
            "connection": connection,
            "version_table": schema.VERSION_TABLE,
            "metadata": Base.metadata,
        }
        command.revision(config, "No floors any more", autogenerate=True, rev_id=AFTER_NEXT)
    written = (newer / "versions" / f"{AFTER_NEXT}_no_floors_any_more.py").read_text()
    assert """op.drop_column('rooms', 'floor')""" in written
    assert schema.upgrade(engine) == [AFTER_NEXT]
    with engine.connect() as connection:
        assert "floor" not in [
            column["name"] for column in inspect(connection).get_columns("rooms")
        ]


def test_a_newer_database_is_told_and_left_alone(
    empty: Engine, newer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as later:
        later.setattr(schema, "MIGRATIONS", newer)
        assert schema.upgrade(empty) == [*REVISIONS, NEXT]
    before = described(empty)
    assert schema.state(empty) == "ahead"
    for act in (schema.require_current, schema.upgrade):
        assert "this program is older than the tables" in refusal(act, empty)
    assert described(empty) == before


def test_tables_of_another_program_are_left_alone(empty: Engine) -> None:
    with empty.begin() as connection:
        # One of alembic's too, and one that is called like one of ours.
        connection.execute(text("CREATE TABLE users (id INTEGER)"))
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('0001')"))
    before = described(empty)
    assert schema.state(empty) == "foreign"
    for act in (schema.require_current, schema.upgrade):
        message = refusal(act, empty)
        assert "another program" in message and "SQLALCHEMY_DATABASE_URI" in message
    assert described(empty) == before

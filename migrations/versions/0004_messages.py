"""Ids that are never given again, margins of rooms, messages, calendars, courses, raw uploads."""

import re
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"

# A deleted row's id must not pass for that of a new one: a worker that hung meanwhile, a session
# or a link means the old one. MySQL and MariaDB count on by themselves; SQLite only when told.
_COUNT_ON = ("rooms", "sources", "users", "records")


def _key(length: int = 255) -> Any:
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql")


IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")


# MySQL and MariaDB commit every statement by itself: each step passes over what is there.
def _create_table(name: str, *parts: Any) -> None:
    op.create_table(
        name, *parts, if_not_exists=True, mysql_engine="InnoDB", mysql_charset="utf8mb4"
    )


def _create_index(name: str, table: str, *columns: str) -> None:
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns)


def _add_column(table: str, column: Any) -> None:
    if column.name not in {c["name"] for c in sa.inspect(op.get_bind()).get_columns(table)}:
        op.add_column(table, column)


def _refers(column: str, target: str, name: str) -> Any:
    return sa.ForeignKeyConstraint([column], [target], name=name, ondelete="CASCADE")


def _count_on(table: str) -> None:
    """Make a table of SQLite anew, with AUTOINCREMENT; foreign keys are off meanwhile.

    By hand: alembic's way copies generated columns, too, which SQLite refuses.
    """
    run = op.get_bind().exec_driver_sql
    made = "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type = ? AND sql IS NOT NULL"
    [statement] = run(made, (table, "table")).scalars()
    if "AUTOINCREMENT" in statement:
        return
    indexes = run(made, (table, "index")).scalars().all()
    changed = re.sub(rf",\s*CONSTRAINT pk_{table} PRIMARY KEY \(id\)", "", statement)
    changed = changed.replace(
        "id INTEGER NOT NULL", "id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT", 1
    )
    columns = ", ".join(c[1] for c in run(f"PRAGMA table_xinfo({table})") if c[6] == 0)
    run("PRAGMA legacy_alter_table = ON")  # what refers to the table goes on to do so
    run(f"ALTER TABLE {table} RENAME TO old_{table}")
    run("PRAGMA legacy_alter_table = OFF")
    run(changed)
    run(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM old_{table}")
    run(f"DROP TABLE old_{table}")
    for index in indexes:
        run(index)


def upgrade() -> None:
    _add_column("rooms", sa.Column("early_s", sa.Integer(), nullable=False, server_default="60"))
    _add_column("rooms", sa.Column("late_s", sa.Integer(), nullable=False, server_default="120"))
    _add_column("rooms", sa.Column("mails", sa.Boolean(), nullable=False, server_default="1"))
    _add_column("rooms", sa.Column("uploads_raw", sa.Boolean(), nullable=False, server_default="0"))
    _add_column("users", sa.Column("language", _key(8)))
    if op.get_bind().dialect.name == "sqlite":
        for table in _COUNT_ON:
            _count_on(table)
    _create_table(
        "messages",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("identity", _key(64), nullable=False),
        sa.Column("record_id", IDENTITY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", _key(16), nullable=False),
        sa.Column("channel", _key(16), nullable=False),
        sa.Column("recipient", _key(), nullable=False),
        sa.Column("status", _key(16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("sent_at", INSTANT),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("error_text", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.UniqueConstraint("identity", name="uq_messages_identity"),
        _refers("record_id", "records.id", "fk_messages_record_id"),
    )
    _create_index("ix_messages_status_due_at", "messages", "status", "due_at")
    _create_table(
        "calendars",
        sa.Column("room_id", IDENTITY, nullable=False),
        sa.Column("calendar_id", _key(), nullable=False),
        sa.Column("sync_token", sa.Text()),
        sa.Column("synced_at", INSTANT),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("channel_id", _key(64)),
        sa.Column("channel_token", _key(64)),
        sa.Column("channel_resource", _key()),
        sa.Column("channel_until", INSTANT),
        sa.Column("error_text", sa.Text()),
        sa.PrimaryKeyConstraint("room_id", name="pk_calendars"),
        _refers("room_id", "rooms.id", "fk_calendars_room_id"),
    )
    _create_table(
        "courses",
        sa.Column("code", _key(), nullable=False),
        sa.Column("course_id", _key(64), nullable=False),
        sa.PrimaryKeyConstraint("code", name="pk_courses"),
    )
    _create_table(
        "uploads",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("source_id", IDENTITY, nullable=False),
        sa.Column("destination", _key(64), nullable=False),
        sa.Column("name", _key(), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("status", _key(16), nullable=False),
        sa.Column("sha256", _key(64)),
        sa.Column("link", sa.Text()),
        sa.Column("uploaded_at", INSTANT),
        sa.Column("error_text", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
        sa.UniqueConstraint(
            "source_id", "destination", "name", name="uq_uploads_source_id_destination_name"
        ),
        _refers("source_id", "sources.id", "fk_uploads_source_id"),
    )

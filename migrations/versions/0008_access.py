"""Who may request and watch in a room; requests that wait for the leave of somebody."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0008"
down_revision = "0007"


def _key(length: int = 255) -> Any:
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql")


IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")


# MySQL and MariaDB commit every statement by itself: each step passes over what is there.
def _create_table(name: str, *parts: Any, **options: Any) -> None:
    op.create_table(
        name, *parts, if_not_exists=True, mysql_engine="InnoDB", mysql_charset="utf8mb4", **options
    )


def _create_index(name: str, table: str, *columns: str) -> None:
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns)


def _columns(table: str) -> dict[str, Any]:
    return {column["name"]: column for column in sa.inspect(op.get_bind()).get_columns(table)}


def _refers(column: str, target: str, table: str, ondelete: str = "CASCADE") -> Any:
    return sa.ForeignKeyConstraint(
        [column], [target], name=f"fk_{table}_{column}", ondelete=ondelete
    )


def _open_messages() -> None:
    """Let messages be about requests for access, and about no record."""
    if op.get_bind().dialect.name == "sqlite":
        if "access_id" not in _columns("messages"):
            _open_messages_of_sqlite()
        return
    if "access_id" not in _columns("messages"):
        op.add_column("messages", sa.Column("access_id", IDENTITY))
    if not _columns("messages")["record_id"]["nullable"]:
        op.alter_column("messages", "record_id", existing_type=IDENTITY, nullable=True)
    keys = {key["name"] for key in sa.inspect(op.get_bind()).get_foreign_keys("messages")}
    if "fk_messages_access_id" not in keys:
        op.create_foreign_key(
            "fk_messages_access_id", "messages", "access_requests", ["access_id"], ["id"],
            ondelete="CASCADE",
        )  # fmt: skip


def _open_messages_of_sqlite() -> None:
    """Write the table anew: a column there cannot become one that may be null."""
    run = op.get_bind().exec_driver_sql
    made = "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type = ? AND sql IS NOT NULL"
    [statement] = run(made, ("messages", "table")).scalars()
    indexes = run(made, ("messages", "index")).scalars().all()
    columns = ", ".join(_columns("messages"))
    changed = statement.replace("record_id INTEGER NOT NULL", "record_id INTEGER", 1).replace(
        "CONSTRAINT pk_messages",
        "access_id INTEGER, CONSTRAINT fk_messages_access_id FOREIGN KEY(access_id)"
        " REFERENCES access_requests (id) ON DELETE CASCADE, CONSTRAINT pk_messages",
        1,
    )
    run("ALTER TABLE messages RENAME TO old_messages")
    run(changed)
    run(f"INSERT INTO messages ({columns}) SELECT {columns} FROM old_messages")
    run("DROP TABLE old_messages")
    for index in indexes:
        run(index)


def upgrade() -> None:
    there = _columns("rooms")
    for column in ("requesters", "watchers"):
        if column not in there:
            op.add_column("rooms", sa.Column(column, sa.JSON()))
    table = "access_requests"
    _create_table(
        table,
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("user_id", IDENTITY, nullable=False),
        sa.Column("room_id", IDENTITY, nullable=False),
        sa.Column("start_at", INSTANT, nullable=False),
        sa.Column("end_at", INSTANT, nullable=False),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.Column("state", _key(16), nullable=False),
        sa.Column("decided_by", IDENTITY),
        sa.Column("decided_at", INSTANT),
        sa.Column("record_id", IDENTITY),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_access_requests"),
        _refers("user_id", "users.id", table),
        _refers("room_id", "rooms.id", table),
        _refers("decided_by", "users.id", table, "SET NULL"),
        _refers("record_id", "records.id", table, "SET NULL"),
        sqlite_autoincrement=True,
    )
    _create_index(
        "ix_access_requests_room_id_state_start_at", table, "room_id", "state", "start_at"
    )
    _create_index("ix_access_requests_user_id_state", table, "user_id", "state")
    table = "access_asks"
    _create_table(
        table,
        sa.Column("access_id", IDENTITY, nullable=False, autoincrement=False),
        sa.Column("user_id", IDENTITY, nullable=False, autoincrement=False),
        sa.Column("digest", _key(64)),
        sa.Column("allowed_at", INSTANT),
        sa.PrimaryKeyConstraint("access_id", "user_id", name="pk_access_asks"),
        sa.UniqueConstraint("digest", name="uq_access_asks_digest"),
        _refers("access_id", "access_requests.id", table),
        _refers("user_id", "users.id", table),
    )
    _create_index("ix_access_asks_user_id", table, "user_id")
    _open_messages()

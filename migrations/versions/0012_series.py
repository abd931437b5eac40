"""Series, their occurrences, and days off."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0012"
down_revision = "0011"


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


def _create_index(table: str, *columns: str) -> None:
    name = f"ix_{table}_{'_'.join(columns)}"
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns)


def _to(table: str, other: str, column: str, on_delete: str = "CASCADE") -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}"
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=name, ondelete=on_delete)


def upgrade() -> None:
    _create_table(
        "series",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("room_id", IDENTITY, nullable=False),
        sa.Column("source", _key(64), nullable=False),
        sa.Column("source_key", _key(), nullable=False),
        sa.Column("course_code", sa.String(255)),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("zone", _key(64), nullable=False),
        sa.Column("starts_local", sa.DateTime(), nullable=False),
        sa.Column("length_s", sa.Integer(), nullable=False),
        sa.Column("rule", sa.Text()),
        sa.Column("until_day", sa.Date()),
        sa.Column("exdates", sa.JSON(), nullable=False),
        sa.Column("rdates", sa.JSON(), nullable=False),
        sa.Column("overrides", sa.JSON(), nullable=False),
        sa.Column("mode", _key(8), nullable=False),
        sa.Column("meeting", _key(32)),
        sa.Column("drive_folder", _key()),
        sa.Column("layout", _key(64)),
        sa.Column("profile", _key(64)),
        sa.Column("external", _key()),
        sa.Column("priority", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("state", _key(16), nullable=False),
        sa.Column("reason", sa.String(255)),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_series"),
        sa.UniqueConstraint("source", "source_key", name="uq_series_source_source_key"),
        _to("series", "rooms", "room_id"),
    )
    _create_index("series", "room_id")
    _create_index("series", "meeting")
    _create_table(
        "series_people",
        sa.Column("series_id", IDENTITY, nullable=False),
        sa.Column("user_id", IDENTITY, nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("series_id", "user_id", name="pk_series_people"),
        _to("series_people", "series", "series_id"),
        _to("series_people", "users", "user_id"),
    )
    _create_index("series_people", "user_id")
    _create_table(
        "occurrences",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("series_id", IDENTITY, nullable=False),
        sa.Column("original_at", INSTANT, nullable=False),
        sa.Column("start_at", INSTANT, nullable=False),
        sa.Column("end_at", INSTANT, nullable=False),
        sa.Column("name", sa.String(255)),
        sa.Column("room_id", IDENTITY),
        sa.Column("is_off", sa.Boolean(), nullable=False, server_default="0"),
        sa.Column("reason", sa.Text()),
        sa.Column("is_changed", sa.Boolean(), nullable=False, server_default="0"),
        sa.Column("record_id", IDENTITY),
        sa.Column("requested_at", INSTANT),
        sa.Column("follows", sa.Boolean(), nullable=False, server_default="0"),
        sa.Column("keeps_texts", sa.Boolean(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id", name="pk_occurrences"),
        sa.UniqueConstraint(
            "series_id", "original_at", name="uq_occurrences_series_id_original_at"
        ),
        _to("occurrences", "series", "series_id"),
        _to("occurrences", "rooms", "room_id", "SET NULL"),
        _to("occurrences", "records", "record_id", "SET NULL"),
    )
    for column in ("start_at", "room_id", "record_id"):
        _create_index("occurrences", column)
    _create_table(
        "days_off",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("room_id", IDENTITY),
        sa.PrimaryKeyConstraint("id", name="pk_days_off"),
        sa.UniqueConstraint(
            "first_day", "last_day", "room_id", name="uq_days_off_first_day_last_day_room_id"
        ),
        _to("days_off", "rooms", "room_id"),
    )
    _create_index("days_off", "room_id")

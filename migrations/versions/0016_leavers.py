"""Who has left a record; by whom a series was ended; when a lecture was changed; archives."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0016"
down_revision = "0015"

INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key(length: int = 255) -> Any:
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql")


# MySQL and MariaDB commit every statement by itself: each step passes over what is there.
def _add_column(table: str, column: Any) -> None:
    if column.name not in {c["name"] for c in sa.inspect(op.get_bind()).get_columns(table)}:
        op.add_column(table, column)


def _to(other: str, column: str) -> sa.ForeignKeyConstraint:
    name = f"fk_record_leavers_{column}"
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=name, ondelete="CASCADE")


def upgrade() -> None:
    op.create_table(
        "record_leavers",
        sa.Column("record_id", IDENTITY, nullable=False),
        sa.Column("user_id", IDENTITY, nullable=False),
        sa.PrimaryKeyConstraint("record_id", "user_id", name="pk_record_leavers"),
        _to("records", "record_id"),
        _to("users", "user_id"),
        if_not_exists=True,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    indexes = sa.inspect(op.get_bind()).get_indexes("record_leavers")
    if "ix_record_leavers_user_id" not in {index["name"] for index in indexes}:
        op.create_index("ix_record_leavers_user_id", "record_leavers", ["user_id"])
    _add_column("series", sa.Column("ended_by", _key(16)))
    _add_column("occurrences", sa.Column("updated_at", INSTANT))
    # Until now, what a timetable had ended said so in its reason.
    op.execute(
        sa.text(
            "UPDATE series SET ended_by = CASE WHEN reason = 'no longer in the timetable'"
            " THEN 'timetable' ELSE 'people' END WHERE state = 'over' AND ended_by IS NULL"
        )
    )
    op.execute(
        sa.text("UPDATE series SET reason = NULL WHERE state = 'over' AND ended_by = 'timetable'")
    )
    _add_column("rooms", sa.Column("archives", sa.Boolean(), server_default="0", nullable=False))

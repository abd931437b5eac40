"""What is reported of meetings while they go on."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0011"
down_revision = "0010"


def _key(length: int = 255) -> Any:
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql")


INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")


# MySQL and MariaDB commit every statement by itself: each step passes over what is there.
def _create_index(name: str, table: str, *columns: str) -> None:
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns)


def upgrade() -> None:
    op.create_table(
        "meeting_events",
        sa.Column("uuid", _key(128), nullable=False),
        sa.Column("number", _key(32), nullable=False),
        sa.Column("kind", _key(32), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("uuid", "number", "kind", "at", name="pk_meeting_events"),
        if_not_exists=True,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    _create_index("ix_meeting_events_number_at", "meeting_events", "number", "at")
    _create_index("ix_meeting_events_at", "meeting_events", "at")

"""Recordings in the order in which they were ready; how far those are that are tried again."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0015"
down_revision = "0014"

INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")


# MySQL and MariaDB commit every statement by itself: each step passes over what is there.
def _add_column(table: str, column: Any) -> None:
    if column.name not in {c["name"] for c in sa.inspect(op.get_bind()).get_columns(table)}:
        op.add_column(table, column)


def _create_index(table: str, *columns: str) -> None:
    name = f"ix_{table}_{columns[0]}"
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns)


def upgrade() -> None:
    listed_at = sa.Computed(
        "COALESCE(delivered_at, CASE WHEN created_at > end_at THEN created_at ELSE end_at END)",
        persisted=False,
    )
    _add_column("records", sa.Column("listed_at", INSTANT, listed_at))
    _create_index("records", "listed_at", "id")
    _add_column("records", sa.Column("reached", sa.Double(), nullable=False, server_default="0"))

"""What becomes of recordings that nobody requested; indexes to look for them."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0014"
down_revision = "0013"


def _key(length: int = 255) -> Any:
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql")


# MySQL and MariaDB commit every statement by itself: each step passes over what is there.
def _add_column(table: str, column: Any) -> None:
    if column.name not in {c["name"] for c in sa.inspect(op.get_bind()).get_columns(table)}:
        op.add_column(table, column)


def _create_index(table: str, *columns: str) -> None:
    name = f"ix_{table}_{'_'.join(columns)}"
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns)


def upgrade() -> None:
    _add_column("rooms", sa.Column("default_course", sa.String(255)))
    _add_column("rooms", sa.Column("unmatched", _key(8)))
    _add_column("rooms", sa.Column("shortest_s", sa.Integer()))
    _create_index("offers", "place", "id")
    _create_index("offers", "record_id")

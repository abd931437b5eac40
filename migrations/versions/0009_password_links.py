"""Links with which people set a password, and what people choose."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0009"
down_revision = "0008"


def _key(length: int = 255) -> Any:
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql")


IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")


# MySQL and MariaDB commit every statement by itself: each step passes over what is there.
def _add_column(table: str, column: Any) -> None:
    if column.name not in {c["name"] for c in sa.inspect(op.get_bind()).get_columns(table)}:
        op.add_column(table, column)


def _create_index(name: str, table: str, *columns: str) -> None:
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns)


def upgrade() -> None:
    _add_column(
        "users", sa.Column("language_chosen", sa.Boolean(), nullable=False, server_default="0")
    )
    _add_column("users", sa.Column("zone", _key(64)))
    _add_column("users", sa.Column("last_seen_at", INSTANT))
    _add_column("users", sa.Column("notifications", sa.JSON()))
    op.create_table(
        "password_links",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("user_id", IDENTITY, nullable=False),
        sa.Column("digest", _key(64), nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_password_links"),
        sa.UniqueConstraint("digest", name="uq_password_links_digest"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_password_links_user_id", ondelete="CASCADE"
        ),
        if_not_exists=True,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    _create_index("ix_password_links_user_id", "password_links", "user_id")

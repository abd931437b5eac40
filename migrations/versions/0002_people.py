"""Signing in, API keys, answers that are given again, other versions, pictures of chunks."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"


def _key(length: int = 255) -> Any:
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql")


IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql")


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


def upgrade() -> None:
    _add_column("users", sa.Column("role", _key(16), nullable=False, server_default="user"))
    _add_column("users", sa.Column("invited", sa.Boolean(), nullable=False, server_default="0"))
    _add_column("users", sa.Column("password_hash", sa.Text()))
    _add_column(
        "users", sa.Column("session_number", sa.Integer(), nullable=False, server_default="1")
    )
    _create_table(
        "api_keys",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("user_id", IDENTITY, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("hint", _key(16), nullable=False),
        sa.Column("digest", _key(64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("last_used_at", INSTANT),
        sa.Column("revoked_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_api_keys_user_id", ondelete="CASCADE"
        ),
    )
    _create_index("ix_api_keys_user_id", "api_keys", "user_id")
    _create_table(
        "answers",
        sa.Column("digest", _key(64), nullable=False),
        sa.Column("asked", _key(64), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("body", LONG_TEXT, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_answers"),
    )
    _create_index("ix_answers_created_at", "answers", "created_at")
    _add_column("records", sa.Column("delivered_as", sa.JSON()))
    _create_index("ix_records_updated_at", "records", "updated_at", "id")
    _create_index("ix_records_start_at", "records", "start_at", "id")
    _add_column("chunks", sa.Column("pictures", LONG_TEXT))

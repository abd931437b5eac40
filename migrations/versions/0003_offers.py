"""Recordings that were made without anybody asking, such as of a meeting."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"


def _key(length: int = 255) -> Any:
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql")


IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")


def upgrade() -> None:
    op.create_table(
        "offers",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("kind", _key(32), nullable=False),
        sa.Column("origin", _key(), nullable=False),
        sa.Column("place", _key(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("owner", _key()),
        sa.Column("start_at", INSTANT),
        sa.Column("end_at", INSTANT),
        sa.Column("state", _key(16), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("record_id", IDENTITY),
        sa.Column("offered_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_offers"),
        sa.UniqueConstraint("kind", "origin", name="uq_offers_kind_origin"),
        sa.ForeignKeyConstraint(
            ["record_id"], ["records.id"], name="fk_offers_record_id", ondelete="SET NULL"
        ),
        if_not_exists=True,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )

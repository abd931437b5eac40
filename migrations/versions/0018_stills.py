"""Pictures that stand on the screens of rooms, where they were met, and what editors answer."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0018"
down_revision = "0017"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BYTES = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
_INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
_KIND = sa.String(16).with_variant(
    mysql.VARCHAR(16, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)


def _reference(table: str, column: str, to: str, ondelete: str = "CASCADE") -> Any:
    return sa.ForeignKeyConstraint(
        [column], [f"{to}.id"], name=f"fk_{table}_{column}", ondelete=ondelete
    )


def upgrade() -> None:
    # MySQL and MariaDB commit every statement by itself: each step passes over what is there.
    there = sa.inspect(op.get_bind())
    options = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
    if not there.has_table("stills"):
        op.create_table(
            "stills",
            sa.Column("id", _ID, nullable=False),
            sa.Column("room_id", _ID, nullable=False),
            sa.Column("rough", _BYTES, nullable=False),
            sa.Column("picture", _BYTES, nullable=False),
            sa.Column("differed", _BYTES, nullable=False),
            sa.Column("compared", sa.Integer(), nullable=False),
            sa.Column("last_at", _INSTANT, nullable=False),
            sa.Column("asked_at", _INSTANT),
            sa.Column("answer", _KIND),
            sa.Column("answered_by", _ID),
            sa.Column("answered_at", _INSTANT),
            sa.PrimaryKeyConstraint("id", name="pk_stills"),
            _reference("stills", "room_id", "rooms"),
            _reference("stills", "answered_by", "users", "SET NULL"),
            sa.Index("ix_stills_room_id_last_at", "room_id", "last_at"),
            sa.Index("ix_stills_asked_at", "asked_at"),
            sqlite_autoincrement=True,
            **options,
        )
    if not there.has_table("still_sightings"):
        op.create_table(
            "still_sightings",
            sa.Column("still_id", _ID, nullable=False),
            sa.Column("record_id", _ID, nullable=False),
            sa.Column("seconds", sa.Double(), nullable=False),
            sa.Column("at_start", sa.Boolean(), nullable=False),
            sa.Column("at_end", sa.Boolean(), nullable=False),
            sa.Column("decided", _KIND, nullable=False),
            sa.PrimaryKeyConstraint("still_id", "record_id", name="pk_still_sightings"),
            _reference("still_sightings", "still_id", "stills"),
            _reference("still_sightings", "record_id", "records"),
            sa.Index("ix_still_sightings_record_id", "record_id"),
            **options,
        )

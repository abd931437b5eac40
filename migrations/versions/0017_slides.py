"""Slides of videos: when each is shown, what it says, and a small picture; words to look for."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0017"
down_revision = "0016"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BYTES = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
_WORD = sa.String(64).with_variant(
    mysql.VARCHAR(64, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
_SLIDE = ("record_id", "version", "number")


def _columns() -> list[Any]:
    types = (_ID, sa.Integer(), sa.SmallInteger())
    return [sa.Column(name, kind) for name, kind in zip(_SLIDE, types, strict=True)]


def upgrade() -> None:
    # MySQL and MariaDB commit every statement by itself: each step passes over what is there.
    there = sa.inspect(op.get_bind())
    options = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
    if not there.has_table("slides"):
        op.create_table(
            "slides",
            *_columns(),
            sa.Column("start_ms", sa.Integer(), nullable=False),
            sa.Column("end_ms", sa.Integer(), nullable=False),
            sa.Column("title", sa.String(255), nullable=False),
            sa.Column("words", sa.Text(), nullable=False),
            sa.Column("picture", _BYTES),
            sa.PrimaryKeyConstraint(*_SLIDE, name="pk_slides"),
            sa.ForeignKeyConstraint(
                ["record_id"], ["records.id"], name="fk_slides_record_id", ondelete="CASCADE"
            ),
            **options,
        )
    if not there.has_table("slide_words"):
        op.create_table(
            "slide_words",
            sa.Column("word", _WORD),
            *_columns(),
            sa.PrimaryKeyConstraint("word", *_SLIDE, name="pk_slide_words"),
            sa.ForeignKeyConstraint(
                _SLIDE, [f"slides.{name}" for name in _SLIDE],
                name="fk_slide_words_record_id", ondelete="CASCADE",
            ),
            sa.Index("ix_slide_words_record_id_version_number", *_SLIDE),
            **options,
        )  # fmt: skip

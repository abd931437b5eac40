"""Rooms say when the right-hand side switches, and whether board and slide are shown both.

Who chose how often the screen is checked has their videos cut by that, as before; all others get
what is decided for every instant.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0019"
down_revision = "0018"

_USUAL_CHUNK_S = 1800
_KEY = sa.String(8).with_variant(
    mysql.VARCHAR(8, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)


def upgrade() -> None:
    # MySQL and MariaDB commit every statement by itself: each step passes over what is there.
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("rooms")}
    columns = (
        sa.Column("both_after_s", sa.Integer(), nullable=False, server_default="60"),
        sa.Column("shows_both", sa.Boolean(), nullable=False, server_default="0"),
        sa.Column("decide", _KEY, nullable=False, server_default="instant"),
    )
    for column in columns:
        if column.name not in there:
            op.add_column("rooms", column)
    rooms = sa.table("rooms", sa.column("chunk_s"), sa.column("decide"))
    op.execute(rooms.update().where(rooms.c.chunk_s != _USUAL_CHUNK_S).values(decide="chunk"))

"""Rooms whose chats and transcripts are delivered beside their videos."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    # MySQL and MariaDB commit every statement by itself: each step passes over what is there.
    columns = sa.inspect(op.get_bind()).get_columns("rooms")
    if "papers" not in {column["name"] for column in columns}:
        op.add_column(
            "rooms", sa.Column("papers", sa.Boolean(), server_default="0", nullable=False)
        )

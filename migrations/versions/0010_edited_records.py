"""Own titles, descriptions, and names that files are getting."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


# MySQL and MariaDB commit every statement by itself: each step passes over what is there.
def _add_column(table: str, column: sa.Column[object]) -> None:
    if column.name not in {one["name"] for one in sa.inspect(op.get_bind()).get_columns(table)}:
        op.add_column(table, column)


def upgrade() -> None:
    _add_column("record_users", sa.Column("title", sa.String(255)))
    _add_column("records", sa.Column("description", sa.Text()))
    _add_column(
        "records", sa.Column("is_outdated", sa.Boolean(), nullable=False, server_default="0")
    )
    _add_column("event_links", sa.Column("keeps_texts", sa.Boolean()))
    _add_column("deliveries", sa.Column("former_names", sa.JSON()))

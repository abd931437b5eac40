"""Secrets have a table, and columns that are long enough for them once they are encrypted.

What is in there is not encrypted here: `app.py init-db` does so with the key, once the tables are
up to date.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"

LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql")
FACTS = sa.table("facts", sa.column("name"), sa.column("value"))
SECRETS = sa.table("secrets", sa.column("name"), sa.column("value"))
CALENDARS = sa.table("calendars", sa.column("channel_token"), sa.column("channel_secret"))
_MOVED = "web-secret"


def _key(length: int = 255) -> Any:
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql")


# MySQL and MariaDB commit every change of a table by itself: of what was cut off, the rest is done.
def upgrade() -> None:
    bind = op.get_bind()
    op.create_table(
        "secrets",
        sa.Column("name", _key(64), nullable=False),
        sa.Column("value", LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_secrets"),
        if_not_exists=True,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    if bind.dialect.name != "sqlite":  # which knows no lengths
        for name, optional in (("address", False), ("credentials", True)):
            op.alter_column(
                "sources", name, existing_type=sa.Text(), existing_nullable=optional,
                type_=mysql.MEDIUMTEXT(),
            )  # fmt: skip
    there = {column["name"] for column in sa.inspect(bind).get_columns("calendars")}
    if "channel_secret" not in there:
        op.add_column("calendars", sa.Column("channel_secret", LONG_TEXT))
    if "channel_token" in there:
        bind.execute(sa.update(CALENDARS).values(channel_secret=CALENDARS.c.channel_token))
        op.drop_column("calendars", "channel_token")
    # In one transaction with the end of this migration.
    moved = sa.select(FACTS.c.name, FACTS.c.value).where(FACTS.c.name == _MOVED)
    bind.execute(sa.insert(SECRETS).from_select(["name", "value"], moved))
    bind.execute(sa.delete(FACTS).where(FACTS.c.name == _MOVED))

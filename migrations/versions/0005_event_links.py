"""Which event of a calendar a record is of: rows, where keys and columns of records said it."""

import hashlib
import re
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"

# The key of a record that an event has made, and what it became once people asked for it as well,
# with the time of the event then.
_OWN = re.compile("event ([0-9a-f]{64})")
_KEPT = re.compile("kept ([0-9a-f]{64}) (\\S+) (\\S+)")
_COLUMNS = ("calendar_id", "event_id")


def _key(length: int = 255) -> Any:
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql")


IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")

RECORDS = sa.table(
    "records", sa.column("id"), sa.column("calendar_id"), sa.column("event_id"),
    sa.column("idempotency_key"),
)  # fmt: skip
LINKS = sa.table(
    "event_links", sa.column("record_id"), sa.column("calendar_id"), sa.column("event_id"),
    sa.column("follows"), sa.column("kept_start_at", INSTANT), sa.column("kept_end_at", INSTANT),
)  # fmt: skip


def _link(record: int, calendar: str, event: str, key: str) -> dict[str, Any]:
    """Return the row about a record and the event that its columns and its key tell of."""
    link: dict[str, Any] = {
        "record_id": record, "calendar_id": calendar, "event_id": event, "follows": None,
        "kept_start_at": None, "kept_end_at": None,
    }  # fmt: skip
    mark = hashlib.sha256(f"{calendar}\0{event}".encode()).hexdigest()
    kept = _KEPT.fullmatch(key)
    if key == f"event {mark}":
        link["follows"] = True
    elif kept is not None and kept[1] == mark:
        for name, text in (("kept_start_at", kept[2]), ("kept_end_at", kept[3])):
            link[name] = datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
    return link


def _fill() -> None:
    """Write the links, and take from records the keys that held them.

    A record that was kept for people, and that its event has left since, has no columns: it is no
    more of the event.
    """
    bind = op.get_bind()
    known = set(bind.scalars(sa.select(LINKS.c.record_id)))
    links: list[dict[str, Any]] = []
    free: list[int] = []
    for record, calendar, event, key in bind.execute(sa.select(RECORDS)):
        if record in known:  # of a migration that was cut off after it had written all this
            continue
        if calendar is not None and event is not None:
            links.append(_link(record, calendar, event, key or ""))
        if _OWN.fullmatch(key or "") or _KEPT.fullmatch(key or ""):
            free.append(record)
    if links:
        bind.execute(sa.insert(LINKS), links)
    if free:
        statement = sa.update(RECORDS).where(RECORDS.c.id == sa.bindparam("record"))
        bind.execute(
            statement.values(idempotency_key=None), [{"record": record} for record in free]
        )


def upgrade() -> None:
    op.create_table(
        "event_links",
        sa.Column("record_id", IDENTITY, nullable=False, autoincrement=False),
        sa.Column("calendar_id", _key(), nullable=False),
        sa.Column("event_id", _key(), nullable=False),
        sa.Column("follows", sa.Boolean()),
        sa.Column("kept_start_at", INSTANT),
        sa.Column("kept_end_at", INSTANT),
        sa.PrimaryKeyConstraint("record_id", name="pk_event_links"),
        sa.UniqueConstraint(
            "calendar_id", "event_id", "follows",
            name="uq_event_links_calendar_id_event_id_follows",
        ),
        sa.ForeignKeyConstraint(
            ["record_id"], ["records.id"], name="fk_event_links_record_id", ondelete="CASCADE"
        ),
        if_not_exists=True,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )  # fmt: skip
    # MySQL and MariaDB commit every change of a table by itself: of what was cut off, the rest is
    # done. The rows are written in one transaction, which the first column that goes commits.
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("records")}
    if there.issuperset(_COLUMNS):
        _fill()
    for column in _COLUMNS:
        if column in there:
            op.drop_column("records", column)

"""Failed records are tried again, many at once, as after what failed them was put right."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Engine, select

from merger.accounts.permissions import Principal
from merger.db.engine import reading
from merger.errors import Refused
from merger.i18n import Message
from merger.records import actions, lookup
from models import Record

# They start one after the other, and the last not too late.
_APART = timedelta(minutes=1)
_LAST = timedelta(hours=2)


@dataclass(frozen=True)
class Choice:
    """Which failed records are meant; None: all. since: when they failed. limit: the oldest."""

    code: str | None = None
    room: str | None = None
    since: datetime | None = None
    limit: int | None = None


@dataclass
class Retried:
    """The records that are queued again, in order, and why others cannot be."""

    records: list[int] = field(default_factory=list)
    refused: dict[int, Message] = field(default_factory=dict)


def failed_records(engine: Engine, choice: Choice) -> list[int]:
    """Return failed records, the earliest lecture first. Raises Invalid for an unknown room."""
    with reading(engine) as session:
        query = select(Record.id).where(Record.status == "failed")
        if choice.code is not None:
            query = query.where(Record.error_code == choice.code)
        if choice.room is not None:
            query = query.where(Record.room_id == lookup.room_row(session, choice.room).id)
        if choice.since is not None:
            query = query.where(Record.updated_at >= choice.since)
        query = query.order_by(Record.start_at, Record.id).limit(choice.limit)
        return list(session.scalars(query))


def retry_failed(
    engine: Engine, choice: Choice, now: datetime, by: Principal | None = None
) -> Retried:
    """Queue failed records again, spread over time; one that cannot be stops no other.

    Args:
        by: an editor who wants it; None for the operator.
    """
    found, retried = failed_records(engine, choice), Retried()
    apart = min(_APART, _LAST / max(len(found), 1))
    for record in found:
        try:
            after = now + len(retried.records) * apart
            actions.retry(engine, record, now, asked_by=by, after=after)
        except Refused as error:
            retried.refused[record] = error.message
        else:
            retried.records.append(record)
    return retried

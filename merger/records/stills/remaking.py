"""Recordings are made again for which an answer about a room's screen matters."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from merger.accounts.permissions import Principal
from merger.db.engine import reading, writing
from merger.errors import Refused
from merger.i18n import Message
from merger.records import actions
from merger.records.processing.queue import add_history
from merger.records.stills.questions import matters_to
from models import Record, Still, StillSighting


@dataclass
class Remade:
    """The records of which another version is queued, in order, and why there is none of others."""

    records: list[int] = field(default_factory=list)
    refused: dict[int, Message] = field(default_factory=dict)


def remake(engine: Engine, still: int, by: Principal, now: datetime) -> Remade:
    """Queue another version of each record in which a still was seen and taken for something else.

    They show no more of anybody's meetings than before. One that cannot be stops no other.
    """
    remade = Remade()
    for record in _records(engine, still):
        try:
            actions.remerge(engine, record, now)
        except Refused as error:
            remade.refused[record] = error.message
        else:
            remade.records.append(record)
            _note(engine, record, by, now)
    return remade


def _records(engine: Engine, still: int) -> list[int]:
    query = (
        select(Record.id)
        .join(StillSighting, StillSighting.record_id == Record.id)
        .join(Still, Still.id == StillSighting.still_id)
        .where(Still.id == still, matters_to())
        .order_by(Record.start_at, Record.id)
    )
    with reading(engine) as session:
        return list(session.scalars(query))


def _note(engine: Engine, record: int, by: Principal, now: datetime) -> None:
    def add(session: Session) -> None:
        attempt = session.get_one(Record, record).attempt
        line = Message("history.remade_for_still", email=by.email)
        add_history(session, record, attempt, now, "remerged", line)

    writing(engine, add)

"""Who asks for a record that is delivered already gets what is there."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, selectinload

from merger.db.engine import reading, writing
from merger.errors import MergerError, Temporary
from merger.i18n import Message
from merger.ports.destination import GrantsAccess
from merger.records.queue import add_history
from merger.service import Service
from models import Delivery, Record, RecordUser

log = logging.getLogger(__name__)

_LATELY = timedelta(days=7)  # changed: whoever is added changes a record


@dataclass(frozen=True)
class _There:
    """A delivery, and for whom it is."""

    id: int
    record: int
    state: Mapping[str, Any]
    readers: tuple[str, ...]


def grant_new_viewers(service: Service, now: datetime) -> None:
    """Let those read what was delivered who asked for it afterwards."""
    for destination in service.destinations:
        if not isinstance(destination, GrantsAccess):
            continue
        for one in _delivered(service.engine, destination.name, now - _LATELY):
            try:
                _let(service.engine, destination, one, now)
            except MergerError as error:  # one never stops the others
                log.warning("record %s: %s", one.record, error.message)


def _delivered(engine: Engine, destination: str, since: datetime) -> list[_There]:
    with reading(engine) as session:
        wanted = (
            select(Delivery, Record)
            .join(Record, Record.id == Delivery.record_id)
            .options(selectinload(Record.users).selectinload(RecordUser.user))
            .where(
                Record.status == "delivered",
                Record.updated_at > since,
                Delivery.destination == destination,
                Delivery.status == "delivered",
            )
            .order_by(Delivery.id)
        )
        return [
            _There(row.id, record.id, row.state, tuple(entry.user.email for entry in record.users))
            for row, record in session.execute(wanted)
        ]


def _let(engine: Engine, destination: GrantsAccess, one: _There, now: datetime) -> None:
    notes: list[Message] = []
    kept = one.state

    def keep(state: Mapping[str, Any]) -> None:
        nonlocal kept

        def write(session: Session) -> bool:
            row = session.get(Delivery, one.id, with_for_update=True)
            if row is None or row.state != kept:
                return False
            row.state = dict(state)
            for note in notes:
                add_history(session, one.record, 0, now, "note", note)
            return True

        if not writing(engine, write):
            raise Temporary("readers", "a worker is at it, and lets them read it itself")
        kept = state
        notes.clear()

    destination.let_read(one.state, one.readers, lambda: None, notes.append, keep)

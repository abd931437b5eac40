"""Whoever requests a record that is delivered already gets access to what is there."""

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
from merger.records.processing.queue import add_history
from merger.service import Service
from models import Delivery, Record, RecordUser, User

log = logging.getLogger(__name__)

_LATELY = timedelta(days=7)  # changed: whoever is added changes a record


@dataclass(frozen=True)
class _Delivered:
    """A delivery, and who may see it. id: of the ledger's row; viewers: mail addresses."""

    id: int
    record: int
    state: Mapping[str, Any]
    viewers: tuple[str, ...]


def grant_new_viewers(service: Service, now: datetime) -> None:
    """Give access to what was delivered to those who requested it afterwards."""
    for destination in service.destinations:
        if not isinstance(destination, GrantsAccess):
            continue
        for delivery in _recent_deliveries(service.engine, destination.name, now - _LATELY):
            try:
                _grant(service.engine, destination, delivery, now)
            except MergerError as error:  # one never stops the others
                log.warning("record %s: %s", delivery.record, error.message)


def _recent_deliveries(engine: Engine, destination: str, since: datetime) -> list[_Delivered]:
    with reading(engine) as session:
        wanted = (
            select(Delivery, Record)
            .join(Record, Record.id == Delivery.record_id)
            .options(
                selectinload(Record.users)
                .selectinload(RecordUser.user)
                .joinedload(User.confirmation)
            )
            .where(
                Record.status == "delivered",
                Record.updated_at > since,
                Delivery.destination == destination,
                Delivery.status == "delivered",
            )
            .order_by(Delivery.id)
        )
        return [
            _Delivered(
                row.id,
                record.id,
                row.state,
                tuple(entry.user.email for entry in record.users if entry.user.is_confirmed),
            )
            for row, record in session.execute(wanted)
        ]


def _grant(engine: Engine, destination: GrantsAccess, delivery: _Delivered, now: datetime) -> None:
    notes: list[Message] = []
    state = delivery.state

    def keep(new: Mapping[str, Any]) -> None:
        nonlocal state

        def write(session: Session) -> bool:
            row = session.get(Delivery, delivery.id, with_for_update=True)
            if row is None or row.state != state:
                return False
            row.state = dict(new)
            for note in notes:
                add_history(session, delivery.record, 0, now, "note", note)
            return True

        if not writing(engine, write):
            raise Temporary("readers", "delivery.worker_delivers")
        state = new
        notes.clear()

    destination.let_read(delivery.state, delivery.viewers, lambda: None, notes.append, keep)

"""What no call announced is found all the same: recent recordings are looked through once a day."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from merger.db.engine import reading, writing
from merger.errors import MergerError
from merger.intake.discovered import ensure_record
from merger.intake.discovered_rows import is_covered, row_of, was_removed
from merger.ports.discovery import DiscoveredRecording
from merger.service import Service
from models import Fact

log = logging.getLogger(__name__)

LOOK_BACK = timedelta(days=3)  # a service that was off over a weekend misses nothing
_EVERY = timedelta(days=1)
# States that may still become a record.
_OPEN = ("waiting", "unplaced")


def find_discovered(service: Service, now: datetime) -> None:
    """Find, once a day, recent recordings that no call announced."""
    for kind, offering in service.offering.items():
        if not writing(service.engine, lambda session, k=kind: _is_due(session, k, now)):  # type: ignore[misc]
            continue
        for recording in offering.list_recordings(now - LOOK_BACK, now):
            if _is_settled(service.engine, recording):
                continue
            try:
                outcome = ensure_record(service, recording)
            except MergerError as error:  # one failure never stops the others
                log.warning("%s %s: %s", kind, recording.origin, error.message)
                continue
            if outcome.is_new:
                log.info("%s %s had been missed: record %s", kind, recording.origin, outcome.record)
        writing(service.engine, lambda session, k=kind: _mark_reconciled(session, k, now))  # type: ignore[misc]


def _is_due(session: Session, kind: str, now: datetime) -> bool:
    fact = session.get(Fact, f"reconciled-{kind}")
    return fact is None or not timedelta() <= now - datetime.fromisoformat(fact.value) < _EVERY


def _mark_reconciled(session: Session, kind: str, now: datetime) -> None:
    session.merge(Fact(name=f"reconciled-{kind}", value=now.isoformat()))


def _is_settled(engine: Engine, recording: DiscoveredRecording) -> bool:
    with reading(engine) as session:
        row = row_of(session, recording)
        if row is None or row.state in _OPEN:
            return False
        if was_removed(row):
            return True  # and stays removed
        return recording.span is None or is_covered(row, recording.span)

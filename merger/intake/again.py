"""Discovered recordings are matched again, as after a timetable has changed.

What was ignored for want of a lecture, or had no room, may become a record now. A record without a
course may be of a lecture: it gets that one's course and, if nobody has named it, its name.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import Session

from merger.db.engine import reading, writing
from merger.errors import Invalid, MergerError
from merger.i18n import Message
from merger.intake.discovered import ensure_record
from merger.intake.placing import Place, find_place
from merger.ports.discovery import DiscoveredRecording
from merger.records import edit
from merger.records.lookup import lock_record
from merger.series.lectures import give_record
from merger.service import Service
from merger.timeline.clock import Span
from models import Offer, Record

log = logging.getLogger(__name__)

STATES = ("ignored", "unplaced", "record")
_NO_LECTURE = ("discovered.no_lecture", "discovered.no_lecture_then")


@dataclass(frozen=True)
class Rematch:
    """What became of a recording that was matched again.

    Attributes:
        id, name: of the recording.
        record: None where there is none. is_changed: whether that is new, or of a course now.
        reason: why it has none.
    """

    id: int
    name: str
    record: int | None
    is_changed: bool
    reason: Message | None = None


def match_again(
    service: Service, state: str | None = None, limit: int | None = None
) -> list[Rematch]:
    """Match recordings again, the oldest first, and return what became of each.

    Args:
        state: only those in one of STATES.
        limit: at most so many.

    Raises:
        Invalid: there is no such state.
    """
    if state is not None and state not in STATES:
        raise Invalid("state", "discovered.no_state", value=state, choices=STATES)
    with reading(service.engine) as session:
        wanted = _select_offers(state)
        rows = [row for row in session.scalars(wanted) if _is_open(row)][:limit]
        session.expunge_all()
    return [found for row in rows for found in _match_again(service, row)]


def _select_offers(state: str | None) -> Select[Offer]:
    without_course: ColumnElement[bool] = and_(
        Record.course_code.is_(None), Record.status.in_(("queued", "running", "delivered"))
    )
    query = select(Offer).outerjoin(Record, Record.id == Offer.record_id).order_by(Offer.id)
    query = query.where(Offer.start_at.is_not(None), Offer.end_at.is_not(None))
    query = query.where(or_(Offer.state.in_(("ignored", "unplaced")), without_course))
    return query if state is None else query.where(Offer.state == state)


def _is_open(row: Offer) -> bool:
    """Return whether another match may change anything: not what is too short, for example."""
    return row.state != "ignored" or (row.reason is not None and row.reason.key in _NO_LECTURE)


def _match_again(service: Service, row: Offer) -> Iterator[Rematch]:
    if row.kind not in service.offering or row.start_at is None or row.end_at is None:
        return
    span = Span(row.start_at, row.end_at)
    recording = DiscoveredRecording(
        row.kind, row.origin, row.place, row.name, row.owner or "", span, span.length,
        is_complete=True,
    )  # fmt: skip
    try:
        if row.record_id is not None:
            is_changed = _name_record(service, row, recording)
            yield Rematch(row.id, row.name, row.record_id, is_changed)
        else:
            outcome = ensure_record(service, recording)
            yield Rematch(row.id, row.name, outcome.record, outcome.is_new, outcome.reason)
    except MergerError as error:  # one failure never stops the others
        log.warning("%s %s: %s", row.kind, row.origin, error.message)
        yield Rematch(row.id, row.name, row.record_id, False, error.message)


def _name_record(service: Service, offer: Offer, recording: DiscoveredRecording) -> bool:
    """Give the record of a recording the course of its lecture; return whether there is one."""
    with reading(service.engine) as session:
        discovery = service.offering[recording.kind]
        place = find_place(session, service.settings, discovery, recording)
    return writing(service.engine, lambda session: _name(session, offer, place, service.now()))


def _name(session: Session, offer: Offer, place: Place, now: datetime) -> bool:
    lecture = place.lecture
    if lecture is None or lecture.course is None or offer.record_id is None:
        return False
    row = lock_record(session, offer.record_id, None)
    if row.course_code is not None:
        return False
    texts: dict[str, str | None] = {"course_code": lecture.course}
    if row.event_name == offer.name:  # else people have named it
        texts["name"] = lecture.name
    edit.update_texts(row, texts, now)
    give_record(session, lecture, row.id, place.why, now)
    return True

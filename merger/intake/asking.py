"""People ask for recordings: what covers meetings of others is refused at once.

A record shows no more than `merger.records.leave` says, whatever is known here: a meeting that is
known only later is left out, and the record says so. What is known already is told to whoever asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from merger.accounts.external import requester_of
from merger.accounts.permissions import Principal
from merger.db.engine import reading
from merger.errors import Forbidden
from merger.ports.discovery import KINDS_OF_PEOPLE
from merger.records import leave, requests
from merger.service import Service
from merger.timeline.clock import Span, record_span
from models import Offer, Record, Room, Source

# A meeting that ends a little late does not keep the next lecture from being asked for.
_EDGE = timedelta(minutes=5)


def request_record(service: Service, request: requests.Request, now: datetime) -> tuple[int, bool]:
    """Queue a record for a person, as `requests.request_record` does.

    Raises:
        Forbidden: it would show meetings of others.
    """
    by = request.asked_by
    if by is not None and not by.sees_all:
        span = record_span(request.start, request.end, now)
        with reading(service.engine) as session:
            _check(session, service, Room.name == request.room, [span], by)
    named = replace(request, naming=requester_of(by, service.settings))
    return requests.request_record(service.engine, named, now)


def remerge(
    service: Service,
    record: int,
    now: datetime,
    by: Principal,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    **changes: Any,
) -> None:
    """Queue another version of a record for a person, as `requests.remerge` does.

    Raises:
        Forbidden: it would show meetings of others that it has not shown before.
    """
    if not by.sees_all:
        with reading(service.engine) as session:
            row = requests.record_row(session, record, by.only_of)
            before = Span(row.start_at, row.end_at)
            span = record_span(start or before.start, end or before.end, now)
            added = list(_outside(span, before))
            _check(session, service, Room.id == row.room_id, added, by, before)
    requests.remerge(
        service.engine, record, now, by.only_of, asked_by=by, start=start, end=end, **changes
    )


def _outside(span: Span, before: Span) -> Iterator[Span]:
    """Yield what a span has before and after another one. Pure."""
    if span.start < before.start:
        yield Span(span.start, min(span.end, before.start))
    if span.end > before.end:
        yield Span(max(span.start, before.end), span.end)


def _check(
    session: Session,
    service: Service,
    room: ColumnElement[bool],
    spans: Sequence[Span],
    by: Principal,
    before: Span | None = None,
) -> None:
    """Raise Forbidden where meetings of others were recorded in a room in some spans."""
    wanted = select(Source.kind, Source.address).join(Source.room)
    sources = session.execute(wanted.where(room, Source.kind.in_(KINDS_OF_PEOPLE))).all()
    if not sources or not spans:
        return
    theirs = replace(leave.leave_of_person(session, by.email), span=before)
    for kind, address in sources:
        place = service.offering[kind].place_of(address) if kind in service.offering else ""
        for span in spans:
            for origin, owner, meeting in _recorded(session, kind, place, span):
                if _shows(span, meeting) and not theirs.covers(origin, owner, meeting):
                    raise Forbidden(leave.MEETING, "records.meeting_of_another")


def _recorded(
    session: Session, kind: str, place: str, span: Span
) -> Iterator[tuple[str, str, Span]]:
    """Yield origin, owner and span of what was recorded at a place within a span."""
    rows = session.execute(
        select(Offer.origin, Offer.owner, Offer.start_at, Offer.end_at)
        .where(Offer.kind == kind, Offer.place == place)
        .where(Offer.start_at < span.end, Offer.end_at > span.start)
    )
    waiting = session.execute(  # their own spans follow once their records are made
        select(Offer.origin, Offer.owner, Record.start_at, Record.end_at)
        .join(Record, and_(Record.id == Offer.record_id, Offer.start_at.is_(None)))
        .where(Offer.kind == kind, Offer.place == place)
        .where(Record.start_at < span.end, Record.end_at > span.start)
    )
    for origin, owner, start, end in (*rows, *waiting):
        yield origin, owner or "", Span(start, end)


def _shows(span: Span, meeting: Span) -> bool:
    """Return whether a record of a span shows more of a meeting than its edge. Pure."""
    return span.cut_to(meeting).length > min(_EDGE, span.length / 2, meeting.length / 2)

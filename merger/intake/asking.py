"""People ask for recordings: what needs somebody's leave waits for it, or is refused at once.

Whose leave it needs is said in `merger.records.access.rules`. A record shows no more of meetings
than `merger.records.leave` says, whatever is known here: a meeting that is known only later is left
out, and the record says so. What is known already is told to whoever asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from merger.accounts.external import requester_of
from merger.accounts.permissions import Principal
from merger.db.engine import reading, writing
from merger.errors import Forbidden
from merger.ports.discovery import KINDS_OF_PEOPLE
from merger.records import actions, leave, lookup, requests
from merger.records.access import store as access
from merger.records.access.mode import mode_of
from merger.records.access.rules import Mode, Ruling
from merger.service import Service
from merger.timeline.clock import Span, record_span
from models import Offer, Record, Room, Source

# A meeting that ends a little late does not keep the next lecture from being asked for.
_EDGE = timedelta(minutes=5)


@dataclass(frozen=True)
class Outcome:
    """What became of a request: a record, or a request for access that waits for leave.

    Attributes:
        record: None where it waits.
        is_new: nobody had requested the record before.
        access: the id of what waits.
        asks: the addresses of those who are asked; nobody where editors are.
    """

    record: int | None
    is_new: bool = False
    access: int | None = None
    asks: tuple[str, ...] = ()


def request_record(service: Service, request: requests.Request, now: datetime) -> Outcome:
    """Queue a record for a person, as `requests.request_record` does, or ask for leave.

    Raises:
        Forbidden: they may not request in this room, or it would show meetings of others.
    """
    by = request.asked_by
    is_free = by is None or by.sees_all  # whatever the mode is
    mode: Mode = "open" if is_free else mode_of(service.settings, service.engine)
    named = replace(request, naming=requester_of(by, service.settings))
    checked = requests.check_request(named, now)
    span = Span(checked.start, checked.end)
    if by is not None and not by.sees_all:
        with reading(service.engine) as session:
            room = lookup.room_row(session, request.room)
            decision = _decision(session, room, by, span, now, mode)
            # Who owns what it overlaps with is asked, whether or not that is a meeting.
            if not decision.owners:
                check_meetings(session, service, Room.id == room.id, [span], by)

    def enter(session: Session) -> Outcome:
        room = lookup.room_row(session, checked.room, lock=True)
        decision = _decision(session, room, by, span, now, mode)
        if decision.outcome == "needs_leave":
            row = access.enter(session, room, checked, decision.owners, now)
            return Outcome(None, access=row.id, asks=decision.owners)
        if mode == "ask":
            _check_sharing(session, room, checked)
        record, is_new = requests.enter_request(session, checked, now, room)
        return Outcome(record, is_new)

    return writing(service.engine, enter)


def _decision(
    session: Session, room: Room, by: Principal | None, span: Span, now: datetime, mode: Mode
) -> Ruling:
    """Return what becomes of a request. Raises Forbidden where they may not request at all."""
    decision = access.decision_on(session, room, by, span, now, mode)
    if decision.outcome == "forbidden":
        raise Forbidden(access.CODE, "access.room_closed", room=room.name)
    return decision


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
    """Queue another version of a record for a person, as `actions.remerge` does.

    Raises:
        Forbidden: it would show what needs leave, or meetings of others that it has not shown.
    """
    if not by.sees_all:
        with reading(service.engine) as session:
            row = lookup.record_row(session, record, by.only_of)
            before = Span(row.start_at, row.end_at)
            span = record_span(start or before.start, end or before.end, now)
            added = list(_outside(span, before))
            check_meetings(session, service, Room.id == row.room_id, added, by, before)
            _check_leave(session, service, row, added, by, now)
            _check_own_time(session, service, row, by)
    actions.remerge(
        service.engine, record, now, by.only_of, asked_by=by, start=start, end=end, **changes
    )


def retry(service: Service, record: int, now: datetime, by: Principal) -> None:
    """Queue a record again for a person, as `actions.retry` does.

    Raises:
        Forbidden: it was cancelled, and others have requested its time since.
    """
    if not by.sees_all:
        with reading(service.engine) as session:
            row = lookup.record_row(session, record, by.only_of)
            _check_own_time(session, service, row, by)
    actions.retry(service.engine, record, now, by.only_of, asked_by=by)


def _check_own_time(session: Session, service: Service, row: Record, by: Principal) -> None:
    """Raise Forbidden where others have requested the time of a cancelled record since."""
    if row.status == "cancelled":
        span = Span(row.start_at, row.end_at)
        # It was theirs to request once: nothing of it counts as past.
        _check_leave(session, service, row, [span], by, span.start)


def _check_leave(
    session: Session,
    service: Service,
    row: Record,
    spans: Sequence[Span],
    by: Principal,
    now: datetime,
) -> None:
    """Raise Forbidden where a record would come to show what needs somebody's leave."""
    mode = mode_of(service.settings, service.engine)
    if row.room is None or mode == "open":
        return
    for span in spans:
        decision = access.decision_on(session, row.room, by, span, now, mode, without=row.id)
        if decision.outcome != "allowed":
            raise Forbidden(access.CODE, "access.request_that_time")


def _outside(span: Span, before: Span) -> Iterator[Span]:
    """Yield what a span has before and after another one. Pure."""
    if span.start < before.start:
        yield Span(span.start, min(span.end, before.start))
    if span.end > before.end:
        yield Span(max(span.start, before.end), span.end)


def _check_sharing(session: Session, room: Room, request: requests.Request) -> None:
    """Raise Forbidden where somebody would add people to what is another's."""
    by = request.asked_by
    if by is None or by.sees_all:
        return
    wanted = select(Record).where(
        Record.room_id == room.id, Record.start_at == request.start, Record.end_at == request.end,
        Record.layout == request.layout, Record.profile == request.profile,
        Record.status.not_in(("failed", "cancelled")),
    )  # fmt: skip
    for row in session.scalars(wanted):
        emails = [entry.user.email for entry in row.users]
        if not by.owns(emails) and not {by.email, *emails}.issuperset(request.users):
            raise Forbidden(access.CODE, "access.owner_shares", record=row.id)


# --- meetings -------------------------------------------------------------------------------------


def check_meetings(
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

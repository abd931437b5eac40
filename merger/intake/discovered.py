"""Recordings that were made without anybody asking: each becomes a record, or says why not.

A meeting that Zoom has recorded is told by Zoom itself, found by the reconciliation, or asked for
by hand; in whatever order and however often, it is one offer and one record.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, selectinload

from merger.accounts.users import email_of
from merger.db.engine import reading, writing
from merger.errors import MergerError, Refused
from merger.i18n import Message
from merger.ports.discovery import DiscoveredRecording
from merger.records import requests
from merger.records.queue import add_history
from merger.service import Service
from merger.timeline.clock import Span, record_span
from models import ENDED, Fact, Record, Room, Source
from models import Offer as OfferRow

log = logging.getLogger(__name__)

SHORTEST = timedelta(minutes=2)
LOOKED_BACK = timedelta(days=3)  # a service that was off over a weekend misses nothing
_EVERY = timedelta(days=1)
_LONGEST_NAME = 255
# States: record, ignored (for good), and those that may still become one.
_OPEN = ("waiting", "unplaced")
# By what was wrong with a request: its span, or its room, which was removed this very moment.
_REFUSALS = {"start": "ignored", "end": "ignored", "room": "unplaced"}


@dataclass(frozen=True)
class Outcome:
    """What became of an offer: a record, new or not, or the reason why there is none."""

    record: int | None
    is_new: bool = False
    reason: Message | None = None


def ensure_record(
    service: Service,
    offer: DiscoveredRecording,
    asked_by: Sequence[str] = (),
    *,
    is_asked: bool = False,
) -> Outcome:
    """Make or feed the record of an offer. asked_by: who wants it beside its owner.

    is_asked: somebody wants this very recording, however short it is, and is told by Refused why
    that cannot be; otherwise, it is the reason of the offer.
    """
    try:
        return _taken(service, offer, asked_by, is_asked=is_asked)
    except Refused as error:
        refused = error
    outcome = writing(service.engine, lambda session: _refused(session, offer, refused))
    if is_asked:
        raise refused
    return outcome


def _taken(
    service: Service, offer: DiscoveredRecording, asked_by: Sequence[str], *, is_asked: bool
) -> Outcome:
    engine, now = service.engine, service.now()
    place_of = service.offering[offer.kind].place_of
    known, was_removed = writing(engine, lambda session: _kept(session, offer, now))
    if was_removed and not is_asked:
        return Outcome(None, reason=Message("discovered.removed"))
    if known is not None and not is_asked:
        _grow(engine, offer, known, now, is_asked=False)
        _add_users(engine, known, asked_by, now)
        return Outcome(known)
    room = _room_of(engine, offer, place_of)
    state, reason = _why_not(offer, room, is_asked)
    if reason is not None or room is None or offer.span is None:
        return writing(engine, lambda session: _left(session, offer, state, reason))
    fed = known or writing(engine, lambda session: _fed(session, room, offer, now))
    if fed is not None:
        _add_users(engine, fed, asked_by, now)
        return _placed(engine, offer, fed, now, is_new=False, is_asked=is_asked)
    request = requests.Request(
        room, offer.span.start, offer.span.end, name=offer.name[:_LONGEST_NAME],
        users=tuple(dict.fromkeys((*_addresses(offer.owner), *asked_by))),
        idempotency_key=_key(offer),
    )  # fmt: skip
    record, is_new = requests.request_record(engine, request, now)
    return _placed(engine, offer, record, now, is_new=is_new, is_asked=is_asked)


def _add_users(engine: Engine, record: int, emails: Sequence[str], now: datetime) -> None:
    """Add who wants a record that was there already to its users."""

    def add(session: Session) -> None:
        row = session.get(Record, record, with_for_update=True)
        if row is not None and requests.add_users(session, row, emails):
            row.updated_at = now  # so that they get what is there already

    if emails:
        writing(engine, add)


def _kept(session: Session, offer: DiscoveredRecording, now: datetime) -> tuple[int | None, bool]:
    """Write an offer down as it is now, but for its span.

    Return its record, where it has one, and whether it had one that somebody has removed.
    """
    row = _row(session, offer, lock=True)
    if row is None:
        row = OfferRow(kind=offer.kind, origin=offer.origin, state="waiting", offered_at=now)
        session.add(row)
    row.place, row.name = offer.place, offer.name[:_LONGEST_NAME]
    row.owner = offer.owner[:_LONGEST_NAME] or None
    return row.record_id, _was_removed(row)


def _was_removed(row: OfferRow) -> bool:
    return row.state == "record" and row.record_id is None


def _row(session: Session, offer: DiscoveredRecording, *, lock: bool = False) -> OfferRow | None:
    wanted = select(OfferRow).where(OfferRow.kind == offer.kind, OfferRow.origin == offer.origin)
    return session.scalars(wanted.with_for_update() if lock else wanted).one_or_none()


def _room_of(
    engine: Engine, offer: DiscoveredRecording, place_of: Callable[[str], str]
) -> str | None:
    """Return the first room that has a source at the place of an offer."""
    with reading(engine) as session:
        wanted = select(Room).options(selectinload(Room.sources)).order_by(Room.id)
        for room in session.scalars(wanted):
            if any(_is_at(source, offer, place_of) for source in room.sources):
                return room.name
    return None


def _is_at(source: Source, offer: DiscoveredRecording, place_of: Callable[[str], str]) -> bool:
    return source.kind == offer.kind and place_of(source.address) == offer.place


def _why_not(
    offer: DiscoveredRecording, room: str | None, is_asked: bool
) -> tuple[str, Message | None]:
    """Return the state of an offer, and why there is no record of it, if so. Pure."""
    if not offer.is_complete:
        return "waiting", Message("discovered.incomplete")
    if offer.span is None:
        return "ignored", Message("discovered.nothing_to_show")
    if offer.length < SHORTEST and not is_asked:
        length_s = offer.length // timedelta(seconds=1)
        return "ignored", Message("discovered.too_short", seconds=length_s)
    if room is None:
        return "unplaced", Message("discovered.no_room", address=f"{offer.kind}:{offer.place}")
    return "record", None


def _left(
    session: Session, offer: DiscoveredRecording, state: str, reason: Message | None
) -> Outcome:
    row = _row(session, offer, lock=True)
    if row is not None and row.record_id is None:
        row.state, row.reason = state, reason
        _set_span(row, offer.span)
    return Outcome(row.record_id if row is not None else None, reason=reason)


def _refused(session: Session, offer: DiscoveredRecording, error: Refused) -> Outcome:
    """Write down why an offer cannot have a record, or its record no more of it."""
    row = _row(session, offer, lock=True)
    if row is None:
        return Outcome(None, reason=error.message)
    if error.code in _REFUSALS:  # any other is over by the next look
        row.state = row.state if row.record_id is not None else _REFUSALS[error.code]
        row.reason = error.message
        _set_span(row, offer.span)
    return Outcome(row.record_id, reason=error.message)


def _fed(session: Session, room: str, offer: DiscoveredRecording, now: datetime) -> int | None:
    """Return a record that asks for most of an offer already, and have it look for its media."""
    span = offer.span
    assert span is not None
    wanted = (
        select(Record)
        .join(Record.room)
        .where(
            Room.name == room,
            Record.start_at < span.end,
            Record.end_at > span.start,
            Record.status.not_in(("failed", "cancelled")),
        )
        .order_by(Record.id)
        .with_for_update(of=Record)
    )
    for row in session.scalars(wanted):
        if 2 * Span(row.start_at, row.end_at).cut_to(span).length >= span.length:
            if row.status == "queued":
                row.run_after = min(row.run_after, max(now, row.end_at))
            add_history(
                session,
                row.id,
                row.attempt,
                now,
                "offered",
                Message("history.recorded", kind=offer.kind),
            )
            return row.id
    return None


def _placed(
    engine: Engine,
    offer: DiscoveredRecording,
    record: int,
    now: datetime,
    *,
    is_new: bool,
    is_asked: bool,
) -> Outcome:
    """Write down which record an offer has, and have that reach over it."""

    def place(session: Session) -> None:
        row = _row(session, offer, lock=True)
        if row is None:
            return
        if row.record_id != record:
            _set_span(row, None)  # nothing of it was taken up yet
        row.state, row.reason, row.record_id = "record", None, record

    writing(engine, place)
    _grow(engine, offer, record, now, is_asked=is_asked)
    return Outcome(record, is_new)


def _grow(
    engine: Engine, offer: DiscoveredRecording, record: int, now: datetime, *, is_asked: bool
) -> None:
    """Have an offer's own record reach over what was recorded since, too.

    One that was not begun is made longer; of one that has ended there is another version. One that
    is being worked on is left alone: the span of the offer's row is what was taken up of it, and
    as long as that is not all, the next look comes back to it. One that was cancelled stays so,
    unless somebody asks for it.
    """
    if offer.span is None or not offer.is_complete:
        return
    longer = writing(
        engine, lambda session: _longer(session, offer, record, now, is_asked=is_asked)
    )
    if isinstance(longer, Span):
        requests.remerge(engine, record, now, start=longer.start, end=longer.end)
    if longer != "later":
        writing(engine, lambda session: _taken_up(session, offer))


def _longer(
    session: Session, offer: DiscoveredRecording, record: int, now: datetime, *, is_asked: bool
) -> Span | Literal["later"] | None:
    """Make an offer's own record longer where it was not begun; return what is left to be done.

    That is the span of another version, or nothing until its worker is done. A record that somebody
    has made shorter since all of the offer was taken up stays so.
    """
    assert offer.span is not None
    known = _row(session, offer)
    row = session.get(Record, record, with_for_update=True)
    if known is None or row is None or row.idempotency_key != _key(offer):
        return None  # somebody else's, who has said from when to when
    span = Span(row.start_at, row.end_at)
    both = Span(min(span.start, offer.span.start), max(span.end, offer.span.end))
    if row.status == "cancelled":  # what is more of it is not taken up, for whoever tries it again
        return both if is_asked else "later"
    if both == span or _is_taken_up(known, offer.span):
        return None
    if row.status in ENDED:
        return both
    is_begun = row.status != "queued" or row.stage != "collect" or row.delivered_version is not None
    if is_begun:
        return "later"
    record_span(both.start, both.end)
    row.start_at, row.end_at, row.updated_at = both.start, both.end, now
    row.run_after = max(row.run_after, both.end)
    add_history(
        session,
        row.id,
        row.attempt,
        now,
        "offered",
        Message("history.recorded_more", kind=offer.kind),
    )
    return None


def _taken_up(session: Session, offer: DiscoveredRecording) -> None:
    row = _row(session, offer, lock=True)
    if row is not None:
        _set_span(row, offer.span)


def _is_taken_up(row: OfferRow, span: Span) -> bool:
    return (row.start_at, row.end_at) == (span.start, span.end)


def _set_span(row: OfferRow, span: Span | None) -> None:
    row.start_at, row.end_at = (span.start, span.end) if span else (None, None)


def _key(offer: DiscoveredRecording) -> str:
    """Return the key of an offer's own record."""
    return f"{offer.kind} {offer.origin}"


def _addresses(owner: str) -> list[str]:
    try:
        return [email_of(owner, "owner")]
    except Refused:
        return []  # an account without one; it is said nowhere that each has


# --- what was missed, and what there is -----------------------------------------------------------


def find_discovered(service: Service, now: datetime) -> None:
    """Once a day, take up what was recorded lately and nobody has told us."""
    for kind, offering in service.offering.items():
        if not writing(service.engine, lambda session, k=kind: _is_due(session, k, now)):  # type: ignore[misc]
            continue
        for offer in offering.list_recordings(now - LOOKED_BACK, now):
            if _is_settled(service.engine, offer):
                continue
            try:
                outcome = ensure_record(service, offer)
            except MergerError as error:  # one never stops the others
                log.warning("%s %s: %s", kind, offer.origin, error.message)
                continue
            if outcome.is_new:
                log.info("%s %s had been missed: record %s", kind, offer.origin, outcome.record)
        writing(service.engine, lambda session, k=kind: _note(session, k, now))  # type: ignore[misc]


def _is_due(session: Session, kind: str, now: datetime) -> bool:
    fact = session.get(Fact, f"reconciled-{kind}")
    return fact is None or not timedelta() <= now - datetime.fromisoformat(fact.value) < _EVERY


def _note(session: Session, kind: str, now: datetime) -> None:
    session.merge(Fact(name=f"reconciled-{kind}", value=now.isoformat()))


def _is_settled(engine: Engine, offer: DiscoveredRecording) -> bool:
    with reading(engine) as session:
        row = _row(session, offer)
        if row is None or row.state in _OPEN:
            return False
        if _was_removed(row):
            return True  # which is to stay so
        return offer.span is None or _is_taken_up(row, offer.span)


def list_discovered(engine: Engine, limit: int = 100) -> list[dict[str, Any]]:
    """Return offers as plain values, the newest first."""
    with reading(engine) as session:
        rows = session.scalars(select(OfferRow).order_by(OfferRow.id.desc()).limit(limit))
        return [
            {
                "id": row.id, "kind": row.kind, "origin": row.origin,
                "address": f"{row.kind}:{row.place}", "name": row.name, "owner": row.owner,
                "start": row.start_at.isoformat() if row.start_at else None,
                "end": row.end_at.isoformat() if row.end_at else None,
                "state": row.state, "reason": row.reason, "record": row.record_id,
                "offered_at": row.offered_at.isoformat(),
            }
            for row in rows
        ]  # fmt: skip

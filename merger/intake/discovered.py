"""Discovered recordings, which nobody requested: each becomes a record, or says why not.

Zoom announces a recorded meeting, the daily reconciliation finds it, or somebody requests it by
hand; in whatever order and however often that happens, it is one row and one record.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Engine, and_, or_, select
from sqlalchemy.orm import Session

from merger.accounts.external import Requester, requester_of
from merger.accounts.permissions import Principal
from merger.db.engine import reading, writing
from merger.errors import Refused
from merger.i18n import Message
from merger.intake.discovered_rows import is_covered, name_of, row_of, save_span, set_span, upsert
from merger.intake.placing import Place, find_place, first_course
from merger.mail_address import email_of
from merger.ports.discovery import DiscoveredRecording
from merger.ports.recorder import is_mostly_in
from merger.records import actions, leave, lookup, requests
from merger.records.processing.queue import add_history
from merger.series.lectures import give_record
from merger.service import Service
from merger.timeline.clock import Span, record_span
from merger.timeline.layout import DEFAULT_LAYOUT
from merger.timeline.profiles import DEFAULT_PROFILE
from models import ENDED, Occurrence, Offer, Record, Room

log = logging.getLogger(__name__)

# By what was wrong with a request: its span, or its room, which was removed this very moment.
_REFUSALS = {"start": "ignored", "end": "ignored", "room": "unplaced"}


@dataclass(frozen=True)
class Outcome:
    """What became of a discovered recording: a record, or the reason why there is none."""

    record: int | None
    is_new: bool = False
    reason: Message | None = None


@dataclass(frozen=True)
class _Wish:
    """What somebody wants of a recording. users: beside its owner. by: None for an operator."""

    users: tuple[str, ...]
    is_explicit: bool
    by: Principal | None
    name: str
    course_code: str | None


def ensure_record(
    service: Service,
    recording: DiscoveredRecording,
    requested_by: Sequence[str] = (),
    *,
    is_explicit: bool = False,
    asked_by: Principal | None = None,
    name: str = "",
    course_code: str | None = None,
) -> Outcome:
    """Create the record of a discovered recording, or extend the one that it has.

    Args:
        requested_by: addresses of those who want it, beside its owner.
        is_explicit: somebody requests this very recording, however short it is.
        asked_by: who does; None for an operator.
        name, course_code: what they say of it; a record that is there keeps its own.

    Raises:
        Refused: there can be no record; only if `is_explicit`, else it is the outcome's reason.
    """
    users = [email_of(text, "users", is_known=True) for text in requested_by]
    wish = _Wish(tuple(users), is_explicit, asked_by, name, course_code)
    try:
        return _ensure(service, recording, wish)
    except Refused as error:
        refused = error
    outcome = writing(service.engine, lambda session: _save_refusal(session, recording, refused))
    if is_explicit:
        raise refused
    return outcome


def _ensure(service: Service, recording: DiscoveredRecording, wish: _Wish) -> Outcome:
    engine, now, by, is_explicit = service.engine, service.now(), wish.by, wish.is_explicit
    naming = requester_of(by, service.settings)
    known, was_removed = writing(engine, lambda session: upsert(session, recording, now))
    if was_removed and not is_explicit:
        return Outcome(None, reason=Message("discovered.removed"))
    if known is not None and not is_explicit:
        _extend_record(engine, recording, known, now, is_explicit=False)
        _add_users(engine, known, wish.users, now, recording, by, naming)
        return Outcome(known)
    with reading(engine) as session:
        discovery = service.offering[recording.kind]
        place = find_place(session, service.settings, discovery, recording)
    state, reason = _classify(recording, place, is_explicit)
    if reason is not None or place.room is None or recording.span is None:
        return writing(engine, lambda session: _save_reason(session, recording, state, reason))
    fed = writing(engine, lambda session: _joinable(session, known, place, recording, by, now))
    if fed is not None:
        _add_users(engine, fed, wish.users, now, recording, by, naming)
        return _assign(engine, recording, fed, place, wish, now, is_new=False)
    if place.unwanted is not None and not is_explicit:
        why = place.unwanted
        return writing(engine, lambda session: _save_reason(session, recording, "ignored", why))
    request = _request(recording, wish, place, naming)
    record, is_new = requests.request_record(engine, request, now)
    return _assign(engine, recording, record, place, wish, now, is_new=is_new)


def _request(
    recording: DiscoveredRecording, wish: _Wish, place: Place, naming: Requester | None
) -> requests.Request:
    """Return the request of a record of a recording's own."""
    span, lecture = recording.span, place.lecture
    assert span is not None and place.room is not None
    return requests.Request(
        place.room, span.start, span.end,
        name=wish.name or (lecture.name if lecture else name_of(recording)),
        course_code=first_course(wish.course_code, place.course),
        layout=(lecture.layout if lecture else None) or DEFAULT_LAYOUT,
        profile=(lecture.profile if lecture else None) or DEFAULT_PROFILE,
        users=tuple(dict.fromkeys((*_owner_addresses(recording.owner), *wish.users))),
        idempotency_key=_key_of(recording), naming=naming,
    )  # fmt: skip


def _add_users(
    engine: Engine,
    record: int,
    emails: Sequence[str],
    now: datetime,
    recording: DiscoveredRecording,
    by: Principal | None,
    naming: Requester | None,
) -> None:
    """Add people to the users of a record that existed before."""

    def add(session: Session) -> None:
        row = session.get(Record, record, with_for_update=True)
        if row is not None and row.idempotency_key != _key_of(recording):
            leave.check_sharing(session, row, by, emails)
        new = requests.add_users(session, row, emails, now, naming) if row is not None else []
        if row is not None and new:
            row.updated_at = now  # so that they are given access
            message = requests.message_of_joining(new, by)
            add_history(session, row.id, row.attempt, now, "joined", message)

    if emails:
        writing(engine, add)


def _classify(
    recording: DiscoveredRecording, place: Place, is_explicit: bool
) -> tuple[str, Message | None]:
    """Return the state of a recording, and why it becomes no record, if so. Pure."""
    if not recording.is_complete:
        return "waiting", Message("discovered.incomplete")
    if recording.span is None:
        return "ignored", Message("discovered.nothing_to_show")
    if recording.length < place.shortest and not is_explicit:
        length_s = recording.length // timedelta(seconds=1)
        return "ignored", Message("discovered.too_short", seconds=length_s)
    if place.room is None:
        return "unplaced", Message(
            "discovered.no_room", address=f"{recording.kind}:{recording.place}"
        )
    return "record", None


def _save_reason(
    session: Session, recording: DiscoveredRecording, state: str, reason: Message | None
) -> Outcome:
    row = row_of(session, recording, lock=True)
    if row is not None and row.record_id is None:
        row.state, row.reason = state, reason
        set_span(row, recording.span)
    return Outcome(row.record_id if row is not None else None, reason=reason)


def _save_refusal(session: Session, recording: DiscoveredRecording, error: Refused) -> Outcome:
    """Save why a recording becomes no record, or why its record gets no more of it."""
    row = row_of(session, recording, lock=True)
    if row is None:
        return Outcome(None, reason=error.message)
    if error.code in _REFUSALS:  # any other has passed by the next check
        row.state = row.state if row.record_id is not None else _REFUSALS[error.code]
        row.reason = error.message
        set_span(row, recording.span)
    return Outcome(row.record_id, reason=error.message)


def _joinable(
    session: Session,
    known: int | None,
    place: Place,
    recording: DiscoveredRecording,
    by: Principal | None,
    now: datetime,
) -> int | None:
    """Return the record that a recording has, or is to have, of those that are there already."""
    row = session.get(Record, known) if known is not None else None
    if row is not None and _may_join(row, recording, by):
        return row.id
    return _join_existing(session, place, recording, by, now)


def _may_join(row: Record, recording: DiscoveredRecording, by: Principal | None) -> bool:
    """Return whether somebody may be added to a record that shows a recording.

    The host of a meeting may have that meeting, and not what else somebody's record shows.
    """
    if by is None or by.sees_all or row.idempotency_key == _key_of(recording):
        return True
    return leave.is_user(row, by)


def _join_existing(
    session: Session,
    place: Place,
    recording: DiscoveredRecording,
    by: Principal | None,
    now: datetime,
) -> int | None:
    """Return a record that covers most of a recording already, after waking it up.

    That of its lecture comes first, and shows what is recorded of that, however much longer the
    recording is; made of a recording itself, it is made longer where the meeting was begun again.
    """
    span = recording.span
    assert span is not None
    of_lecture = place.lecture.record if place.lecture is not None else None
    is_then = and_(Record.start_at < span.end, Record.end_at > span.start)
    wanted = (
        select(Record)
        .join(Record.room)
        .where(
            Room.name == place.room,
            or_(is_then, Record.id == of_lecture),
            Record.status.not_in(("failed", "cancelled")),
        )
        .order_by(Record.id)
        .with_for_update(of=Record)
    )
    owners = (None, *_owner_addresses(recording.owner))
    for row in sorted(session.scalars(wanted), key=lambda row: row.id != of_lecture):
        if leave.limited_to(row.media) not in owners or not _may_join(row, recording, by):
            continue
        row_span = Span(row.start_at, row.end_at)
        is_apart = not row_span.cut_to(span)
        if is_apart and not _grows(session, row, recording.kind):
            continue  # of the same lecture, but of times that somebody chose
        is_shown = is_mostly_in(span, row_span)
        if is_shown or row.id == of_lecture:
            if row.status == "queued":
                row.run_after = min(row.run_after, max(now, row.end_at))
            what = "recorded" if is_shown else "recorded_again" if is_apart else "recorded_beyond"
            message = Message(f"history.{what}", kind=recording.kind)
            add_history(session, row.id, row.attempt, now, "offered", message)
            return row.id
    return None


def _grows(session: Session, row: Record, kind: str) -> bool:
    """Return whether a record is made of recordings of one lecture, and of nothing else's times.

    Who ends a meeting by mistake begins it again: both pieces are of the same lecture.
    """
    of_lecture = select(Occurrence.id).where(Occurrence.record_id == row.id)
    if row.idempotency_key is None or session.scalar(of_lecture.limit(1)) is None:
        return False
    origins = select(Offer.origin).where(Offer.record_id == row.id, Offer.kind == kind)
    return row.idempotency_key in {f"{kind} {origin}" for origin in session.scalars(origins)}


def _assign(
    engine: Engine,
    recording: DiscoveredRecording,
    record: int,
    place: Place,
    wish: _Wish,
    now: datetime,
    *,
    is_new: bool,
) -> Outcome:
    """Save which record a recording has, name that by its lecture, and extend it over all of it."""

    def assign(session: Session) -> None:
        row = row_of(session, recording)
        if place.lecture is not None and (row is None or row.record_id != record):
            give_record(
                session, place.lecture, record, place.why, now,
                gives_owner=is_new and wish.by is None, gives_name=not (is_new and wish.name),
            )  # fmt: skip
        row = row_of(session, recording, lock=True)
        if row is None:
            return
        if row.record_id != record:
            set_span(row, None)  # none of it is covered yet
        row.state, row.reason, row.record_id = "record", None, record

    writing(engine, assign)
    _extend_record(engine, recording, record, now, is_explicit=wish.is_explicit)
    return Outcome(record, is_new)


def _extend_record(
    engine: Engine, recording: DiscoveredRecording, record: int, now: datetime, *, is_explicit: bool
) -> None:
    """Extend a recording's own record, or that of its lecture, over what was recorded since.

    A record that has not started is made longer; one that has ended gets another version. One in
    progress is left alone: the row's span says what is covered, and until that is all of it, the
    next check comes back. A cancelled one stays cancelled, unless somebody requests it.
    """
    if recording.span is None or not recording.is_complete:
        return
    extension = writing(
        engine,
        lambda session: _extend_queued(session, recording, record, now, is_explicit=is_explicit),
    )
    if isinstance(extension, Span):
        actions.remerge(engine, record, now, start=extension.start, end=extension.end)
    if extension != "later":
        writing(engine, lambda session: save_span(session, recording))


def _extend_queued(
    session: Session,
    recording: DiscoveredRecording,
    record: int,
    now: datetime,
    *,
    is_explicit: bool,
) -> Span | Literal["later"] | None:
    """Make a recording's own record longer if it has not started.

    A record that somebody has shortened since all of the recording was covered stays so.

    Returns:
        The span of the version that is needed; "later" while its worker is at it; else None.
    """
    assert recording.span is not None
    known = row_of(session, recording)
    row = session.get(Record, record, with_for_update=True)
    if known is None or row is None:
        return None
    if row.idempotency_key != _key_of(recording) and not _grows(session, row, recording.kind):
        return None  # of somebody who chose the times
    span = Span(row.start_at, row.end_at)
    both = Span(min(span.start, recording.span.start), max(span.end, recording.span.end))
    if row.status == "cancelled":  # what is new is left for whoever retries it
        return both if is_explicit else "later"
    if both == span or is_covered(known, recording.span):
        return None
    if row.status in ENDED:
        return both
    if not lookup.is_untouched(row):
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
        Message("history.recorded_more", kind=recording.kind),
    )
    return None


def _key_of(recording: DiscoveredRecording) -> str:
    """Return the key of a recording's own record."""
    return f"{recording.kind} {recording.origin}"


def _owner_addresses(owner: str) -> list[str]:
    try:
        return [email_of(owner, "owner")]
    except Refused:
        return []  # not every account has one

"""Records are requested: entered, or joined where somebody else has requested the same.

Whoever acts is named in the history (`by`, `asked_by`); the operator and programs of the service
are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from merger.accounts.external import Requester, name_users
from merger.accounts.permissions import Principal
from merger.db.engine import writing
from merger.errors import Invalid
from merger.i18n import Message, sentences
from merger.mail_address import email_of
from merger.names import LONGEST_NAME, clean_name
from merger.ports.calendar import CalendarEvent
from merger.records import leave, outbox
from merger.records.event_links import (
    keep_for_people,
    link_event,
    link_own,
    own_record,
)
from merger.records.lookup import live_records, room_row
from merger.records.processing.queue import add_history
from merger.timeline.clock import Span, record_span
from merger.timeline.layout import DEFAULT_LAYOUT, layout_named
from merger.timeline.profiles import DEFAULT_PROFILE, profile_named
from models import Record, RecordKey, RecordLeaver, RecordUser, Room

DEFAULT_NAME = "lecture"  # of a record that nobody has named
MOST_USERS = 100  # that somebody names at once
EVENT_OFF = "event_off"  # why a record was cancelled; when the event is on again, so is the record


@dataclass(frozen=True)
class Request:
    """What somebody requests. start, end: aware; users: mail addresses, the first is the owner.

    event: in a room's calendar, that requests it; None for a person or a program. asked_by: the
    person, or whom the program acts for; None for what may have all that there is. naming: as whom
    they name users. allowed_by: the address of whoever has allowed it, where somebody had to.
    """

    room: str
    start: datetime
    end: datetime
    name: str = ""
    layout: str = DEFAULT_LAYOUT
    profile: str = DEFAULT_PROFILE
    users: tuple[str, ...] = ()
    course_code: str | None = None
    idempotency_key: str | None = None
    event: CalendarEvent | None = None
    asked_by: Principal | None = None
    naming: Requester | None = None
    allowed_by: str | None = None


def request_record(engine: Engine, request: Request, now: datetime) -> tuple[int, bool]:
    """Queue a record; return its id, and whether it is new.

    The same room, span, layout and profile is the same record: who asks again is added to its
    users. So is the same idempotency key, and the same event. Of rooms whose sources are meetings,
    `leave` says who may. Raises Refused.
    """
    checked = check_request(request, now)
    return writing(engine, lambda session: enter_request(session, checked, now))


def check_request(request: Request, now: datetime) -> Request:
    """Return a request with its values in the form in which they are kept. Raises Invalid."""
    span = record_span(request.start, request.end, now)
    layout_named(request.layout)
    profile_named(request.profile)
    name = clean_name(request.name)
    course_code = clean_name(request.course_code or "") or None
    texts = {
        "name": name, "course_code": course_code,
        "idempotency_key": request.idempotency_key,
        "event_id": request.event.event if request.event else None,
        "calendar_id": request.event.calendar if request.event else None,
    }  # fmt: skip
    for what, text in texts.items():
        if len(text or "") > LONGEST_NAME:
            field = Message(f"records.field.{what}")
            raise Invalid(what, "records.too_long", field=field, longest=LONGEST_NAME)
    users = tuple(email_of(text, "users", is_known=True) for text in request.users)
    return replace(
        request, start=span.start, end=span.end, name=name, course_code=course_code, users=users
    )


def enter_request(
    session: Session, request: Request, now: datetime, room: Room | None = None
) -> tuple[int, bool]:
    """Queue a record within a transaction, as `request_record` does.

    Args:
        request: as `check_request` returns it.
        room: that of the request, where it is locked already.
    """
    span, users = Span(request.start, request.end), list(request.users)
    room = room or room_row(session, request.room, lock=True)
    row = _requested_before(session, request, room.id, span, *users[:1])
    is_new = row is None
    if row is None:
        row = Record(
            room_id=room.id, start_at=span.start, end_at=span.end, zone=room.zone,
            event_name=request.name or DEFAULT_NAME, course_code=request.course_code,
            layout=request.layout, profile=request.profile,
            idempotency_key=request.idempotency_key, created_at=now, updated_at=now,
            run_after=max(span.end, now), status="queued", stage="collect", attempt=0,
            media=leave.new_leave(request.asked_by), users=[],
        )  # fmt: skip
        if request.event is not None:
            link_own(row, request.event)
        session.add(row)
        session.flush()
        if request.naming is not None and request.naming.key is not None:
            session.add(RecordKey(record_id=row.id, key_id=request.naming.key))
        add_history(session, row.id, 0, now, "asked", _message_of_request(request))
    elif request.event is None:
        leave.check_sharing(session, row, request.asked_by, users)
        keep_for_people(session, row)
    if request.event is not None:
        link_event(session, row, request.event, now)
    new = add_users(session, row, users, now, request.naming)
    if is_new:
        return row.id, True
    if request.name:
        _set_title(row, request.name, {*users[:1], *new})
    if new:
        row.updated_at = now  # so that they get what is there already
        message = message_of_joining(new, request.asked_by)
        if request.allowed_by is not None:
            message = _message_of_leave(new, users[0], request.allowed_by)
        add_history(session, row.id, row.attempt, now, "joined", message)
    return row.id, False


def _message_of_request(request: Request) -> Message:
    """Return the first line of the history of a record."""
    if not request.users:
        return Message("history.requested")
    if request.allowed_by is None:
        return Message("history.requested_by", email=request.users[0])
    return Message("history.requested_allowed", email=request.users[0], by=request.allowed_by)


def _set_title(row: Record, title: str, emails: set[str]) -> None:
    """Have some users of a record call it what they asked for; its own name stays."""
    for entry in row.users:
        if entry.user.email in emails:
            entry.title = title if title != row.event_name else None


def message_of_joining(new: Sequence[str], by: Principal | None) -> Message:
    """Return who has joined a record, or was added to it. Pure."""
    others = tuple(email for email in new if by is None or email != by.email)
    lines = [Message("history.joined", email=by.email)] if by and by.email in new else []
    if others and by is not None:
        lines.append(Message("history.added_users", email=by.email, users=others))
    elif others:
        lines.append(Message("history.users_added", users=others))
    return sentences(lines)


def _message_of_leave(new: Sequence[str], asker: str, allowed_by: str) -> Message:
    """Return who has joined a record, and who has allowed it. Pure."""
    others = tuple(email for email in new if email != asker)
    lines = []
    if asker in new:
        lines.append(Message("history.joined_allowed", email=asker, by=allowed_by))
    if others:
        lines.append(
            Message("history.added_users_allowed", email=asker, users=others, by=allowed_by)
        )
    return sentences(lines)


def _requested_before(
    session: Session, request: Request, room: int, span: Span, owner: str | None = None
) -> Record | None:
    if request.event is not None:
        row = own_record(session, request.event)
        if row is not None:
            return row
    if request.idempotency_key is not None:
        wanted = select(Record).where(Record.idempotency_key == request.idempotency_key)
        row = session.scalars(wanted).one_or_none()
        if row is not None:
            same = (room, span.start, span.end, request.layout, request.profile)
            if (row.room_id, row.start_at, row.end_at, row.layout, row.profile) != same:
                raise Invalid("idempotency_key", "db.key_reused", name=request.idempotency_key)
            return row
    rows = live_records(session, room, span, request.layout, request.profile)
    return leave.choose_joinable(session, rows, request.asked_by, owner) if rows else None


def add_users(
    session: Session,
    row: Record,
    emails: Iterable[str],
    now: datetime,
    naming: Requester | None = None,
) -> list[str]:
    """Add users to a record; return the addresses of those that are new.

    Args:
        naming: who names them; None for calendars, meetings and the operator.

    Raises:
        Invalid: somebody names too many external people.
    """
    named = list(dict.fromkeys(emails))
    users = name_users(session, named, naming, now)
    present = {entry.user.email for entry in row.users}
    new = [user for user in users if user.email not in present]
    after = max((entry.position for entry in row.users), default=-1) + 1
    for position, user in enumerate(new, after):
        row.users.append(RecordUser(user=user, position=position))
    if present and new:  # they are back, for somebody wants it so
        back = RecordLeaver.user_id.in_([user.id for user in new if user.id is not None])
        session.execute(delete(RecordLeaver).where(RecordLeaver.record_id == row.id, back))
    for user in users:
        if not user.is_confirmed:
            outbox.ask_to_confirm(session, row, user, now)
    return [user.email for user in new]


def note_leavers(session: Session, row: Record, users: Iterable[int]) -> None:
    """Remember who leaves a record, or is removed: what it follows does not bring them back."""
    for user in users:
        session.merge(RecordLeaver(record_id=row.id, user_id=user))

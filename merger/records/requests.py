"""Records are requested, cancelled, tried again, made again, and left.

Whoever acts is named in the history (`by`, `asked_by`); the operator and programs of the service
are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.interfaces import ORMOption

from merger.accounts.external import Requester, name_users
from merger.accounts.permissions import Principal
from merger.accounts.room_policy import may_watch, policy_of_json
from merger.db.engine import reading, writing
from merger.errors import Conflict, Forbidden, Invalid, NotFound, did_you_mean
from merger.i18n import Message, Param, sentences
from merger.mail_address import email_of
from merger.names import clean_name
from merger.ports.calendar import CalendarEvent
from merger.records import leave, outbox, versions
from merger.records.event_links import (
    forget_called_off,
    keep_for_people,
    link_event,
    link_own,
    note_removed,
    own_record,
)
from merger.records.queue import add_history, end_without_result, requeue
from merger.records.rules.progress import reached_share
from merger.timeline.clock import Span, record_span
from merger.timeline.layout import DEFAULT_LAYOUT, layout_named
from merger.timeline.profiles import DEFAULT_PROFILE, profile_named
from merger.timeline.zones import zone_named
from models import ENDED, Record, RecordKey, RecordLeaver, RecordUser, Room, User

LONGEST_NAME = 255
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


def room_zone(engine: Engine, room: str) -> ZoneInfo:
    """Return the zone of a room. Raises Invalid for an unknown room."""
    with reading(engine) as session:
        return zone_named(room_row(session, room).zone)


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


def room_row(session: Session, name: str, *, lock: bool = False) -> Room:
    """Return the row of a room. Raises Invalid with the name that was meant."""
    if len(name) > LONGEST_NAME:
        raise Invalid("room", "records.room_name_too_long", longest=LONGEST_NAME)
    wanted = select(Room).where(Room.name == name)
    # Whoever requests the same record at the same time waits here, and then finds it.
    room = session.scalars(wanted.with_for_update() if lock else wanted).one_or_none()
    if room is None:
        names = list(session.scalars(select(Room.name).order_by(Room.name)))
        raise Invalid("room", "records.no_room", room=name, hint=did_you_mean(name, names))
    return room


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
    rows = _live(session, room, span, request.layout, request.profile)
    return leave.choose_joinable(session, rows, request.asked_by, owner) if rows else None


def find_equal(session: Session, row: Record, room: int, span: Span) -> Record | None:
    """Return another record that is, or will be, of the same room, span, layout and profile.

    That is as good: it may show the same.
    """
    for other in _live(session, room, span, row.layout, row.profile):
        if other.id != row.id and leave.shows_the_same(session, row, other):
            return other
    return None


def find_live(session: Session, room: int, span: Span, layout: str, profile: str) -> Record | None:
    """Return the record of a room, span, layout and profile that is, or will be."""
    rows = _live(session, room, span, layout, profile)
    return rows[0] if rows else None


def _live(session: Session, room: int, span: Span, layout: str, profile: str) -> Sequence[Record]:
    wanted = select(Record).where(
        Record.room_id == room,
        Record.start_at == span.start,
        Record.end_at == span.end,
        Record.layout == layout,
        Record.profile == profile,
        Record.status.not_in(("failed", "cancelled")),
    )
    return session.scalars(wanted.order_by(Record.id)).all()


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


def is_made_with(engine: Engine, record: int, key: int | None) -> bool:
    """Return whether it was this API key with which a record was requested first."""
    with reading(engine) as session:
        row = session.get(RecordKey, record)
        return row is not None and row.key_id == key


def status_of(engine: Engine, record: int) -> str:
    """Return the status of a record. Raises NotFound where it is not there."""
    with reading(engine) as session:
        return record_row(session, record).status


def cancel(
    engine: Engine,
    record: int,
    now: datetime,
    only_of: int | None = None,
    *,
    by: Principal | None = None,
) -> str:
    """Ask to stop a record; return its status. Raises Conflict where it has ended already.

    Of several users, the owner alone may.

    Args:
        only_of: a user for whom the records of others do not exist; so it is below.
        by: who wants it; None for the operator. So it is below.
    """

    def ask_to_stop(session: Session) -> str:
        row = record_row(session, record, only_of, lock=True)
        check_owner(row, only_of)
        if row.status in ENDED:
            raise Conflict("status", "records.has_ended", record=record, status=row.status)
        if versions.is_put_back(row):
            key = "records.is_being_updated" if row.is_outdated else "records.is_put_back"
            raise Conflict("status", key, record=record, version=row.version)
        if row.status == "running":
            if row.cancel_requested_at is None:
                row.cancel_requested_at = now
                message = _by(by, "history.stop_requested")
                add_history(session, record, row.attempt, now, "cancel", message)
            return "running"
        message = _by(by, "history.cancelled_before")
        add_history(session, record, row.attempt, now, "cancelled", message)
        end_without_result(session, row, "cancelled", now)
        return row.status

    return writing(engine, ask_to_stop)


def retry(
    engine: Engine,
    record: int,
    now: datetime,
    only_of: int | None = None,
    *,
    asked_by: Principal | None = None,
    after: datetime | None = None,
) -> None:
    """Queue a record again. Raises Conflict where there is nothing to try again.

    Args:
        after: not before then; None for at once.
        asked_by: who wants it; with an editor, it gets the meetings that it had to do without.
    """

    def again(session: Session) -> None:
        row = lock_record(session, record, only_of)
        if row.status == "running":
            raise Conflict("status", "records.in_progress", record=record)
        is_wished = bool((row.delivered_as or {}).get("wished"))
        if row.status == "delivered" and row.error_code is None and not is_wished:
            raise Conflict("status", "records.nothing_failed", record=record)
        leave.give_leave(session, row, asked_by, now)
        if versions.is_put_back(row):
            row.run_after = now  # what failed is tried again when that is done
            return
        is_update = row.status == "delivered" and row.is_outdated and not is_wished
        reached = 0.0 if row.status == "delivered" else reached_share(row)
        if is_update:
            pass  # what failed is to give what was delivered its latest texts
        elif row.status == "delivered":
            versions.begin_version(session, row, as_wished=True)
        elif row.stage != "deliver" and row.status in ENDED:
            _mark_asked_again(row)
        if row.status == "cancelled" and row.error_code == EVENT_OFF:
            keep_for_people(session, row)
        _check_only(session, row)
        # What was missing, or refused, may have been put right at any stage.
        is_made = is_update or (row.stage == "deliver" and row.status != "delivered")
        requeue(row, after or now, now, "deliver" if is_made else "collect", reached)
        message = _by(asked_by, "history.retried")
        add_history(session, record, row.attempt, now, "retried", message)

    writing(engine, again)


def remerge(
    engine: Engine,
    record: int,
    now: datetime,
    only_of: int | None = None,
    *,
    layout: str | None = None,
    profile: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    asked_by: Principal | None = None,
) -> None:
    """Queue another version of a record that has ended; None keeps what it is now.

    What was delivered stays until the new version is. Of several users, the owner alone may. Raises
    Refused.

    Args:
        asked_by: who wants it; with an editor, it gets all meetings of its span.
    """

    def again(session: Session) -> None:
        row = lock_record(session, record, only_of)
        check_owner(row, only_of)
        if row.status not in ENDED:
            raise Conflict("status", "records.not_ended", record=record, status=row.status)
        span = record_span(start or row.start_at, end or row.end_at, now)
        before = Span(row.start_at, row.end_at)
        leave.give_leave(session, row, asked_by, now)
        if row.status == "delivered":
            versions.begin_version(session, row)
        else:
            _mark_asked_again(row)
        keep_for_people(session, row)
        row.layout = layout_named(layout or row.layout).name
        row.profile = profile_named(profile or row.profile).name
        row.start_at, row.end_at = span.start, span.end
        leave.limit_to_before(session, row, asked_by, before)
        _check_only(session, row)
        requeue(row, max(span.end, now), now)
        zone = zone_named(row.zone)
        begins, ends = (at.astimezone(zone) for at in (span.start, span.end))
        what = _by(
            asked_by, "history.remerged", layout=row.layout, profile=row.profile,
            span=f"{begins:%H:%M:%S}-{ends:%H:%M:%S}",
        )  # fmt: skip
        add_history(session, record, row.attempt, now, "remerged", what)

    writing(engine, again)


def _by(who: Principal | None, key: str, **params: Param) -> Message:
    """Return a line of the history that says who did something, if it was a person. Pure."""
    if who is None:
        return Message(key, **params)
    return Message(f"{key}_by", email=who.email, **params)


def is_untouched(row: Record) -> bool:
    """Return whether work on a record has not begun, so that its room and span may still change."""
    return row.status == "queued" and row.stage == "collect" and row.delivered_version is None


def lock_record(session: Session, record: int, only_of: int | None) -> Record:
    """Return the row of a record, locked after its room, as whoever requests the same does."""
    room = session.scalar(select(Record.room_id).where(Record.id == record))
    if room is not None:
        session.get(Room, room, with_for_update=True)
    return record_row(session, record, only_of, lock=True)


def _check_only(session: Session, row: Record) -> None:
    """Raise Conflict where another record is, or will be, of what this one is to be made of."""
    with session.no_autoflush:
        other = find_equal(session, row, row.room_id or 0, Span(row.start_at, row.end_at))
    if other is not None:
        raise Conflict("conflict", "records.same_exists", record=other.id)


def _mark_asked_again(row: Record) -> None:
    """Have a record that failed look anew for all that it is made of."""
    row.media = {**(row.media or {}), "asked_again": True}


def check_owner(row: Record, only_of: int | None) -> None:
    """Raise Forbidden for a user who may have joined a record only to spoil it for the others."""
    if only_of is not None and row.users[0].user_id != only_of:
        raise Forbidden(
            "not_owner", "records.not_owner", record=row.id, owner=row.users[0].user.email
        )


def withdraw(
    engine: Engine,
    record: int,
    now: datetime,
    only_of: int | None = None,
    *,
    by: Principal | None = None,
) -> bool:
    """Remove a user from a record, and the record itself where it has no other user.

    Without a user (whoever sees all), the record is removed. What was delivered stays where it is.
    Returns whether the record is gone. Raises Conflict for one that is in progress.
    """

    def remove(session: Session) -> bool:
        row = record_row(session, record, only_of, lock=True)
        others = [entry for entry in row.users if entry.user_id != only_of]
        if only_of is not None and others:
            note_leavers(session, row, [only_of])
            row.users = others
            for position, entry in enumerate(others):
                entry.position = position
            row.updated_at = now
            add_history(session, record, row.attempt, now, "left", _by(by, "history.left"))
            return False
        if row.status == "running":
            raise Conflict("status", "records.cancel_first", record=record)
        is_off = row.status == "cancelled" and row.error_code == EVENT_OFF
        if is_off:
            forget_called_off(session, row)
        else:
            note_removed(session, row, now)
        session.delete(row)
        return True

    return writing(engine, remove)


def record_row(
    session: Session, record: int, only_of: int | None = None, *, lock: bool = False
) -> Record:
    """Return the row of a record. Raises NotFound where it is not there, or not for this user."""
    row = session.get(Record, record, with_for_update=True if lock else None)
    if row is None or (only_of is not None and only_of not in [e.user_id for e in row.users]):
        raise NotFound("record", "records.not_found", record=record)
    return row


def watched_row(
    session: Session,
    record: int,
    only_of: int | None = None,
    options: Sequence[ORMOption] = (),
) -> Record:
    """Return the row of a record for somebody who looks at it, and changes nothing.

    Args:
        options: of what belongs to it, which is loaded with it.

    Raises:
        NotFound: it is not there, or they are not among its people and may not watch it either.
    """
    row = session.get(Record, record, options=options)
    if row is None or not (is_among(row, only_of) or _may_watch(session, row, only_of)):
        raise NotFound("record", "records.not_found", record=record)
    return row


def is_among(row: Record, user: int | None) -> bool:
    """Return whether a user is among the people of a record. None: an editor, who always is."""
    return user is None or user in [entry.user_id for entry in row.users]


def _may_watch(session: Session, row: Record, user: int | None) -> bool:
    watcher = session.get(User, user) if user is not None else None
    policy = policy_of_json(row.room.watchers) if row.room is not None else None
    return watcher is not None and may_watch(policy, watcher.email)

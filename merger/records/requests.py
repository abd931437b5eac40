"""Records: asked for, cancelled, tried again, merged again, left."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from merger.accounts.users import email_of, user_row
from merger.db.engine import reading, writing
from merger.errors import Conflict, NotFound, Refused, did_you_mean
from merger.i18n import Message
from merger.records import versions
from merger.records.event_links import RoomEvent, link_event
from merger.records.queue import ASKED_AGAIN, add_history, end_without_result, requeue
from merger.timeline.clock import Span, record_span
from merger.timeline.layout import DEFAULT_LAYOUT, layout_named
from merger.timeline.profiles import DEFAULT_PROFILE, profile_named
from merger.timeline.zones import zone_named
from models import ENDED, Fact, Record, RecordUser, Room

LONGEST_NAME = 255
MOST_USERS = 100  # that somebody names at once
EVENT_OFF = "event_off"  # why a record was cancelled; when the event is on again, so is the record


@dataclass(frozen=True)
class Request:
    """What somebody asks for. start, end: aware; users: mail addresses, the first is the owner."""

    room: str
    start: datetime
    end: datetime
    name: str = "lecture"
    layout: str = DEFAULT_LAYOUT
    profile: str = DEFAULT_PROFILE
    users: tuple[str, ...] = ()
    course_code: str | None = None
    event_id: str | None = None
    calendar_id: str | None = None
    idempotency_key: str | None = None


def event_key(calendar: str, event: str) -> str:
    """Return the idempotency key of the record that an event has made. Pure."""
    said = f"{calendar}\0{event}"
    return f"event {hashlib.sha256(said.encode()).hexdigest()}"


def kept_key(key: str, span: Span | None = None) -> str:
    """Return what the key of an event's record becomes once somebody asked for it by hand. Pure.

    span: of the event at that time; without it, how the key begins whenever that was.
    """
    begins = f"{key.replace('event ', 'kept ', 1)} "
    return begins + (f"{span.start.isoformat()} {span.end.isoformat()}" if span else "")


def removed_name(key: str) -> str:
    """Return the fact that an event's record was removed, never to be made again. Pure."""
    return f"removed {key.split()[-1][:48]}"


def room_zone(engine: Engine, room: str) -> ZoneInfo:
    """Return the zone of a room. Raises Refused for an unknown room."""
    with reading(engine) as session:
        return zone_named(room_row(session, room).zone)


def request_record(engine: Engine, request: Request, now: datetime) -> tuple[int, bool]:
    """Queue a record; return its id, and whether it is new.

    The same room, span, layout and profile is the same record: who asks again is added to its
    users. So is the same idempotency key. Raises Refused.
    """
    span = record_span(request.start, request.end, now)
    layout_named(request.layout)
    profile_named(request.profile)
    name = " ".join(request.name.split()) or "lecture"
    texts = {
        "name": name, "course_code": request.course_code, "event_id": request.event_id,
        "calendar_id": request.calendar_id, "idempotency_key": request.idempotency_key,
    }  # fmt: skip
    for what, text in texts.items():
        if len(text or "") > LONGEST_NAME:
            words = what.replace("_", " ")
            raise Refused(what, f"the {words} is longer than {LONGEST_NAME} characters")
    users = [email_of(text, "users") for text in request.users]

    def create(session: Session) -> tuple[int, bool]:
        room = room_row(session, request.room, lock=True)
        row = _asked_before(session, request, room.id, span)
        is_new = row is None
        if row is None:
            row = Record(
                room_id=room.id, start_at=span.start, end_at=span.end, zone=room.zone,
                event_name=name, event_id=request.event_id, calendar_id=request.calendar_id,
                course_code=request.course_code, layout=request.layout, profile=request.profile,
                idempotency_key=request.idempotency_key, created_at=now, updated_at=now,
                run_after=max(span.end, now), status="queued", stage="collect", attempt=0,
            )  # fmt: skip
            session.add(row)
            session.flush()
            by = (
                Message("history.requested_by", email=users[0])
                if users
                else Message("history.requested")
            )
            add_history(session, row.id, 0, now, "asked", by)
        elif request.event_id is None:
            _keep_for_people(session, row)
        if request.event_id is not None and request.calendar_id is not None:
            event = RoomEvent(
                request.calendar_id, request.event_id,
                event_key(request.calendar_id, request.event_id), name, request.course_code,
            )  # fmt: skip
            link_event(session, row, event, now)
        if add_users(session, row, users) and not is_new:
            row.updated_at = now  # so that they get what is there already
        return row.id, is_new

    return writing(engine, create)


def _keep_for_people(session: Session, row: Record) -> None:
    """Make the record of an event one that somebody wants whatever becomes of the event.

    As long as its span is still that of the event: before somebody changes it.
    """
    key = row.idempotency_key or ""
    if not key.startswith("event "):
        return
    # One that was kept before, where the event was then, has nothing to do with it any more.
    session.execute(
        update(Record)
        .where(Record.idempotency_key.startswith(kept_key(key)))
        .values(idempotency_key=None)
    )
    row.idempotency_key = kept_key(key, Span(row.start_at, row.end_at))


def room_row(session: Session, name: str, *, lock: bool = False) -> Room:
    """Return the row of a room. Raises Refused with the name that was meant."""
    if len(name) > LONGEST_NAME:
        raise Refused("room", f"no room has a name of more than {LONGEST_NAME} characters")
    wanted = select(Room).where(Room.name == name)
    # Whoever asks for the same record at the same time waits here, and then finds it.
    room = session.scalars(wanted.with_for_update() if lock else wanted).one_or_none()
    if room is None:
        names = list(session.scalars(select(Room.name).order_by(Room.name)))
        raise Refused("room", f"there is no room {name!r}{did_you_mean(name, names)}")
    return room


def _asked_before(session: Session, request: Request, room: int, span: Span) -> Record | None:
    if request.idempotency_key is not None:
        wanted = select(Record).where(Record.idempotency_key == request.idempotency_key)
        row = session.scalars(wanted).one_or_none()
        if row is not None:
            asked = (room, span.start, span.end, request.layout, request.profile)
            if (row.room_id, row.start_at, row.end_at, row.layout, row.profile) != asked:
                raise Refused(
                    "idempotency_key",
                    f"the key {request.idempotency_key!r} was used for another request",
                )
            return row
    return _live(session, room, span, request.layout, request.profile)


def find_equal(session: Session, row: Record, room: int, span: Span) -> Record | None:
    """Return another record that is, or will be, of the same room, span, layout and profile."""
    return _live(session, room, span, row.layout, row.profile, but_for=row.id)


def _live(
    session: Session, room: int, span: Span, layout: str, profile: str, but_for: int | None = None
) -> Record | None:
    wanted = select(Record).where(
        Record.room_id == room,
        Record.start_at == span.start,
        Record.end_at == span.end,
        Record.layout == layout,
        Record.profile == profile,
        Record.status.not_in(("failed", "cancelled")),
    )
    if but_for is not None:
        wanted = wanted.where(Record.id != but_for)
    return session.scalars(wanted.order_by(Record.id).limit(1)).one_or_none()


def add_users(session: Session, row: Record, emails: Iterable[str]) -> bool:
    """Add users to a record; return whether any was new."""
    there = {entry.user.email for entry in row.users}
    new = [email for email in dict.fromkeys(emails) if email not in there]
    after = max((entry.position for entry in row.users), default=-1) + 1
    for position, email in enumerate(new, after):
        row.users.append(RecordUser(user=user_row(session, email), position=position))
    return bool(new)


def status_of(engine: Engine, record: int) -> str:
    """Return the status of a record. Raises Refused where it is not there."""
    with reading(engine) as session:
        return record_row(session, record).status


def cancel(engine: Engine, record: int, now: datetime, only_of: int | None = None) -> str:
    """Ask to stop a record; return its status. Raises Refused where it has ended already.

    only_of: a user for whom the records of others do not exist; so it is below. Of several users,
    the owner alone may.
    """

    def ask_to_stop(session: Session) -> str:
        row = record_row(session, record, only_of, lock=True)
        _check_owner(row, only_of)
        if row.status in ENDED:
            raise Conflict("status", f"record {record} is already {row.status}")
        if versions.is_put_back(row):
            raise Conflict("status", f"version {row.version} of record {record} is being put back")
        if row.status == "running":
            if row.cancel_requested_at is None:
                row.cancel_requested_at = now
                add_history(
                    session, record, row.attempt, now, "cancel", Message("history.stop_requested")
                )
            return "running"
        add_history(
            session, record, row.attempt, now, "cancelled", Message("history.cancelled_before")
        )
        end_without_result(session, row, "cancelled", now)
        return row.status

    return writing(engine, ask_to_stop)


def retry(engine: Engine, record: int, now: datetime, only_of: int | None = None) -> None:
    """Queue a record again at once. Raises Refused where there is nothing to try again."""

    def again(session: Session) -> None:
        row = _locked(session, record, only_of)
        if row.status == "running":
            raise Conflict("status", f"record {record} is being worked on")
        is_wished = bool((row.delivered_as or {}).get("wished"))
        if row.status == "delivered" and row.error_code is None and not is_wished:
            raise Conflict("status", f"record {record} is delivered; nothing failed")
        if versions.is_put_back(row):
            row.run_after = now  # what failed is tried again when that is done
            return
        if row.status == "delivered":
            versions.begin_version(session, row, as_wished=True)
        elif row.stage != "deliver" and row.status in ENDED:
            _mark_asked_again(row)
        if row.status == "cancelled" and row.error_code == EVENT_OFF:
            _keep_for_people(session, row)
        _check_only(session, row)
        # What was missing, or refused, may have been put right at any stage.
        is_made = row.stage == "deliver" and row.status != "delivered"
        requeue(row, now, now, "deliver" if is_made else "collect")
        add_history(session, record, row.attempt, now, "retried", Message("history.retried"))

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
) -> None:
    """Queue another version of a record that has ended; None keeps what it is now.

    What was delivered stays until the new version is. Of several users, the owner alone may. Raises
    Refused.
    """

    def again(session: Session) -> None:
        row = _locked(session, record, only_of)
        _check_owner(row, only_of)
        if row.status not in ENDED:
            raise Conflict("status", f"record {record} is {row.status}; cancel it, or wait for it")
        span = record_span(start or row.start_at, end or row.end_at, now)
        if row.status == "delivered":
            versions.begin_version(session, row)
        else:
            _mark_asked_again(row)
        _keep_for_people(session, row)
        row.layout = layout_named(layout or row.layout).name
        row.profile = profile_named(profile or row.profile).name
        row.start_at, row.end_at = span.start, span.end
        _check_only(session, row)
        requeue(row, max(span.end, now), now)
        zone = zone_named(row.zone)
        begins, ends = (at.astimezone(zone) for at in (span.start, span.end))
        what = Message(
            "history.remerged", layout=row.layout, profile=row.profile,
            span=f"{begins:%H:%M:%S}-{ends:%H:%M:%S}",
        )  # fmt: skip
        add_history(session, record, row.attempt, now, "remerged", what)

    writing(engine, again)


def _locked(session: Session, record: int, only_of: int | None) -> Record:
    """Return the row of a record, locked after its room, as whoever asks for the same does."""
    room = session.scalar(select(Record.room_id).where(Record.id == record))
    if room is not None:
        session.get(Room, room, with_for_update=True)
    return record_row(session, record, only_of, lock=True)


def _check_only(session: Session, row: Record) -> None:
    """Raise Refused where another record is, or will be, of what this one is to be made of."""
    with session.no_autoflush:
        other = find_equal(session, row, row.room_id or 0, Span(row.start_at, row.end_at))
    if other is not None:
        raise Conflict(
            "conflict",
            f"record {other.id} is of the same room, time, layout and profile already; ask for that"
            " time again, and it is yours as well",
        )


def _mark_asked_again(row: Record) -> None:
    """Have a record that came to nothing look anew for all that it is made of."""
    row.media = {**(row.media or {}), ASKED_AGAIN: True}


def _check_owner(row: Record, only_of: int | None) -> None:
    """Raise Refused for a user who may have joined a record only to spoil it for the others."""
    if only_of is not None and row.users[0].user_id != only_of:
        raise Conflict(
            "conflict",
            f"others want record {row.id}, too: only its owner, or an editor, may do that; you can"
            " remove it from your records",
        )


def withdraw(engine: Engine, record: int, now: datetime, only_of: int | None = None) -> bool:
    """Remove a user from a record, and the record itself where nobody else wants it.

    Without a user (whoever sees all), the record is removed. What was delivered stays where it is.
    Returns whether the record is gone. Raises Refused for one that is being worked on.
    """

    def remove(session: Session) -> bool:
        row = record_row(session, record, only_of, lock=True)
        others = [entry for entry in row.users if entry.user_id != only_of]
        if only_of is not None and others:
            row.users = others
            for position, entry in enumerate(others):
                entry.position = position
            row.updated_at = now
            add_history(session, record, row.attempt, now, "left", Message("history.left"))
            return False
        if row.status == "running":
            raise Conflict("status", f"record {record} is being worked on; cancel it first")
        is_off = row.status == "cancelled" and row.error_code == EVENT_OFF
        if row.calendar_id and row.event_id and not is_off:
            name = removed_name(event_key(row.calendar_id, row.event_id))
            session.merge(Fact(name=name, value=now.isoformat()))
        session.delete(row)
        return True

    return writing(engine, remove)


def record_row(
    session: Session, record: int, only_of: int | None = None, *, lock: bool = False
) -> Record:
    """Return the row of a record. Raises Refused where it is not there, or not for this user."""
    row = session.get(Record, record, with_for_update=True if lock else None)
    if row is None or (only_of is not None and only_of not in [e.user_id for e in row.users]):
        raise NotFound("record", f"there is no record {record}")
    return row

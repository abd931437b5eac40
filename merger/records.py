"""Records: asked for, looked at, cancelled, tried again. Rows stay in here; values go out."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from merger.database import reading, writing
from merger.errors import Refused
from merger.layout import DEFAULT_LAYOUT, layout_named
from merger.localtime import zone_named
from merger.profiles import DEFAULT_PROFILE, profile_named
from merger.queue import release, tell
from merger.timeline import Span, record_span
from models import STATUSES, Chunk, Delivery, Event, Record, RecordUser, Rendition, Room, User

LONGEST_NAME = 255
ENDED = ("delivered", "failed", "cancelled")
_EMAIL = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+")


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


def room_zone(engine: Engine, room: str) -> ZoneInfo:
    """Return the zone of a room. Raises Refused for an unknown room."""
    with reading(engine) as session:
        return zone_named(_room(session, room).zone)


def ask(engine: Engine, request: Request, now: datetime) -> tuple[int, bool]:
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
    users = [_email(text) for text in request.users]

    def create(session: Session) -> tuple[int, bool]:
        room = _room(session, request.room, lock=True)
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
            who = f" by {users[0]}" if users else ""
            tell(session, row.id, 0, now, "asked", f"asked for{who}")
        _add_users(session, row, users)
        return row.id, is_new

    return writing(engine, create)


def _room(session: Session, name: str, *, lock: bool = False) -> Room:
    wanted = select(Room).where(Room.name == name)
    # Whoever asks for the same record at the same time waits here, and then finds it.
    room = session.scalars(wanted.with_for_update() if lock else wanted).one_or_none()
    if room is None:
        names = list(session.scalars(select(Room.name).order_by(Room.name)))
        raise Refused("room", f"there is no room {name!r}{did_you_mean(name, names)}")
    return room


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return a phrase that names the likeliest of some words, or all of a few, or nothing."""
    known = list(words)
    close = difflib.get_close_matches(word, known, 1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are {', '.join(known)}" if 0 < len(known) <= 12 else ""


def _email(text: str) -> str:
    address = text.strip().lower()
    if not _EMAIL.fullmatch(address) or len(address) > 254:
        raise Refused("users", f"{text!r} is no mail address")
    return address


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
    return session.scalars(
        select(Record)
        .where(
            Record.room_id == room,
            Record.start_at == span.start,
            Record.end_at == span.end,
            Record.layout == request.layout,
            Record.profile == request.profile,
            Record.status.not_in(("failed", "cancelled")),
        )
        .order_by(Record.id)
        .limit(1)
    ).one_or_none()


def _add_users(session: Session, row: Record, emails: Iterable[str]) -> None:
    there = {entry.user.email for entry in row.users}
    for email in dict.fromkeys(emails):
        if email in there:
            continue
        user = session.scalars(select(User).where(User.email == email)).one_or_none()
        if user is None:
            user = User(email=email)
            session.add(user)
        row.users.append(RecordUser(user=user, position=len(row.users)))


def cancel(engine: Engine, record: int, now: datetime) -> str:
    """Ask to stop a record; return its status. Raises Refused where it has ended already."""

    def ask_to_stop(session: Session) -> str:
        row = _record(session, record, lock=True)
        if row.status in ENDED:
            raise Refused("status", f"record {record} is already {row.status}")
        if row.status == "running":
            if row.cancel_requested_at is None:
                row.cancel_requested_at = now
                tell(session, record, row.attempt, now, "cancel", "asked to stop")
            return "running"
        tell(session, record, row.attempt, now, "cancelled", "cancelled before it was begun")
        if row.delivered_version is not None:
            row.version = row.delivered_version
            release(row, "delivered", now)
        else:
            release(row, "cancelled", now)
        return row.status

    return writing(engine, ask_to_stop)


def retry(engine: Engine, record: int, now: datetime) -> None:
    """Queue a record again at once. Raises Refused where there is nothing to try again."""

    def again(session: Session) -> None:
        row = _record(session, record, lock=True)
        if row.status == "running":
            raise Refused("status", f"record {record} is being worked on")
        if row.status == "delivered" and row.error_code is None:
            raise Refused("status", f"record {record} is delivered; nothing failed")
        if row.status == "delivered":
            row.version += 1
        elif row.stage != "deliver":
            row.media = None  # a file that somebody has taken out is not to come back
        row.run_after, row.tries, row.lost = now, 0, 0
        row.error_code = row.error_text = None
        # What was missing, or refused, may have been put right at any stage.
        row.stage = "collect" if row.stage != "deliver" or row.status == "delivered" else row.stage
        release(row, "queued", now)
        tell(session, record, row.attempt, now, "retried", "queued again by hand")

    writing(engine, again)


def _record(session: Session, record: int, *, lock: bool = False) -> Record:
    row = session.get(Record, record, with_for_update=True if lock else None)
    if row is None:
        raise Refused("record", f"there is no record {record}")
    return row


def listing(
    engine: Engine, *, room: str | None = None, status: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return the newest records, the newest last, as plain values. Raises Refused."""
    wanted = select(Record).order_by(Record.id.desc()).limit(limit)
    if status is not None:
        if status not in STATUSES:
            raise Refused("status", f"{status!r} is none of {', '.join(STATUSES)}")
        wanted = wanted.where(Record.status == status)
    with reading(engine) as session:
        if room is not None:
            wanted = wanted.where(Record.room_id == _room(session, room).id)
        return [summary(row) for row in reversed(session.scalars(wanted).all())]


def summary(row: Record) -> dict[str, Any]:
    """Return a record as a line of a list, in plain values; instants with the room's offset."""
    local = partial(_local, row.zone)
    return {
        "id": row.id,
        "room": row.room.name if row.room else None,
        "name": row.event_name,
        "start": local(row.start_at),
        "end": local(row.end_at),
        "zone": row.zone,
        "layout": row.layout,
        "profile": row.profile,
        "status": row.status,
        "stage": row.stage,
        "progress": round(row.progress, 4),
        "run_after": local(row.run_after) if row.status == "queued" else None,
        "attempt": row.attempt,
        "version": row.version,
        "delivered_version": row.delivered_version,
        "error": {"code": row.error_code, "message": row.error_text} if row.error_code else None,
        "users": [entry.user.email for entry in row.users],
    }


def _local(zone: str, instant: datetime | None) -> str | None:
    if instant is None:
        return None
    try:
        return instant.astimezone(zone_named(zone)).isoformat()
    except Refused:  # a row that somebody wrote by hand; the daemon will say so
        return instant.isoformat()


def details(engine: Engine, record: int) -> dict[str, Any]:
    """Return all that is known of a record as plain values. Raises Refused for an unknown one."""
    with reading(engine) as session:
        row = _record(session, record)
        chunks = session.scalars(
            select(Chunk).where(Chunk.record_id == record).order_by(Chunk.start_at)
        )
        renditions = session.scalars(
            select(Rendition).where(Rendition.record_id == record).order_by(Rendition.id)
        )
        deliveries = session.scalars(
            select(Delivery).where(Delivery.record_id == record).order_by(Delivery.id)
        )
        events = session.scalars(select(Event).where(Event.record_id == record).order_by(Event.id))
        report = json.loads(row.report) if row.report else {}
        local = partial(_local, row.zone)
        return {
            **summary(row),
            "warnings": report.get("warnings", []),
            "gaps": report.get("gaps", []),
            "scenes": report.get("scenes", []),
            "chunks": [
                {
                    "start": local(c.start_at), "end": local(c.end_at),
                    "presence": c.presence, "verdict": c.verdict, "score": round(c.score, 4),
                    "samples": c.samples, "reasons": c.reasons,
                }
                for c in chunks
            ],
            "renditions": [
                {
                    "kind": r.kind, "version": r.version, "bytes": r.size_bytes,
                    "sha256": r.sha256, "width": r.width, "height": r.height, "frames": r.frames,
                }
                for r in renditions
            ],
            "deliveries": [
                {
                    "destination": d.destination, "kind": d.kind, "status": d.status,
                    "version": d.version, "link": d.link, "sha256": d.sha256,
                }
                for d in deliveries
            ],
            "events": [
                {"at": e.at.isoformat(), "attempt": e.attempt, "kind": e.kind, "text": e.text}
                for e in events
            ],
        }  # fmt: skip

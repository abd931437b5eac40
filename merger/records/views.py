"""Records as they are shown: plain values, made of rows."""

from __future__ import annotations

import base64
import json
import operator
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, and_, false, func, not_, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload, undefer

from merger.accounts.room_policy import may_watch, policy_of_json
from merger.db.engine import reading
from merger.errors import Invalid, NotFound, Refused
from merger.i18n import document, from_json, to_json
from merger.mail_address import normal_form
from merger.records import outbox
from merger.records.requests import is_among, record_row, room_row, watched_row
from merger.records.rules.progress import overall_share, ready_at
from merger.timeline.clock import Span
from merger.timeline.filenames import ENDINGS, result_stem
from merger.timeline.report import warnings_of
from merger.timeline.zones import zone_named
from models import (
    STATUSES,
    Chunk,
    Delivery,
    Event,
    Notification,
    Record,
    RecordUser,
    Rendition,
    Room,
    User,
)


@dataclass(frozen=True)
class Filter:
    """Which records are meant; None, or empty: all.

    Attributes:
        day: by the clock of the room.
        only_of: a user who sees no others, but those that they may watch.
        is_theirs: of `only_of`, only those of which they are among the people.
        reader: who looks; records have the titles by which they call them.
        upcoming_at: those that are not over, or not finished, at this time.
        finished_at: all others; those that people have are finished, also while another version
            is made.
    """

    room: str | None = None
    user: str | None = None  # a mail address
    statuses: tuple[str, ...] = ()
    course: str | None = None
    day: date | None = None
    text: str | None = None  # a part of the name
    changed_since: datetime | None = None
    start_from: datetime | None = None
    start_before: datetime | None = None
    is_rising: bool = False  # what begins first comes first
    only_of: int | None = None
    is_theirs: bool = False
    reader: int | None = None
    upcoming_at: datetime | None = None
    finished_at: datetime | None = None


def page_of_records(
    engine: Engine, wanted: Filter, cursor: str | None = None, limit: int = 50
) -> tuple[list[dict[str, Any]], str | None]:
    """Return records, those that begin last first, and the cursor of the next page, if any.

    Of those that are upcoming, what begins first comes first. Raises Refused for an unknown room, a
    status that there is not, or a cursor that is none.
    """
    for status in wanted.statuses:
        if status not in STATUSES:
            raise Invalid("status", "records.no_status", value=status, choices=STATUSES)
    with reading(engine) as session:
        query = _query_of(session, wanted)
        is_rising = wanted.is_rising or wanted.upcoming_at is not None
        if cursor is not None:
            at, record = _position(cursor)
            is_behind = operator.gt if is_rising else operator.lt
            query = query.where(
                or_(
                    is_behind(Record.start_at, at),
                    and_(Record.start_at == at, is_behind(Record.id, record)),
                )
            )
        order = (Record.start_at, Record.id)
        query = query.order_by(*(order if is_rising else [column.desc() for column in order]))
        rows = session.scalars(query.options(*_LOADED).limit(limit + 1)).all()
        following = None
        if len(rows) > limit:
            last = rows[limit - 1]
            following = f"{last.start_at.isoformat()}~{last.id}"
        return summaries(session, rows[:limit], wanted.reader, wanted.only_of), following


def running_records(
    engine: Engine,
    most: int,
    only_of: int | None = None,
    rooms: Collection[int] | None = None,
    reader: int | None = None,
) -> list[dict[str, Any]]:
    """Return running and coming records, in order of their start: of each room the first few.

    Args:
        most: of each room.
        only_of: a user who sees no others.
        rooms: their ids; None for all.
        reader: who looks, as of a `Filter`.
    """
    wanted = Filter(statuses=("queued", "running"), only_of=only_of)
    in_order = (Record.start_at, Record.id)
    place = func.row_number().over(partition_by=Record.room_id, order_by=in_order)
    with reading(engine) as session:
        places = _query_of(session, wanted).with_only_columns(Record.id, place.label("place"))
        if rooms is not None:
            places = places.where(Record.room_id.in_(rooms))
        ranked = places.subquery()
        query = select(Record).join(ranked, ranked.c.id == Record.id).where(ranked.c.place <= most)
        query = query.order_by(*in_order).options(*_LOADED)
        return summaries(session, session.scalars(query).all(), reader, only_of)


_LOADED = (
    joinedload(Record.room),
    selectinload(Record.users).joinedload(RecordUser.user).joinedload(User.confirmation),
)


def _query_of(session: Session, wanted: Filter) -> Select[Record]:
    query = select(Record)
    if wanted.room is not None:
        query = query.where(Record.room_id == room_row(session, wanted.room).id)
    if wanted.statuses:
        query = query.where(Record.status.in_(wanted.statuses))
    if wanted.course is not None:
        query = query.where(Record.course_code == wanted.course)
    if wanted.text:
        theirs = select(RecordUser.record_id).where(
            RecordUser.user_id == wanted.reader,
            RecordUser.title.icontains(wanted.text, autoescape=True),
        )
        own = Record.event_name.icontains(wanted.text, autoescape=True)
        query = query.where(or_(own, Record.id.in_(theirs)))
    if wanted.changed_since is not None:
        query = query.where(Record.updated_at >= wanted.changed_since)
    if wanted.user is not None:
        query = query.where(Record.id.in_(_of_user(User.email == normal_form(wanted.user))))
    if wanted.only_of is not None:
        visible: ColumnElement[bool] = Record.id.in_(_of_user(User.id == wanted.only_of))
        # Whose the recordings are that somebody only watches, they do not find out either.
        if not wanted.is_theirs and wanted.user is None:
            rooms = watched_rooms(session, wanted.only_of)
            visible = or_(visible, Record.room_id.in_(rooms)) if rooms else visible
        query = query.where(visible)
    if wanted.day is not None:
        query = query.where(or_(*_of_day(session, wanted.day)))
    if wanted.start_from is not None:
        query = query.where(Record.start_at >= wanted.start_from)
    if wanted.start_before is not None:
        query = query.where(Record.start_at < wanted.start_before)
    if wanted.upcoming_at is not None:
        query = query.where(_is_upcoming(wanted.upcoming_at))
    if wanted.finished_at is not None:
        query = query.where(not_(_is_upcoming(wanted.finished_at)))
    return query


def _of_user(user: ColumnElement[bool]) -> Select[int]:
    return select(RecordUser.record_id).join(RecordUser.user).where(user)


def watched_rooms(session: Session, user: int) -> list[int]:
    """Return the rooms in which somebody may watch what others have requested."""
    email = session.scalar(select(User.email).where(User.id == user)) or ""
    rooms = session.execute(select(Room.id, Room.watchers).where(Room.watchers.is_not(None)))
    return [room for room, watchers in rooms if may_watch(policy_of_json(watchers), email)]


def watches_rooms(engine: Engine, only_of: int | None) -> bool:
    """Return whether there are rooms in which somebody may watch what others have requested."""
    with reading(engine) as session:
        return only_of is not None and bool(watched_rooms(session, only_of))


def _is_upcoming(now: datetime) -> ColumnElement[bool]:
    is_unfinished = and_(
        Record.status.in_(("queued", "running")), Record.delivered_version.is_(None)
    )
    return or_(Record.end_at > now, is_unfinished)


def _of_day(session: Session, day: date) -> Iterator[ColumnElement[bool]]:
    """Yield, for each zone that rooms have, that a record begins on a day of that zone."""
    yield false()
    for zone in session.scalars(select(Record.zone).distinct()):
        try:
            midnights = [
                datetime.combine(day + timedelta(days=n), time(), zone_named(zone)).astimezone(UTC)
                for n in (0, 1)
            ]
        except (Refused, OverflowError):
            continue
        yield and_(
            Record.zone == zone, Record.start_at >= midnights[0], Record.start_at < midnights[1]
        )


def _position(cursor: str) -> tuple[datetime, int]:
    instant, _, record = cursor.partition("~")
    try:
        at = datetime.fromisoformat(instant)
        if at.tzinfo is None or not record.isascii() or not 0 <= int(record) < 2**63:
            raise ValueError(cursor)
        return at.astimezone(UTC), int(record)
    except (ValueError, OverflowError) as error:
        raise Invalid("cursor", "records.cursor") from error


def list_records(
    engine: Engine, *, room: str | None = None, status: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return the records that were requested last, the last one last. Raises Refused."""
    wanted = Filter(room=room, statuses=(status,) if status else ())
    if status is not None and status not in STATUSES:
        raise Invalid("status", "records.no_status", value=status, choices=STATUSES)
    with reading(engine) as session:
        query = _query_of(session, wanted).order_by(Record.id.desc()).limit(limit)
        return summaries(session, session.scalars(query).all()[::-1])


def summaries(
    session: Session,
    rows: Sequence[Record],
    reader: int | None = None,
    only_of: int | None = None,
) -> list[dict[str, Any]]:
    """Return records as lines of a list, with when they will be ready."""
    estimates = _estimates(session, rows)
    return [record_summary(row, estimates.get(row.id), reader, only_of) for row in rows]


def _estimates(session: Session, rows: Iterable[Record]) -> dict[int, datetime]:
    """Return when records will be ready of which that can be said, by id."""
    running = {row.id: row for row in rows if (row.status, row.stage) == ("running", "encode")}
    if not running:
        return {}
    claims = session.execute(
        select(Event.record_id, Event.at, Event.message)
        .join(Record, and_(Record.id == Event.record_id, Record.attempt == Event.attempt))
        .where(Event.record_id.in_(running), Event.kind == "claimed")
    )
    found = {}
    for record, claimed_at, message in claims:
        row, encoded = running[record], message.params.get("encoded")
        before = encoded if isinstance(encoded, float) else 0.0
        at = ready_at(row.stage, row.progress, row.updated_at, claimed_at, before)
        if at is not None:
            found[record] = at
    return found


def record_summary(
    row: Record,
    ready: datetime | None = None,
    reader: int | None = None,
    only_of: int | None = None,
) -> dict[str, Any]:
    """Return a record as a line of a list, in plain values; instants with the room's offset.

    Args:
        row: of the record.
        ready: when it will be, as far as that can be said.
        reader: who looks; it has the title by which they call it.
        only_of: a user who may not see those of others; if they only watch it, they are not told
            whose it is.
    """
    local = partial(_local, row.zone)
    own_title = next((entry.title for entry in row.users if entry.user_id == reader), None)
    is_yours = is_among(row, only_of)
    users = row.users if is_yours else []
    return {
        "id": row.id,
        "room": row.room.name if row.room else None,
        "room_id": row.room_id,
        "name": row.event_name,
        "title": own_title or row.event_name,
        "description": row.description,
        "start": local(row.start_at),
        "end": local(row.end_at),
        "zone": row.zone,
        "layout": row.layout,
        "profile": row.profile,
        **_state(row, ready),
        "run_after": local(row.run_after) if row.status == "queued" else None,
        "attempt": row.attempt,
        "is_outdated": row.is_outdated,
        "is_yours": is_yours,
        "users": [entry.user.email for entry in users],
        "unconfirmed_users": [e.user.email for e in users if not e.user.is_confirmed],
        "course_code": row.course_code,
        "created_at": local(row.created_at),
        "updated_at": local(row.updated_at),
        "delivered_at": local(row.delivered_at),
    }


def _state(row: Record, ready: datetime | None) -> dict[str, Any]:
    return {
        "status": row.status,
        "stage": row.stage,
        "progress": round(row.progress, 4),
        "overall_progress": overall_share(row.status, row.stage, row.progress),
        "ready_at": _local(row.zone, ready),
        "version": row.version,
        "delivered_version": row.delivered_version,
        "error": outbox.error_document(row),
    }


def _local(zone: str, instant: datetime | None) -> str | None:
    if instant is None:
        return None
    try:
        return instant.astimezone(zone_named(zone)).isoformat()
    except Refused:  # a row that somebody wrote by hand; the daemon will say so
        return instant.isoformat()


def record_details(
    engine: Engine, record: int, only_of: int | None = None, reader: int | None = None
) -> dict[str, Any]:
    """Return all there is about a record as plain values. Raises NotFound for an unknown one.

    Args:
        only_of: a user for whom the records of others do not exist.
        reader: who looks, as of a `Filter`.
    """
    with reading(engine) as session:
        row = watched_row(session, record, only_of)
        chunks = session.scalars(
            select(Chunk)
            .where(Chunk.record_id == record)
            .options(undefer(Chunk.pictures))
            .order_by(Chunk.start_at)
        )
        renditions = session.scalars(
            select(Rendition).where(Rendition.record_id == record).order_by(Rendition.id)
        )
        deliveries = session.scalars(
            select(Delivery).where(Delivery.record_id == record).order_by(Delivery.id)
        )
        events = session.scalars(select(Event).where(Event.record_id == record).order_by(Event.id))
        report = json.loads(row.report) if row.report else {}
        warnings = warnings_of(report)
        is_yours = is_among(row, only_of)
        local = partial(_local, row.zone)
        return {
            **summaries(session, [row], reader, only_of)[0],
            "warnings": [str(warning) for warning in warnings],
            "warning_messages": [to_json(warning) for warning in warnings],
            "sources": _filmed_sources(row),
            "gaps": report.get("gaps", []),
            "papers": _transcripts(row),
            "scenes": report.get("scenes", []),
            "chunks": [
                {
                    "start": local(c.start_at), "end": local(c.end_at),
                    "presence": c.presence, "verdict": c.verdict, "score": round(c.score, 4),
                    "samples": c.samples,
                    "reasons": [str(from_json(reason)) for reason in c.reasons],
                    "reason_messages": [to_json(from_json(reason)) for reason in c.reasons],
                    "pictures": [
                        {"at": local(datetime.fromisoformat(p["at"])), "verdict": p["verdict"]}
                        for p in _pictures(c.pictures)
                    ],
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
            "messages": [
                {
                    "kind": m.kind, "channel": m.channel, "recipient": m.recipient,
                    "status": m.status, "at": (m.sent_at or m.due_at).isoformat(),
                    "error": str(m.error_message) if m.error_message else None,
                    "error_message": to_json(m.error_message) if m.error_message else None,
                }
                for m in (session.scalars(_messages_of(record, only_of)) if is_yours else ())
            ],
            "events": [
                {
                    "at": e.at.isoformat(), "attempt": e.attempt, "kind": e.kind,
                    **document(e.message),
                }
                for e in (events if is_yours else ())  # which name people
            ],
        }  # fmt: skip


def _messages_of(record: int, only_of: int | None) -> Select[Notification]:
    """Select who was notified, or could not be yet; what is for editors, only they see.

    What nobody has tried to send may be for a channel that nobody has set up.
    """
    is_tried = or_(Notification.status != "pending", Notification.tries > 0)
    wanted = (
        select(Notification)
        .where(Notification.record_id == record, is_tried)
        .order_by(Notification.id)
    )
    return wanted if only_of is None else wanted.where(Notification.kind != "silent")


def _filmed_sources(row: Record) -> list[str]:
    """Return the sources whose pictures a record is made of, in the order of the room."""
    used = (row.media or {}).get("items", {})
    heard = {s.name for s in row.room.sources if s.role == "audio"} if row.room else set()
    return [name for name in used if name not in heard]


@dataclass(frozen=True)
class RenditionFile:
    """A video for people. path: below the data folder, None once it was removed; name: for them."""

    path: str | None
    name: str
    sha256: str


def check_transcript(engine: Engine, record: int, name: str, only_of: int | None = None) -> None:
    """Raise NotFound where a record has no transcript of a name, or is not for this user."""
    with reading(engine) as session:
        row = watched_row(session, record, only_of)
        if name not in _transcripts(row):
            raise NotFound("paper", "records.no_transcript", name=name, record=record)


def _transcripts(row: Record) -> list[str]:
    found = (row.media or {}).get("papers", [])
    return [name for name in found if isinstance(name, str)]


def rendition_file(
    engine: Engine, record: int, kind: str, only_of: int | None = None
) -> RenditionFile:
    """Return the file of a rendition: of the version that is delivered, else that waits to be.

    Raises NotFound where there is none.
    """
    with reading(engine) as session:
        row = watched_row(session, record, only_of)
        version = row.delivered_version
        if version is None and row.stage == "deliver":
            version = row.version
        rendition = session.scalars(
            select(Rendition).where(
                Rendition.record_id == record,
                Rendition.version == version,
                Rendition.kind == kind,
            )
        ).one_or_none()
        if rendition is None:
            raise NotFound("rendition", "records.no_rendition", kind=kind, record=record)
        name = session.scalar(
            select(Delivery.name)
            .where(Delivery.record_id == record, Delivery.kind == kind)
            .order_by(Delivery.id)
            .limit(1)
        )
        if name is None:
            room, span = row.room.name if row.room else "", Span(row.start_at, row.end_at)
            name = result_stem(row.event_name, room, span, zone_named(row.zone)) + ENDINGS[kind]
        return RenditionFile(rendition.path, name, rendition.sha256)


def record_summary_of(
    engine: Engine, record: int, only_of: int | None = None, reader: int | None = None
) -> dict[str, Any]:
    """Return a record as a line of a list, to whoever may change it: not to those who only watch.

    Raises NotFound, as above.
    """
    with reading(engine) as session:
        row = record_row(session, record, only_of)
        return summaries(session, [row], reader, only_of)[0]


def record_state(engine: Engine, record: int, only_of: int | None = None) -> dict[str, Any]:
    """Return how a record stands: of its summary, what changes while it is made.

    Raises NotFound where it is not there, or not for this user.
    """
    with reading(engine) as session:
        row = watched_row(session, record, only_of)
        return {"id": row.id, **_state(row, _estimates(session, [row]).get(row.id))}


def _pictures(text: str | None) -> list[dict[str, str]]:
    return list(json.loads(text)) if text else []  # none before pictures were kept


def chunk_picture(
    engine: Engine, record: int, chunk: int, number: int, only_of: int | None = None
) -> bytes:
    """Return a picture of a chunk as JPEG; both are counted from 0, as `record_details` lists them.

    Raises NotFound where there is none.
    """
    with reading(engine) as session:
        watched_row(session, record, only_of)
        text = session.scalar(
            select(Chunk.pictures)
            .where(Chunk.record_id == record)
            .order_by(Chunk.start_at)
            .offset(chunk)
            .limit(1)
        )
    pictures = _pictures(text)
    if not 0 <= number < len(pictures):
        raise NotFound("picture", "records.no_picture", record=record, chunk=chunk, number=number)
    return base64.b64decode(pictures[number]["jpeg"])

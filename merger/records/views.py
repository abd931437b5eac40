"""Records as they are shown: plain values, made of rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Engine, Select, and_, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload, undefer

from merger.db.engine import reading
from merger.errors import Refused
from merger.i18n import Message, document, from_json, to_json
from merger.records import outbox
from merger.records.lookup import is_among, record_row, watched_row
from merger.records.rules.progress import reached_share, ready_at
from merger.records.rules.server_paths import is_web_link, without_folders
from merger.records.slides import slides_of
from merger.timeline.files.filenames import CAPTIONS, VIDEOS
from merger.timeline.report import warnings_of
from merger.timeline.zones import zone_named
from models import (
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
        **_state(row, ready, only_of),
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


def _state(row: Record, ready: datetime | None, only_of: int | None) -> dict[str, Any]:
    return {
        "status": row.status,
        "stage": row.stage,
        "progress": round(row.progress, 4),
        "overall_progress": reached_share(row),
        "ready_at": _local(row.zone, ready),
        "version": row.version,
        "delivered_version": row.delivered_version,
        "error": outbox.error_document(row, only_of),
    }


def _local(zone: str, instant: datetime | None) -> str | None:
    if instant is None:
        return None
    try:
        return instant.astimezone(zone_named(zone)).isoformat()
    except Refused:  # a row that somebody wrote by hand; the daemon will say so
        return instant.isoformat()


_WITH_ALL = (
    joinedload(Record.room).selectinload(Room.sources),
    selectinload(Record.users).joinedload(RecordUser.user).joinedload(User.confirmation),
    undefer(Record.report),
)


def record_details(
    engine: Engine, record: int, only_of: int | None = None, reader: int | None = None
) -> dict[str, Any]:
    """Return all there is about a record as plain values. Raises NotFound for an unknown one.

    Args:
        only_of: a user for whom the records of others do not exist, nor paths of the server.
        reader: who looks, as of a `Filter`.
    """
    told = _as_it_is if only_of is None else without_folders
    with reading(engine) as session:
        row = watched_row(session, record, only_of, _WITH_ALL)
        chunks = session.scalars(
            select(Chunk)
            .where(Chunk.record_id == record)
            .options(undefer(Chunk.pictures))
            .order_by(Chunk.start_at)
        )
        renditions = session.scalars(
            select(Rendition).where(Rendition.record_id == record).order_by(Rendition.id)
        ).all()
        deliveries = session.scalars(
            select(Delivery).where(Delivery.record_id == record).order_by(Delivery.id)
        )
        events = session.scalars(select(Event).where(Event.record_id == record).order_by(Event.id))
        report = json.loads(row.report) if row.report else {}
        warnings = [told(warning) for warning in warnings_of(report)]
        is_yours = is_among(row, only_of)
        local = partial(_local, row.zone)
        return {
            **summaries(session, [row], reader, only_of)[0],
            "warnings": [str(warning) for warning in warnings],
            "warning_messages": [to_json(warning) for warning in warnings],
            "sources": _filmed_sources(row),
            "sync": report.get("sync", []),
            "gaps": report.get("gaps", []),
            "papers": transcripts_of(row),
            "scenes": report.get("scenes", []),
            "overrules": [
                {
                    "start": local(datetime.fromisoformat(start)),
                    "end": local(datetime.fromisoformat(end)),
                    "right": right,
                }
                for start, end, right in (row.media or {}).get("overrules", ())
            ],
            "decisions": [
                {**decision, "reason": str(told(from_json(decision["reason_message"])))}
                for decision in report.get("decisions", [])
            ],
            "chunks": [
                {
                    "start": local(c.start_at), "end": local(c.end_at),
                    "presence": c.presence, "verdict": c.verdict, "score": round(c.score, 4),
                    "samples": c.samples,
                    "reasons": [str(told(from_json(reason))) for reason in c.reasons],
                    "reason_messages": [to_json(told(from_json(reason))) for reason in c.reasons],
                    "pictures": [
                        {"at": local(datetime.fromisoformat(p["at"])), "verdict": p["verdict"]}
                        for p in pictures_of(c.pictures)
                    ],
                }
                for c in chunks
            ],
            "chapters": [
                {
                    "start": local(row.start_at + timedelta(milliseconds=slide.start_ms)),
                    "end": local(row.start_at + timedelta(milliseconds=slide.end_ms)),
                    "start_s": slide.start_ms / 1000, "title": slide.title, "words": slide.words,
                    "has_picture": has_picture,
                }
                for slide, has_picture in slides_of(session, row)
            ],
            "renditions": [
                {
                    "kind": r.kind, "version": r.version, "bytes": r.size_bytes,
                    "sha256": r.sha256, "width": r.width, "height": r.height, "frames": r.frames,
                }
                for r in renditions
                if r.kind in VIDEOS
            ],
            "captions": [
                {"kind": r.kind, "version": r.version, "bytes": r.size_bytes, "sha256": r.sha256}
                for r in renditions
                if r.kind in CAPTIONS
            ],
            "deliveries": [
                {
                    "destination": d.destination, "kind": d.kind, "status": d.status,
                    "version": d.version, "sha256": d.sha256,
                    "link": d.link if only_of is None or is_web_link(d.link) else None,
                }
                for d in deliveries
            ],
            "messages": [
                {
                    "kind": m.kind, "channel": m.channel, "recipient": m.recipient,
                    "status": m.status, "at": (m.sent_at or m.due_at).isoformat(),
                    "error": str(told(m.error_message)) if m.error_message else None,
                    "error_message": to_json(told(m.error_message)) if m.error_message else None,
                }
                for m in (session.scalars(_messages_of(record, only_of)) if is_yours else ())
            ],
            "events": [
                {
                    "at": e.at.isoformat(), "attempt": e.attempt, "kind": e.kind,
                    **document(told(e.message)),
                }
                for e in (events if is_yours else ())  # which name people
            ],
        }  # fmt: skip


def _as_it_is(message: Message) -> Message:
    return message


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
        return {"id": row.id, **_state(row, _estimates(session, [row]).get(row.id), only_of)}


def pictures_of(text: str | None) -> list[dict[str, str]]:
    """Return the pictures of a chunk, as they are kept in its row."""
    return list(json.loads(text)) if text else []  # none before pictures were kept


def transcripts_of(row: Record) -> list[str]:
    """Return the names of the transcripts that a record has."""
    found = (row.media or {}).get("papers", [])
    return [name for name in found if isinstance(name, str)]

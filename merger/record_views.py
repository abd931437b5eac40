"""Records as they are shown: plain values, made of rows."""

from __future__ import annotations

import json
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Engine, select

from merger.database import reading
from merger.errors import Refused
from merger.localtime import zone_named
from merger.records import record_row, room_row
from models import STATUSES, Chunk, Delivery, Event, Record, Rendition


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
            wanted = wanted.where(Record.room_id == room_row(session, room).id)
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


def details(engine: Engine, record: int, only_of: int | None = None) -> dict[str, Any]:
    """Return all that is known of a record as plain values. Raises Refused for an unknown one."""
    with reading(engine) as session:
        row = record_row(session, record, only_of)
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

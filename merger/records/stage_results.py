"""What a worker writes down of a record's stages, and reads back to go on: fenced, idempotent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session, undefer

from merger.analysis.sampling import Look
from merger.db.engine import reading
from merger.i18n import to_json
from merger.ports.recorder import Collected
from merger.records.queue import ASKED_AGAIN, Claim, with_fence
from merger.timeline.report import Rendition as RenditionMade
from models import Chunk, Record, Rendition, Segment, Source


@dataclass(frozen=True)
class SourceRow:
    """A source of a room, as it is configured."""

    id: int
    name: str
    role: str
    kind: str
    address: str
    credentials: str | None


@dataclass(frozen=True)
class Job:
    """All that a worker needs to know of a record. Nothing of it has been checked."""

    record: int
    room_id: int | None
    room: str | None
    zone: str
    start: datetime
    end: datetime
    name: str
    layout: str
    profile: str
    chunk_s: int
    sound_source: str | None
    sources: tuple[SourceRow, ...]
    stage: str
    tries: int
    version: int
    delivered_version: int | None
    media: Mapping[str, Any]
    users: tuple[str, ...] = ()  # mail addresses, the owner's first
    drive_folder: str | None = None  # of the room
    calendar_id: str | None = None  # in which the event is that it was made for
    event_id: str | None = None
    course_code: str | None = None


@dataclass(frozen=True)
class KeptSegment:
    """A collected file that a record uses. path: below the data folder."""

    source: str
    origin: str
    path: str
    start: datetime


@dataclass(frozen=True)
class KeptRendition:
    """A rendition that is finished. path: below the data folder."""

    kind: str
    version: int
    path: str | None  # none once it was removed, some time after its delivery
    size_bytes: int
    sha256: str


def load_job(engine: Engine, record: int) -> Job:
    """Return what is to be done for a record."""
    with reading(engine) as session:
        return job_from_row(session, session.get_one(Record, record))


def job_from_row(session: Session, row: Record) -> Job:
    """Return what is to be done for the record of a row."""
    room = row.room
    sources: tuple[SourceRow, ...] = ()
    if room is not None:
        rows = session.scalars(
            select(Source)
            .where(Source.room_id == room.id)
            .options(undefer(Source.credentials))
            .order_by(Source.id)
        )
        sources = tuple(
            SourceRow(s.id, s.name, s.role, s.kind, s.address, s.credentials) for s in rows
        )
    return Job(
        record=row.id,
        room_id=row.room_id,
        room=room.name if room else None,
        zone=row.zone,
        start=row.start_at,
        end=row.end_at,
        name=row.event_name,
        layout=row.layout,
        profile=row.profile,
        chunk_s=room.chunk_s if room else 1800,
        sound_source=room.sound_source if room else None,
        sources=sources,
        stage=row.stage,
        tries=row.tries,
        version=row.version,
        delivered_version=row.delivered_version,
        media=row.media or {},
        users=tuple(entry.user.email for entry in row.users),
        drive_folder=room.drive_folder if room else None,
        calendar_id=row.calendar_id,
        event_id=row.event_id,
        course_code=row.course_code,
    )


def save_segments(
    engine: Engine,
    held: Claim,
    data: Path,
    collected: Mapping[str, Sequence[Collected]],
    ids: Mapping[str, int],
    incomplete: Sequence[str],
    now: datetime,
    papers: Mapping[str, Sequence[str]] | None = None,
    warnings: Sequence[str] = (),
) -> None:
    """Write down what was collected for a record, by source, and that it is what it is made of.

    ids: of the sources, by name; incomplete: of those of which more might have come; warnings: in
    words, of what is missing, for whoever goes on from there. What was collected for it before and
    is no longer where it came from is still used: a library that keeps its files for a week must
    not make a video worse. Where people asked for it again after it had come to nothing, that is
    only so as long as nothing else is there: what somebody has taken out is not to come back.
    """
    before = load_job(engine, held.record).media
    # What was left of a source that has something else now was taken out by somebody.
    is_taken_out = ASKED_AGAIN in before and any(collected.values())
    there = {kept.path for kept in kept_segments(before) if (data / kept.path).is_file()}

    def write(session: Session, row: Record) -> None:
        for name, files in collected.items():
            source_id = ids[name]
            known = {
                segment.origin: segment
                for segment in session.scalars(
                    select(Segment)
                    .where(Segment.source_id == source_id)
                    .where(Segment.origin.in_([one.item.origin for one in files]))
                )
            }
            for one in files:
                segment = known.get(one.item.origin)
                if segment is None:
                    segment = Segment(source_id=source_id, origin=one.item.origin)
                    session.add(segment)
                elif segment.fingerprint == one.item.fingerprint:
                    continue
                segment.fingerprint = one.item.fingerprint
                segment.start_at, segment.end_at = one.item.start, one.item.end
                segment.path = str(one.path.relative_to(data))
                segment.size_bytes = one.item.size_bytes
                segment.collected_at = now
        row.media = {
            **(row.media or {}),
            "items": {name: _items(files, data) for name, files in collected.items()},
            "incomplete": list(incomplete),
            "warnings": list(warnings),
            "papers": sorted(
                {*before.get("papers", ()), *chain.from_iterable((papers or {}).values())}
            ),
        }
        row.media.pop(ASKED_AGAIN, None)
        for name, earlier in before.get("items", {}).items():
            if name in collected and is_taken_out:
                continue
            items = row.media["items"].setdefault(name, [])
            origins = {item[0] for item in items}
            items += [item for item in earlier if item[0] not in origins and item[2] in there]
        row.updated_at = now

    with_fence(engine, held, write)


def _items(files: Sequence[Collected], data: Path) -> list[list[str]]:
    return [
        [
            one.item.origin, one.item.fingerprint, str(one.path.relative_to(data)),
            one.item.start.isoformat(),
        ]
        for one in files
    ]  # fmt: skip


def kept_segments(media: Mapping[str, Any]) -> list[KeptSegment]:
    """Return the collected files that a record is made of. Pure."""
    return [
        KeptSegment(source, origin, path, datetime.fromisoformat(start))
        for source, items in media.get("items", {}).items()
        for origin, _, path, start in items
    ]


def save_chunks(engine: Engine, held: Claim, seen: Sequence[Look]) -> None:
    """Write down what was decided about the chunks of a record."""

    def write(session: Session, row: Record) -> None:
        session.execute(delete(Chunk).where(Chunk.record_id == row.id))
        session.add_all(_chunk_row(row.id, one) for one in seen)

    with_fence(engine, held, write)


def _chunk_row(record: int, seen: Look) -> Chunk:
    chunk = seen.chunk
    return Chunk(
        record_id=record, start_at=chunk.span.start, end_at=chunk.span.end,
        presence=chunk.presence, verdict=chunk.verdict, score=float(chunk.score),
        samples=chunk.samples, reasons=[to_json(reason) for reason in seen.reasons],
        pictures=json.dumps(seen.pictures),
    )  # fmt: skip


def save_renditions(
    engine: Engine,
    held: Claim,
    data: Path,
    renditions: Sequence[RenditionMade],
    report: Mapping[str, Any],
    now: datetime,
) -> None:
    """Write down the finished files of the version being made, and what is to be told of it."""

    def write(session: Session, row: Record) -> None:
        session.execute(
            delete(Rendition).where(Rendition.record_id == row.id, Rendition.version == row.version)
        )
        session.add_all(
            Rendition(
                record_id=row.id, version=row.version, kind=r.kind,
                path=str(r.path.relative_to(data)), size_bytes=r.size_bytes, sha256=r.sha256,
                frames=r.frames, width=r.size.width, height=r.size.height, made_at=now,
            )
            for r in renditions
        )  # fmt: skip
        row.report = json.dumps(report, ensure_ascii=False)
        row.stage, row.progress, row.tries, row.updated_at = "deliver", 0.0, 0, now

    with_fence(engine, held, write)


def load_report(engine: Engine, record: int) -> dict[str, Any]:
    """Return what is told of the last version that was made."""
    with reading(engine) as session:
        text = session.scalar(select(Record.report).where(Record.id == record))
        return dict(json.loads(text)) if text else {}


def kept_renditions(engine: Engine, record: int, version: int) -> list[KeptRendition]:
    """Return the finished files of a version."""
    with reading(engine) as session:
        rows = session.scalars(
            select(Rendition)
            .where(Rendition.record_id == record, Rendition.version == version)
            .order_by(Rendition.id)
        )
        return [KeptRendition(r.kind, r.version, r.path, r.size_bytes, r.sha256) for r in rows]

"""What a worker writes down of a record's stages, and reads back to go on: fenced, idempotent."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.orm import Session

from merger.db.engine import reading
from merger.i18n import Message, to_json
from merger.ports.recorder import Collected
from merger.records.processing.jobs import Job, job_from_row
from merger.records.processing.leases import Lease
from merger.timeline.captions import Transcript
from merger.timeline.clock import Span
from merger.timeline.plan import Chapter
from merger.timeline.screen.chapters import sought
from models import Chunk, Record, RecordMedia, Rendition, Segment, Slide, SlideWord, TranscriptData

if TYPE_CHECKING:  # heavy: whoever only collects or delivers does not pay for it
    from merger.analysis.sampling import Look
    from merger.timeline.report import Rendition as RenditionMade

_MS = timedelta(milliseconds=1)
# Of a room's slides: what they have in common, such as where a logo is, shows soon.
_EARLIER_RECORDS, _SLIDES_OF_EACH = 10, 6
# None are kept of screens of which it is known when they show anything, nor of old rows.
_SHOWS_SLIDES = (Chunk.verdict == "presentation", Chunk.pictures != "[]")


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


# --- collect --------------------------------------------------------------------------------------


def save_segments(
    lease: Lease,
    data: Path,
    collected: Mapping[str, Sequence[Collected]],
    ids: Mapping[str, int],
    before: RecordMedia,
    *,
    incomplete: Sequence[str] = (),
    transcripts: Sequence[Transcript] = (),
    warnings: Sequence[Message] = (),
) -> RecordMedia:
    """Write down what was collected for a record, and return what it is made of.

    What was collected for it before and is no longer where it came from is still used: a library
    that keeps its files for a week must not make a video worse. Where people requested it again
    after it had failed, that is only so as long as nothing else is there: what somebody has taken
    out is not to come back.

    Args:
        collected: the files of each source that could be reached, by its name.
        ids: of the sources, by their names.
        before: what the record was made of until now (`Job.media`).
        incomplete: names of the sources of which more might have come.
        transcripts: whose files are there to be read.
        warnings: about what is missing, for whoever goes on from there.
    """
    # What was left of a source that has something else now was taken out by somebody.
    is_taken_out = "asked_again" in before and any(collected.values())
    there = {kept.path for kept in kept_segments(before) if (data / kept.path).is_file()}

    def write(session: Session, row: Record) -> RecordMedia:
        now = lease.now()
        for name, files in collected.items():
            _save_files(session, data, ids[name], files, now)
        items = {name: _items(files, data) for name, files in collected.items()}
        for name, earlier in before.get("items", {}).items():
            if name in collected and is_taken_out:
                continue
            origins = {item[0] for item in items.setdefault(name, [])}
            items[name] += [i for i in earlier if i[0] not in origins and i[2] in there]
        media: RecordMedia = {
            **(row.media or {}),
            "items": items,
            "incomplete": list(incomplete),
            "warnings": [to_json(message) for message in warnings],
            "papers": sorted({*before.get("papers", ()), *(t.name for t in transcripts)}),
            "transcripts": _transcript_documents(before, transcripts),
        }
        media.pop("asked_again", None)
        if media.get("late_transcripts") == before.get("late_transcripts"):
            media.pop("late_transcripts", None)  # they are among these
        row.media, row.updated_at = media, now
        return media

    return lease.write(write)


def save_views(lease: Lease, data: Path, source: int, files: Sequence[Collected]) -> None:
    """Write down all views that were collected of a source; a record need not show them."""
    lease.write(lambda session, _: _save_files(session, data, source, files, lease.now()))


def _save_files(
    session: Session, data: Path, source: int, files: Sequence[Collected], now: datetime
) -> None:
    """Write down the collected files of a source, but for those that are known as they are."""
    rows = {
        segment.origin: segment
        for segment in session.scalars(
            select(Segment)
            .where(Segment.source_id == source)
            .where(Segment.origin.in_([file.item.origin for file in files]))
        )
    }
    for file in files:
        segment = rows.get(file.item.origin)
        if segment is None:
            segment = Segment(source_id=source, origin=file.item.origin)
            session.add(segment)
        elif segment.fingerprint == file.item.fingerprint:
            continue
        segment.fingerprint = file.item.fingerprint
        segment.start_at, segment.end_at = file.item.start, file.item.end
        segment.path = str(file.path.relative_to(data))
        segment.size_bytes = file.item.size_bytes
        segment.collected_at = now


def _items(files: Sequence[Collected], data: Path) -> list[list[str]]:
    return [
        [
            file.item.origin, file.item.fingerprint, str(file.path.relative_to(data)),
            file.item.start.isoformat(),
        ]
        for file in files
    ]  # fmt: skip


def _transcript_documents(
    before: RecordMedia, transcripts: Iterable[Transcript]
) -> list[TranscriptData]:
    """Return where the times of transcripts lie; what is no longer where it came from stays."""
    by_name = {document["name"]: document for document in before.get("transcripts", ())}
    for one in transcripts:
        by_name[one.name] = {
            "name": one.name,
            "kind": one.kind,
            "zero": one.zero.isoformat() if one.zero else None,
            "stretches": [[s.start.isoformat(), s.end.isoformat()] for s in one.stretches],
        }
    return [by_name[name] for name in sorted(by_name)]


def kept_transcripts(media: RecordMedia) -> list[Transcript]:
    """Return the chats and transcripts of which it is known where their times lie. Pure."""
    return [
        Transcript(
            document["name"],
            document["kind"],
            datetime.fromisoformat(document["zero"]) if document["zero"] else None,
            tuple(Span(*map(datetime.fromisoformat, pair)) for pair in document["stretches"]),
        )
        for document in media.get("transcripts", ())
    ]


def kept_segments(media: RecordMedia) -> list[KeptSegment]:
    """Return the collected files that a record is made of. Pure."""
    return [
        KeptSegment(source, origin, path, datetime.fromisoformat(start))
        for source, items in media.get("items", {}).items()
        for origin, _, path, start in items
    ]


# --- analyse --------------------------------------------------------------------------------------


def save_chunks(lease: Lease, looks: Sequence[Look]) -> None:
    """Write down what was decided about the chunks of a record."""

    def write(session: Session, row: Record) -> None:
        session.execute(delete(Chunk).where(Chunk.record_id == row.id))
        session.add_all(_chunk_row(row.id, look) for look in looks)

    lease.write(write)


def _chunk_row(record: int, look: Look) -> Chunk:
    chunk = look.chunk
    return Chunk(
        record_id=record, start_at=chunk.span.start, end_at=chunk.span.end,
        presence=chunk.presence, verdict=chunk.verdict, score=float(chunk.score),
        samples=chunk.samples, pictures=json.dumps(look.pictures),
        reasons=[to_json(r) if isinstance(r, Message) else r for r in look.reasons],
    )  # fmt: skip


# --- plan -----------------------------------------------------------------------------------------


def earlier_slides(lease: Lease) -> list[bytes]:
    """Return small pictures (JPEG) of what the room's last recordings before this one showed."""

    def query(session: Session) -> list[bytes]:
        row = session.get_one(Record, lease.record)
        with_slides = select(Chunk.record_id).where(Chunk.record_id == Record.id, *_SHOWS_SLIDES)
        earlier = session.scalars(
            select(Record.id)
            .where(Record.room_id == row.room_id, Record.start_at < row.start_at)
            .where(with_slides.exists())
            .order_by(Record.start_at.desc())
            .limit(_EARLIER_RECORDS)
        ).all()
        return [jpeg for record in earlier for jpeg in _slides_of(session, record)]

    return lease.read(query)


def _slides_of(session: Session, record: int) -> list[bytes]:
    texts = session.scalars(
        select(Chunk.pictures)
        .where(Chunk.record_id == record, *_SHOWS_SLIDES)
        .order_by(Chunk.start_at)
        .limit(_SLIDES_OF_EACH)
    )
    pictures = [picture for text in texts for picture in json.loads(text or "[]")]
    slides = [picture["jpeg"] for picture in pictures if picture["verdict"] == "presentation"]
    step = -(-len(slides) // _SLIDES_OF_EACH) or 1
    return [base64.b64decode(jpeg) for jpeg in slides[::step]]


def save_corner(lease: Lease, corner: str) -> None:
    """Write down where the speaker of a record lies above its screen."""

    def write(_: Session, row: Record) -> None:
        row.media = {**(row.media or {}), "corner": corner}

    lease.write(write)


# --- encode ---------------------------------------------------------------------------------------


def save_renditions(
    lease: Lease,
    data: Path,
    renditions: Sequence[RenditionMade],
    report: Mapping[str, Any],
    chapters: Sequence[Chapter] = (),
) -> Job:
    """Write down the finished files of the version being made, and what is to be told of it.

    Args:
        chapters: the slides that its video shows.

    From then on the record is at the stage deliver; it is returned as it is then.
    """

    def write(session: Session, row: Record) -> Job:
        now = lease.now()
        session.execute(
            delete(Rendition).where(Rendition.record_id == row.id, Rendition.version == row.version)
        )
        session.add_all(_rendition_rows(row, data, renditions, now))
        session.execute(
            delete(Slide).where(Slide.record_id == row.id, Slide.version == row.version)
        )
        session.add_all(_slide_row(row, number, one) for number, one in enumerate(chapters))
        session.flush()
        words = [
            {"word": word, "record_id": row.id, "version": row.version, "number": number}
            for number, one in enumerate(chapters)
            for word in sought(one.words)
        ]
        if words:
            session.execute(insert(SlideWord), words)
        row.report = json.dumps(report, ensure_ascii=False)
        row.stage, row.progress, row.tries, row.updated_at = "deliver", 0.0, 0, now
        return job_from_row(session, row)

    return lease.write(write)


def _slide_row(row: Record, number: int, chapter: Chapter) -> Slide:
    starts, ends = ((at - row.start_at) // _MS for at in (chapter.span.start, chapter.span.end))
    return Slide(
        record_id=row.id, version=row.version, number=number, start_ms=starts, end_ms=ends,
        title=chapter.title, words=chapter.words, picture=chapter.picture or None,
    )  # fmt: skip


def save_transcripts(lease: Lease, transcripts: Sequence[Transcript]) -> Job:
    """Write down what there is to read of a record that was made; return the record as it is."""

    def write(session: Session, row: Record) -> Job:
        before = row.media or RecordMedia()
        row.media = {
            **before,
            "papers": sorted({*before.get("papers", ()), *(t.name for t in transcripts)}),
            "transcripts": _transcript_documents(before, transcripts),
        }
        return job_from_row(session, row)

    return lease.write(write)


def save_captions(lease: Lease, data: Path, captions: Sequence[RenditionMade]) -> None:
    """Write down the captions of the version that there is, instead of those that it had."""

    def write(session: Session, row: Record) -> None:
        session.execute(
            delete(Rendition).where(
                Rendition.record_id == row.id,
                Rendition.version == row.version,
                Rendition.kind.in_([caption.kind for caption in captions]),
            )
        )
        session.add_all(_rendition_rows(row, data, captions, lease.now()))

    lease.write(write)


def _rendition_rows(
    row: Record, data: Path, renditions: Iterable[RenditionMade], now: datetime
) -> list[Rendition]:
    return [
        Rendition(
            record_id=row.id, version=row.version, kind=r.kind,
            path=str(r.path.relative_to(data)), size_bytes=r.size_bytes, sha256=r.sha256,
            frames=r.frames, width=r.size.width, height=r.size.height, made_at=now,
        )
        for r in renditions
    ]  # fmt: skip


def load_finished(lease: Lease, version: int) -> tuple[list[KeptRendition], dict[str, Any]]:
    """Return the finished files of a version, and what is told of the last one that was made."""

    def query(session: Session) -> tuple[list[KeptRendition], dict[str, Any]]:
        return _renditions(session, lease.record, version), _report(session, lease.record)

    return lease.read(query)


def load_report(engine: Engine, record: int) -> dict[str, Any]:
    """Return what is told of the last version that was made."""
    with reading(engine) as session:
        return _report(session, record)


def _report(session: Session, record: int) -> dict[str, Any]:
    text = session.scalar(select(Record.report).where(Record.id == record))
    return dict(json.loads(text)) if text else {}


def _renditions(session: Session, record: int, version: int) -> list[KeptRendition]:
    rows = session.scalars(
        select(Rendition)
        .where(Rendition.record_id == record, Rendition.version == version)
        .order_by(Rendition.id)
    )
    return [KeptRendition(r.kind, r.version, r.path, r.size_bytes, r.sha256) for r in rows]

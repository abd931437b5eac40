"""Files of records for people: videos, transcripts, pictures of chunks."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from sqlalchemy import Engine, select

from merger.db.engine import reading
from merger.errors import NotFound
from merger.records.lookup import watched_row
from merger.records.views import pictures_of, transcripts_of
from merger.timeline.clock import Span
from merger.timeline.files.filenames import ENDINGS, result_stem
from merger.timeline.zones import zone_named
from models import Chunk, Delivery, Rendition


@dataclass(frozen=True)
class RenditionFile:
    """A video for people, or its captions.

    path: below the data folder, None once it was removed. name: for them.
    """

    path: str | None
    name: str
    sha256: str


def check_transcript(engine: Engine, record: int, name: str, only_of: int | None = None) -> None:
    """Raise NotFound where a record has no transcript of a name, or is not for this user."""
    with reading(engine) as session:
        row = watched_row(session, record, only_of)
        if name not in transcripts_of(row):
            raise NotFound("paper", "records.no_transcript", name=name, record=record)


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
    pictures = pictures_of(text)
    if not 0 <= number < len(pictures):
        raise NotFound("picture", "records.no_picture", record=record, chunk=chunk, number=number)
    return base64.b64decode(pictures[number]["jpeg"])

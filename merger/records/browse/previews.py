"""What lists show of records beside their summaries: a picture, and whether there are warnings."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Engine, func, select

from merger.db.engine import reading
from merger.errors import NotFound
from merger.records.lookup import watched_row
from models import Chunk, Record

_SHOWN = "presentation"  # the verdict of pictures that are worth seeing


@dataclass(frozen=True)
class Preview:
    """What a line of a list shows.

    Attributes:
        has_picture: whether `picture_of_record` finds one.
        warnings: how many the version has that people see.
    """

    has_picture: bool = False
    warnings: int = 0


def previews(engine: Engine, records: Collection[int]) -> dict[int, Preview]:
    """Return the previews of records, by id: two queries, however many there are."""
    if not records:
        return {}
    with reading(engine) as session:
        pictured = set(
            session.scalars(
                select(Chunk.record_id).where(Chunk.record_id.in_(records), *_IS_SHOWN).distinct()
            )
        )
        count = _count_of_warnings(session.get_bind().dialect.name)
        has_frame = func.json_extract(Record.report, "$.picture").is_not(None)
        reports = session.execute(
            select(Record.id, count, has_frame).where(Record.id.in_(records), _IS_DELIVERED)
        ).all()
        counts = {record: number or 0 for record, number, _ in reports}
        pictured |= {record for record, _, is_there in reports if is_there}
    return {
        record: Preview(has_picture=record in pictured, warnings=counts.get(record, 0))
        for record in records
    }


_IS_DELIVERED = Record.delivered_version.is_not(None)
_IS_SHOWN = (Chunk.verdict == _SHOWN, Chunk.pictures.is_not(None), Chunk.pictures != "[]")


def _count_of_warnings(dialect: str) -> ColumnElement[int | None]:
    """Return how many warnings a report has; counted in the database, for reports are long."""
    if dialect == "sqlite":
        return func.json_array_length(Record.report, "$.warnings")
    return func.json_length(Record.report, "$.warnings")


def picture_of_record(engine: Engine, record: int, only_of: int | None = None) -> bytes:
    """Return the first picture of a presentation in a record, else one of its video, as JPEG.

    Raises NotFound where there is none.
    """
    with reading(engine) as session:
        watched_row(session, record, only_of)
        slides = session.scalar(
            select(Chunk.pictures)
            .where(Chunk.record_id == record, *_IS_SHOWN)
            .order_by(Chunk.start_at)
            .limit(1)
        )
        report = session.scalar(select(Record.report).where(Record.id == record, _IS_DELIVERED))
    if slides:
        pictures = json.loads(slides)
        # Of a chunk in which most pictures show one, the first may not.
        shown = next((p for p in pictures if p["verdict"] == _SHOWN), pictures[0])
        return base64.b64decode(shown["jpeg"])
    frame = json.loads(report).get("picture") if report else None
    if frame is None:
        raise NotFound("picture", "records.no_preview", record=record)
    return base64.b64decode(frame)

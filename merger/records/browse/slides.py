"""The slides of records: those of one, its pictures of them, and which records show some words."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Engine, and_, case, false, func, or_, select, tuple_
from sqlalchemy.orm import Session

from merger.db.engine import reading
from merger.errors import NotFound
from merger.records.requests import watched_row
from merger.timeline.screen.chapters import sought
from models import Record, Slide, SlideWord

# Of a record, the version that people see.
_SHOWN_VERSION = func.coalesce(Record.delivered_version, Record.version)
_IS_SHOWN = (Slide.record_id == Record.id, Slide.version == _SHOWN_VERSION)
_LAST = "\U0010ffff"  # no word holds it
_MOST_WORDS = 10  # that are looked for


def slides_of(session: Session, row: Record) -> list[tuple[Slide, bool]]:
    """Return the slides of a record's video in order, and whether there is a picture of each."""
    found = session.execute(
        select(Slide, Slide.picture.is_not(None))
        .join(Record, Slide.record_id == Record.id)
        .where(Record.id == row.id, *_IS_SHOWN)
        .order_by(Slide.number)
    )
    return [(slide, has_picture) for slide, has_picture in found]


def slide_picture(engine: Engine, record: int, number: int, only_of: int | None = None) -> bytes:
    """Return the small picture of a slide as JPEG; they are counted from 0.

    Raises NotFound where there is none.
    """
    with reading(engine) as session:
        watched_row(session, record, only_of)
        picture = session.scalar(
            select(Slide.picture)
            .join(Record, Slide.record_id == Record.id)
            .where(Record.id == record, Slide.number == number, *_IS_SHOWN)
        )
    if picture is None:
        raise NotFound("picture", "records.no_slide", record=record, number=number)
    return picture


def pictures_of_slides(session: Session, record: int | None) -> list[bytes]:
    """Return the small pictures (JPEG) of a record's slides, in order."""
    found = session.scalars(
        select(Slide.picture)
        .join(Record, Slide.record_id == Record.id)
        .where(Record.id == record, Slide.picture.is_not(None), *_IS_SHOWN)
        .order_by(Slide.number)
    )
    return [picture for picture in found if picture]


def shows_words(words: str) -> ColumnElement[bool]:
    """Return the condition that words, or longer ones that begin so, are on a slide of a record.

    All of them are on the same slide.
    """
    ranges = [
        and_(SlideWord.word >= word, SlideWord.word < word + _LAST)
        for word in sought(words)[:_MOST_WORDS]
    ]
    if not ranges:
        return false()
    saying = (
        select(SlideWord.record_id, SlideWord.version)
        .where(or_(*ranges))
        .group_by(SlideWord.record_id, SlideWord.version, SlideWord.number)
        .having(and_(*(func.max(case((is_one, 1), else_=0)) == 1 for is_one in ranges)))
    )
    return tuple_(Record.id, _SHOWN_VERSION).in_(saying)

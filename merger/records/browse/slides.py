"""Slides that people look for: the picture of one, and which records show some words."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Engine, and_, case, false, func, or_, select, tuple_

from merger.db.engine import reading
from merger.errors import NotFound
from merger.records.lookup import watched_row
from merger.records.slides import IS_SHOWN, SHOWN_VERSION
from merger.timeline.screen.chapters import sought
from models import Record, Slide, SlideWord

_LAST = "\U0010ffff"  # no word holds it
_MOST_WORDS = 10  # that are looked for


def slide_picture(engine: Engine, record: int, number: int, only_of: int | None = None) -> bytes:
    """Return the small picture of a slide as JPEG; they are counted from 0.

    Raises NotFound where there is none.
    """
    with reading(engine) as session:
        watched_row(session, record, only_of)
        picture = session.scalar(
            select(Slide.picture)
            .join(Record, Slide.record_id == Record.id)
            .where(Record.id == record, Slide.number == number, *IS_SHOWN)
        )
    if picture is None:
        raise NotFound("picture", "records.no_slide", record=record, number=number)
    return picture


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
    return tuple_(Record.id, SHOWN_VERSION).in_(saying)

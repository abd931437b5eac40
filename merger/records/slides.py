"""The slides that the video of a record shows."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import Record, Slide

# Of a record, the version that people see.
SHOWN_VERSION = func.coalesce(Record.delivered_version, Record.version)
IS_SHOWN = (Slide.record_id == Record.id, Slide.version == SHOWN_VERSION)


def slides_of(session: Session, row: Record) -> list[tuple[Slide, bool]]:
    """Return the slides of a record's video in order, and whether there is a picture of each."""
    found = session.execute(
        select(Slide, Slide.picture.is_not(None))
        .join(Record, Slide.record_id == Record.id)
        .where(Record.id == row.id, *IS_SHOWN)
        .order_by(Slide.number)
    )
    return [(slide, has_picture) for slide, has_picture in found]


def pictures_of_slides(session: Session, record: int | None) -> list[bytes]:
    """Return the small pictures (JPEG) of a record's slides, in order."""
    found = session.scalars(
        select(Slide.picture)
        .join(Record, Slide.record_id == Record.id)
        .where(Record.id == record, Slide.picture.is_not(None), *IS_SHOWN)
        .order_by(Slide.number)
    )
    return [picture for picture in found if picture]

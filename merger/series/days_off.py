"""Days without lectures: listed, added, removed. The lectures of that time follow at once."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, joinedload

from merger.db.engine import reading, writing
from merger.errors import Conflict, Invalid, NotFound
from merger.names import clean_name
from merger.records.requests import LONGEST_NAME, room_row
from merger.series.unroll import unroll
from models import DayOff

LONGEST = 366  # days


def list_days_off(engine: Engine) -> list[dict[str, Any]]:
    """Return all days off as plain values, the earliest first."""
    with reading(engine) as session:
        wanted = select(DayOff).options(joinedload(DayOff.room))
        rows = session.scalars(wanted.order_by(DayOff.first_day, DayOff.id))
        return [_document(row) for row in rows]


def add_day_off(
    engine: Engine, first: date, last: date, name: str, room: str | None, now: datetime
) -> dict[str, Any]:
    """Add days off, of a room or of all, and return them as plain values.

    Raises:
        Invalid: they end before they begin, are too many, or there is no such room.
        Conflict: they are there already.
    """
    if last < first:
        raise Invalid("last", "timetable.cell.backwards", first=str(first), last=str(last))
    if (last - first).days >= LONGEST:
        raise Invalid("last", "series.too_many_days_off", most=LONGEST)

    def add(session: Session) -> dict[str, Any]:
        place = room_row(session, room, lock=True) if room is not None else None
        same = select(DayOff.id).where(
            DayOff.first_day == first, DayOff.last_day == last,
            DayOff.room_id == place.id if place is not None else DayOff.room_id.is_(None),
        )  # fmt: skip
        if session.scalar(same.limit(1)) is not None:
            raise Conflict("first", "series.day_off_exists")
        row = DayOff(
            first_day=first, last_day=last, name=clean_name(name)[:LONGEST_NAME], room=place
        )
        session.add(row)
        session.flush()
        return _document(row)

    added = writing(engine, add)
    unroll(engine, now)
    return added


def remove_day_off(engine: Engine, day_off: int, now: datetime) -> None:
    """Remove days off: what was to be held then takes place again. Raises NotFound."""

    def remove(session: Session) -> None:
        row = session.get(DayOff, day_off)
        if row is None:
            raise NotFound("day_off", "series.no_day_off")
        session.delete(row)

    writing(engine, remove)
    unroll(engine, now)


def _document(row: DayOff) -> dict[str, Any]:
    return {
        "id": row.id, "first": row.first_day.isoformat(), "last": row.last_day.isoformat(),
        "name": row.name, "room": row.room.name if row.room is not None else None,
    }  # fmt: skip

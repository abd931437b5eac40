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
from merger.series.unroll import bring_up_to_date, stale_series
from models import DayOff


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
        Invalid: they end before they begin, or there is no such room.
        Conflict: they are there already.
    """
    if last < first:
        raise Invalid("last", "timetable.cell.backwards", first=str(first), last=str(last))

    def add(session: Session) -> dict[str, Any]:
        place = room_row(session, room, lock=True) if room is not None else None
        same = select(DayOff.id).where(
            DayOff.first_day == first, DayOff.last_day == last,
            DayOff.room_id == place.id if place is not None else DayOff.room_id.is_(None),
        )  # fmt: skip
        if session.scalar(same.limit(1)) is not None:
            raise Conflict("first", "timetable.day_off_exists")
        text = clean_name(name)[:LONGEST_NAME]
        row = DayOff(first_day=first, last_day=last, name=text, room=place)
        session.add(row)
        _follow(session, now)
        return _document(row)

    return writing(engine, add)


def remove_day_off(engine: Engine, day_off: int, now: datetime) -> None:
    """Remove days off: what was to be held then takes place again. Raises NotFound."""

    def remove(session: Session) -> None:
        row = session.get(DayOff, day_off, with_for_update=True)
        if row is None:
            raise NotFound("day_off", "timetable.no_day_off", number=day_off)
        session.delete(row)
        _follow(session, now)

    writing(engine, remove)


def _follow(session: Session, now: datetime) -> None:
    session.flush()
    for series in stale_series(session, now):
        bring_up_to_date(session, series, now)


def _document(row: DayOff) -> dict[str, Any]:
    return {
        "id": row.id, "first": row.first_day.isoformat(), "last": row.last_day.isoformat(),
        "name": row.name, "room": row.room.name if row.room is not None else None,
    }  # fmt: skip

"""Days without lectures: listed, added, removed. The lectures of that time follow at once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, joinedload

from merger.db.engine import reading, writing
from merger.errors import Conflict, Invalid, NotFound
from merger.names import LONGEST_NAME, clean_name
from merger.records.lookup import room_row
from merger.series.unroll import unroll
from merger.timetable.recurrence import DayOff
from models import DayOff as DayOffRow

LONGEST = 366  # days


def list_days_off(engine: Engine) -> list[dict[str, Any]]:
    """Return all days off as plain values, the earliest first."""
    with reading(engine) as session:
        wanted = select(DayOffRow).options(joinedload(DayOffRow.room))
        rows = session.scalars(wanted.order_by(DayOffRow.first_day, DayOffRow.id))
        return [_document(row) for row in rows]


def day_off_document(day: DayOff) -> dict[str, Any]:
    """Return days off as plain values."""
    return {
        "first": day.first.isoformat(), "last": day.last.isoformat(), "name": day.name,
        "room": day.room,
    }  # fmt: skip


def add_day_off(engine: Engine, day: DayOff, now: datetime) -> dict[str, Any]:
    """Have no lectures take place on some days; return these as plain values.

    Raises:
        Invalid: they end before they begin, are too many, or there is no such room.
        Conflict: they are there already.
    """
    if day.last < day.first:
        first, last = day.first.isoformat(), day.last.isoformat()
        raise Invalid("last", "timetable.cell.backwards", first=first, last=last)
    if (day.last - day.first).days >= LONGEST:
        raise Invalid("last", "series.too_many_days_off", most=LONGEST)
    name = clean_name(day.name)[:LONGEST_NAME]

    def add(session: Session) -> dict[str, Any]:
        # Whoever enters the same days at the same time waits here, and then finds them.
        room = None if day.room is None else room_row(session, day.room, lock=True)
        if place_of(day) in {place_of(day_off_of(row)) for row in day_off_rows(session)}:
            raise Conflict("first", "series.day_off_exists")
        row = DayOffRow(first_day=day.first, last_day=day.last, name=name, room=room)
        session.add(row)
        session.flush()
        return _document(row)

    added = writing(engine, add)
    unroll(engine, now)
    return added


def remove_day_off(engine: Engine, day_off: int, now: datetime) -> None:
    """Remove days off: what was to be held then takes place again. Raises NotFound."""

    def remove(session: Session) -> None:
        row = session.get(DayOffRow, day_off, with_for_update=True)
        if row is None:
            raise NotFound("day_off", "series.no_day_off")
        session.delete(row)

    writing(engine, remove)
    unroll(engine, now)


def day_off_rows(session: Session) -> Iterable[DayOffRow]:
    """Select the rows of all days off, with their rooms."""
    wanted = select(DayOffRow).options(joinedload(DayOffRow.room)).order_by(DayOffRow.id)
    return session.scalars(wanted)


def day_off_of(row: DayOffRow) -> DayOff:
    """Return the days off of a row."""
    return DayOff(row.first_day, row.last_day, row.name, row.room.name if row.room else None)


def _document(row: DayOffRow) -> dict[str, Any]:
    return {"id": row.id, **day_off_document(day_off_of(row))}


def place_of(day: DayOff) -> tuple[date, date, str | None]:
    """Return what makes days off the same, whatever they are called."""
    return day.first, day.last, day.room

"""Days off in the tables: those that people enter, and those of a timetable.

What came from a timetable goes with it: a fact names those days, and the others stay.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, joinedload

from merger.db.engine import reading, writing
from merger.errors import Invalid, NotFound
from merger.names import clean_name
from merger.records.requests import LONGEST_NAME, room_row
from merger.series.timetable_texts import Timetable
from merger.series.unroll import bring_up_to_date, stale_series
from merger.timetable.recurrence import DayOff
from models import DayOff as DayOffRow
from models import Fact, Room


@dataclass(frozen=True)
class DaysOffChanges:
    """What a timetable changes about days off. all: those that are its own from then on."""

    added: tuple[DayOff, ...] = ()
    removed: tuple[DayOff, ...] = ()
    all: tuple[DayOff, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)


def list_days_off(engine: Engine) -> list[dict[str, Any]]:
    """Return all days off as plain values, in order."""
    with reading(engine) as session:
        wanted = select(DayOffRow).options(joinedload(DayOffRow.room))
        rows = session.scalars(wanted.order_by(DayOffRow.first_day, DayOffRow.id))
        return [{"id": row.id, **day_off_document(_value(row))} for row in rows]


def day_off_document(day: DayOff) -> dict[str, Any]:
    """Return days off as plain values."""
    return {
        "first": day.first.isoformat(), "last": day.last.isoformat(), "name": day.name,
        "room": day.room,
    }  # fmt: skip


def add_day_off(engine: Engine, day: DayOff, now: datetime) -> bool:
    """Have no lectures take place on some days; return whether that is new. Raises Invalid."""
    if day.last < day.first:
        first, last = day.first.isoformat(), day.last.isoformat()
        raise Invalid("days", "timetable.cell.backwards", first=first, last=last)
    name = clean_name(day.name)[:LONGEST_NAME]
    if not name:
        raise Invalid("name", "error.missing")

    def add(session: Session) -> bool:
        # Whoever enters the same days at the same time waits here, and then finds them.
        room = None if day.room is None else room_row(session, day.room, lock=True)
        there = {_place(_value(row)) for row in _rows(session)}
        if _place(day) in there:
            return False
        session.add(DayOffRow(first_day=day.first, last_day=day.last, name=name, room=room))
        _follow(session, now)
        return True

    return writing(engine, add)


def remove_day_off(engine: Engine, number: int, now: datetime) -> None:
    """Have lectures take place again. Raises NotFound."""

    def remove(session: Session) -> None:
        row = session.get(DayOffRow, number, with_for_update=True)
        if row is None:
            raise NotFound("day_off", "timetable.no_day_off", number=number)
        session.delete(row)
        _follow(session, now)

    writing(engine, remove)


def _follow(session: Session, now: datetime) -> None:
    session.flush()
    for series in stale_series(session, now):
        bring_up_to_date(session, series, now)


# --- of a timetable -------------------------------------------------------------------------------


def compare_days_off(session: Session, timetable: Timetable) -> DaysOffChanges:
    """Return what a timetable changes about days off."""
    if timetable.days_off is None:
        return DaysOffChanges()
    own = _own(session, timetable.source)
    there = {_place(_value(row)) for row in _rows(session)}
    wanted = {_place(day) for day in timetable.days_off}
    gone = tuple(day for day in own if _place(day) not in wanted)
    if not timetable.days_off_are_complete:  # a line that was not understood may be one of these
        gone = ()
    added = tuple(day for day in timetable.days_off if _place(day) not in there)
    removed = tuple(day for day in gone if _place(day) in there)
    kept = tuple(day for day in own if day not in gone)
    return DaysOffChanges(added, removed, (*kept, *added))


def write_days_off(session: Session, source: str, changes: DaysOffChanges) -> None:
    """Write what a timetable changes about days off."""
    if not changes:
        return
    removed = {_place(day) for day in changes.removed}
    for row in _rows(session):
        if _place(_value(row)) in removed:
            session.delete(row)
    rooms = {row.name: row for row in session.scalars(select(Room))} if changes.added else {}
    session.add_all(
        DayOffRow(
            first_day=day.first, last_day=day.last, name=day.name,
            room=rooms[day.room] if day.room else None,
        )
        for day in changes.added
    )  # fmt: skip
    days = [
        [day.first.isoformat(), day.last.isoformat(), day.name, day.room] for day in changes.all
    ]
    session.merge(Fact(name=_fact(source), value=json.dumps(days)))
    session.flush()


def _own(session: Session, source: str) -> list[DayOff]:
    """Return the days off that came from a timetable."""
    fact = session.get(Fact, _fact(source))
    return [
        DayOff(date.fromisoformat(first), date.fromisoformat(last), name, room)
        for first, last, name, room in (json.loads(fact.value) if fact is not None else ())
    ]


def _fact(source: str) -> str:
    return f"days-off:{source}"


def _rows(session: Session) -> Iterable[DayOffRow]:
    wanted = select(DayOffRow).options(joinedload(DayOffRow.room)).order_by(DayOffRow.id)
    return session.scalars(wanted)


def _value(row: DayOffRow) -> DayOff:
    return DayOff(row.first_day, row.last_day, row.name, row.room.name if row.room else None)


def _place(day: DayOff) -> tuple[date, date, str | None]:
    """Return what makes days off the same, whatever they are called."""
    return day.first, day.last, day.room

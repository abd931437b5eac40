"""Days off that came from a timetable, and go with it: a fact names them, and the others stay."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from merger.series.days_off import day_off_of, day_off_rows, place_of
from merger.series.timetables.texts import Timetable
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


def compare_days_off(session: Session, timetable: Timetable) -> DaysOffChanges:
    """Return what a timetable changes about days off."""
    if timetable.days_off is None:
        return DaysOffChanges()
    own = _own(session, timetable.source)
    there = {place_of(day_off_of(row)) for row in day_off_rows(session)}
    wanted = {place_of(day) for day in timetable.days_off}
    gone = tuple(day for day in own if place_of(day) not in wanted)
    if not timetable.days_off_are_complete:  # a line that was not understood may be one of these
        gone = ()
    added = tuple(day for day in timetable.days_off if place_of(day) not in there)
    removed = tuple(day for day in gone if place_of(day) in there)
    kept = tuple(day for day in own if day not in gone)
    return DaysOffChanges(added, removed, (*kept, *added))


def write_days_off(session: Session, source: str, changes: DaysOffChanges) -> None:
    """Write what a timetable changes about days off."""
    if not changes:
        return
    removed = {place_of(day) for day in changes.removed}
    for row in day_off_rows(session):
        if place_of(day_off_of(row)) in removed:
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

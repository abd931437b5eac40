"""Timetables become series: what one changes about those that came from it, all of it or nothing.

A series that the timetable no longer has ends only where that is wished, and never while there are
complaints: a line that was not understood may be the one that is missing. What people have ended,
and what they have changed of single lectures, stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, joinedload, selectinload

from merger.db.engine import reading, writing
from merger.errors import Invalid
from merger.failpoints import failpoint
from merger.i18n import Message
from merger.names import clean_name
from merger.rooms import store as rooms
from merger.series.rows import PEOPLE, REQUESTED, spec_of, write_spec
from merger.series.timetables import days_off
from merger.series.timetables.days_off import DaysOffChanges
from merger.series.timetables.places import places_of
from merger.series.timetables.texts import Timetable, TimetableText, read_timetable
from merger.series.unroll import bring_up_to_date, stale_series
from merger.timetable.changes import Changes, compare
from merger.timetable.spec import SeriesSpec
from models import Occurrence, Room, Series, SeriesPerson

LONGEST_SOURCE = 50  # characters, as facts about it are named
# What becomes of series that the timetable no longer has: they go on; they end, unless they are so
# many that a person has to say so; they end.
Removals = Literal["never", "few", "all"]
# The reason of a series that a timetable has ended, and begins again once it is back.
GONE = "no longer in the timetable"


@dataclass(frozen=True)
class Report:
    """What a timetable changes, or has changed.

    before: the stored series, by key. changes: `ended` are those that it no longer has. ends: they
    end. is_applied: this has happened; otherwise it would.
    """

    timetable: Timetable
    before: Mapping[str, SeriesSpec]
    changes: Changes
    days_off: DaysOffChanges
    ends: bool
    needs_confirmation: bool
    notes: tuple[Message, ...] = ()
    is_applied: bool = False

    @property
    def has_changes(self) -> bool:
        """Return whether there is anything to be written."""
        ends = self.ends and bool(self.changes.ended)
        return bool(self.changes.added or self.changes.changed or ends or self.days_off)


def check_source(name: str) -> str:
    """Return the name of a timetable. Raises Invalid."""
    source = clean_name(name)
    if not source:
        raise Invalid("source", "error.missing")
    if len(source) > LONGEST_SOURCE:
        raise Invalid("source", "error.too_long", longest=LONGEST_SOURCE)
    if source in (PEOPLE, REQUESTED):
        raise Invalid("source", "timetable.import.not_people", source=source)
    return source


def preview_import(
    engine: Engine, texts: TimetableText, removals: Removals, now: datetime
) -> Report:
    """Return what `import_timetable` would change, and change nothing. Raises Invalid."""
    with reading(engine) as session:
        return _Stored.of(session, texts.source).report(session, texts, removals, now)


def import_timetable(
    engine: Engine, texts: TimetableText, removals: Removals, now: datetime
) -> Report:
    """Make the series of a timetable what it says, in one transaction.

    Args:
        removals: what becomes of series that it no longer has.

    Raises:
        Invalid: it is of no use as a whole; nothing is changed.
    """
    report = preview_import(engine, texts, removals, now)
    if report.needs_confirmation or not report.has_changes:
        return _applied(report)
    return writing(engine, lambda session: _import(session, texts, removals, now))


def _import(session: Session, texts: TimetableText, removals: Removals, now: datetime) -> Report:
    stored = _Stored.of(session, texts.source)
    report = stored.report(session, texts, removals, now)
    if not report.needs_confirmation:
        stored.write(session, report, now)
    return _applied(report)


def _applied(report: Report) -> Report:
    return replace(report, is_applied=not report.needs_confirmation)


@dataclass(frozen=True)
class _Stored:
    """The series of a timetable that are in the tables, by their keys."""

    rows: Mapping[str, Series]

    @classmethod
    def of(cls, session: Session, source: str) -> _Stored:
        wanted = select(Series).where(Series.source == source).order_by(Series.id)
        wanted = wanted.options(
            joinedload(Series.room), selectinload(Series.people).joinedload(SeriesPerson.user)
        )
        return cls({row.source_key: row for row in session.scalars(wanted)})

    def report(
        self, session: Session, texts: TimetableText, removals: Removals, now: datetime
    ) -> Report:
        """Return what there is to do."""
        before = {k: spec_of(row) for k, row in self.rows.items() if row.state != "over"}
        places = places_of(rooms.rooms_of(session))
        timetable = read_timetable(texts, places, before, now)
        ended_here = [
            series
            for series in timetable.series
            if series.key in self.rows and self._was_ended_by_people(series.key)
        ]
        wanted = [series for series in timetable.series if series not in ended_here]
        changes = compare(before.values(), wanted)
        is_complete = timetable.series_are_complete
        needs_confirmation = removals == "few" and is_complete and changes.needs_confirmation
        ends = removals != "never" and is_complete and not needs_confirmation
        notes = [
            Message("timetable.import.ended_by_people", name=series.name) for series in ended_here
        ]
        if (count := len(changes.ended)) and not ends:
            why = "complaints" if not is_complete else "too_many" if needs_confirmation else "kept"
            total = len(before)
            notes.append(Message(f"timetable.import.{why}", count=count, total=total))
        days = days_off.compare_days_off(session, timetable)
        return Report(timetable, before, changes, days, ends, needs_confirmation, tuple(notes))

    def _was_ended_by_people(self, key: str) -> bool:
        row = self.rows[key]
        return row.state == "over" and row.reason != GONE

    def write(self, session: Session, report: Report, now: datetime) -> None:
        """Do what there is to do."""
        changes = report.changes
        for room in report.timetable.new_rooms:
            rooms.insert_room(session, room)
        session.flush()
        failpoint("import.rooms")
        days_off.write_days_off(session, report.timetable.source, report.days_off)
        failpoint("import.days_off")
        touched = [
            self._write_series(session, report.timetable.source, series, row, now)
            for series, row in _with_rooms(session, (*changes.added, *changes.changed))
        ]
        for series in changes.ended if report.ends else ():
            row = self.rows[series.key]
            row.state, row.reason, row.updated_at = "over", GONE, now
            touched.append(row)
        session.flush()
        failpoint("import.series")
        stale = set(stale_series(session, now)) if report.days_off else set()
        for n in sorted({row.id for row in touched} | stale):
            bring_up_to_date(session, n, now)
            failpoint("import.occurrences")

    def _write_series(
        self, session: Session, source: str, series: SeriesSpec, room: Room, now: datetime
    ) -> Series:
        row = self.rows.get(series.key)
        if row is None:
            row = Series(source=source, priority=0, state="active", created_at=now)
        elif row.state == "over":
            row.state, row.reason = "active", None
            _bring_back(session, row)
        write_spec(session, row, series, room, now)
        session.add(row)
        return row


def _with_rooms(session: Session, series: tuple[SeriesSpec, ...]) -> list[tuple[SeriesSpec, Room]]:
    """Return series with the rows of their rooms, which are locked: all of them, in one order."""
    names = {one.room for one in series}
    wanted = select(Room).where(Room.name.in_(names)).order_by(Room.id).with_for_update()
    found = {row.name: row for row in session.scalars(wanted)}
    return [(one, found[one.room or ""]) for one in series]


def _bring_back(session: Session, row: Series) -> None:
    """Have what people changed of lectures take place again, which ended with their series."""
    ended = Message("series.not_any_more")
    wanted = select(Occurrence).where(
        Occurrence.series_id == row.id, Occurrence.is_changed, Occurrence.is_off
    )
    for occurrence in session.scalars(wanted):
        if occurrence.reason == ended:
            occurrence.is_off, occurrence.reason = False, None

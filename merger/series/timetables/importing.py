"""Timetables become series: what one changes about those that came from it, all of it or nothing.

A series that the timetable no longer has ends only where that is wished, and never while there are
complaints: a line that was not understood may be the one that is missing. What people have ended,
and what they have changed of single lectures, stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
BY_TIMETABLE = "timetable"  # what a timetable has ended begins again once it is back


@dataclass(frozen=True)
class Earlier:
    """What becomes of the series of another timetable, of which this is the new name.

    act: adopt: they are this one's from now on, with all that people have changed of them; those
    that this one has already, or `end`: they end.
    """

    source: str
    act: Literal["adopt", "end"]


def earlier_of(adopt: str | None, end: str | None) -> Earlier | None:
    """Return what becomes of an earlier timetable, by the names that somebody gives, if any.

    Raises:
        Invalid: these are two.
    """
    if adopt and end:
        raise Invalid("end", "timetable.import.adopt_or_end")
    if adopt:
        return Earlier(adopt, "adopt")
    return Earlier(end, "end") if end else None


@dataclass(frozen=True)
class Report:
    """What a timetable changes, or has changed.

    before: the stored series, by key. changes: `ended` are those that it no longer has. ends: they
    end. others: how many of its lectures other timetables have as well, by their names. adopted,
    replaced: series of an earlier timetable that become this one's, or end. is_applied: this has
    happened; otherwise it would.
    """

    timetable: Timetable
    before: Mapping[str, SeriesSpec]
    changes: Changes
    days_off: DaysOffChanges
    ends: bool
    needs_confirmation: bool
    notes: tuple[Message, ...] = ()
    others: Mapping[str, int] = field(default_factory=dict)
    adopted: tuple[SeriesSpec, ...] = ()
    replaced: tuple[SeriesSpec, ...] = ()
    is_applied: bool = False

    @property
    def has_changes(self) -> bool:
        """Return whether there is anything to be written."""
        ends = self.ends and bool(self.changes.ended)
        of_earlier = self.adopted or self.replaced
        is_other = self.changes.added or self.changes.changed or ends or of_earlier
        return bool(is_other or self.days_off)


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
    engine: Engine,
    texts: TimetableText,
    removals: Removals,
    now: datetime,
    earlier: Earlier | None = None,
) -> Report:
    """Return what `import_timetable` would change, and change nothing. Raises Invalid."""
    with reading(engine) as session:
        return _Import.of(session, texts, removals, now, earlier).report


def import_timetable(
    engine: Engine,
    texts: TimetableText,
    removals: Removals,
    now: datetime,
    earlier: Earlier | None = None,
) -> Report:
    """Make the series of a timetable what it says, in one transaction.

    Args:
        removals: what becomes of series that it no longer has.
        earlier: what becomes of those of another one, of which it is the new name.

    Raises:
        Invalid: it is of no use as a whole, or there is no such earlier one; nothing is changed.
    """
    report = preview_import(engine, texts, removals, now, earlier)
    if report.needs_confirmation or not report.has_changes:
        return _applied(report)
    return writing(engine, lambda session: _import(session, texts, removals, now, earlier))


def _import(
    session: Session,
    texts: TimetableText,
    removals: Removals,
    now: datetime,
    earlier: Earlier | None,
) -> Report:
    found = _Import.of(session, texts, removals, now, earlier)
    if not found.report.needs_confirmation:
        found.write(session, now)
    return _applied(found.report)


def _applied(report: Report) -> Report:
    return replace(report, is_applied=not report.needs_confirmation)


@dataclass(frozen=True)
class _Import:
    """A timetable beside the rows that it changes.

    rows: by the keys of series, those that it adopts among them. replaced: of an earlier timetable,
    which end.
    """

    report: Report
    rows: Mapping[str, Series]
    replaced: tuple[Series, ...] = ()

    @classmethod
    def of(
        cls,
        session: Session,
        texts: TimetableText,
        removals: Removals,
        now: datetime,
        earlier: Earlier | None,
    ) -> _Import:
        """Find out what there is to do."""
        own = {row.source_key: row for row in _rows_of(session, texts.source)}
        theirs = _rows_of(session, earlier.source) if earlier is not None else []
        if earlier is not None and (earlier.source == texts.source or not theirs):
            raise Invalid(earlier.act, "timetable.import.no_source", source=earlier.source)
        known = {row.source_key: row for row in theirs} | own
        timetable = read_timetable(texts, places_of(rooms.rooms_of(session)), _specs_of(known), now)
        adopts = earlier is not None and earlier.act == "adopt"
        adopted = _adopted(own, theirs, timetable.series) if adopts else {}
        kept = {row.id for row in adopted.values()}
        replaced = tuple(row for row in theirs if row.id not in kept and row.state != "over")
        rows = own | adopted
        report = _report(timetable, rows, removals)
        others = _others(session, timetable, earlier.source if earlier else "")
        beside = [
            Message("timetable.import.elsewhere", source=source, count=count)
            for source, count in others.items()
        ]
        return cls(
            replace(
                report,
                days_off=days_off.compare_days_off(session, timetable),
                notes=(*report.notes, *beside),
                others=others,
                adopted=tuple(spec_of(row) for row in adopted.values()),
                replaced=tuple(spec_of(row) for row in replaced),
            ),
            rows,
            replaced,
        )

    def write(self, session: Session, now: datetime) -> None:
        """Do what there is to do."""
        report, source = self.report, self.report.timetable.source
        changes = report.changes
        for room in report.timetable.new_rooms:
            rooms.insert_room(session, room)
        session.flush()
        failpoint("import.rooms")
        days_off.write_days_off(session, source, report.days_off)
        failpoint("import.days_off")
        for key, row in self.rows.items():
            row.source, row.source_key = source, key
        touched = [
            self._write_series(session, source, series, row, now)
            for series, row in _with_rooms(session, (*changes.added, *changes.changed))
        ]
        ended = [self.rows[series.key] for series in changes.ended] if report.ends else []
        for row in (*ended, *self.replaced):
            row.state, row.reason, row.ended_by, row.updated_at = "over", None, BY_TIMETABLE, now
            touched.append(row)
        session.flush()
        failpoint("import.series")
        stale = set(stale_series(session, now)) if report.days_off else set()
        for n in sorted({row.id for row in touched} | stale):
            bring_up_to_date(session, n, now)
            failpoint("import.occurrences")
        # Their lectures may have brought the recordings that others share.
        for n in stale_series(session, now) if self.replaced else ():
            bring_up_to_date(session, n, now)

    def _write_series(
        self, session: Session, source: str, series: SeriesSpec, room: Room, now: datetime
    ) -> Series:
        row = self.rows.get(series.key)
        if row is None:
            row = Series(source=source, priority=0, state="active", created_at=now)
        elif row.state == "over":
            row.state, row.reason, row.ended_by = "active", None, None
            _bring_back(session, row)
        write_spec(session, row, series, room, now)
        session.add(row)
        return row


def _rows_of(session: Session, source: str) -> list[Series]:
    wanted = select(Series).where(Series.source == source).order_by(Series.id)
    wanted = wanted.options(
        joinedload(Series.room), selectinload(Series.people).joinedload(SeriesPerson.user)
    )
    return list(session.scalars(wanted))


def _specs_of(rows: Mapping[str, Series]) -> dict[str, SeriesSpec]:
    """Return series that are not over; each has the key by which it is known here."""
    return {k: replace(spec_of(row), key=k) for k, row in rows.items() if row.state != "over"}


def _report(timetable: Timetable, rows: Mapping[str, Series], removals: Removals) -> Report:
    """Return what a timetable changes about its series."""
    before = _specs_of(rows)
    ended_here = [
        series
        for series in timetable.series
        if (row := rows.get(series.key)) is not None
        and row.state == "over"
        and row.ended_by != BY_TIMETABLE
    ]
    wanted = [series for series in timetable.series if series not in ended_here]
    changes = compare(before.values(), wanted)
    is_complete = timetable.series_are_complete
    needs_confirmation = removals == "few" and is_complete and changes.needs_confirmation
    ends = removals != "never" and is_complete and not needs_confirmation
    notes = [Message("timetable.import.ended_by_people", name=series.name) for series in ended_here]
    if (count := len(changes.ended)) and not ends:
        why = "complaints" if not is_complete else "too_many" if needs_confirmation else "kept"
        notes.append(Message(f"timetable.import.{why}", count=count, total=len(before)))
    return Report(
        timetable, before, changes, DaysOffChanges(), ends, needs_confirmation, tuple(notes)
    )


def _look_of(series: SeriesSpec) -> tuple[object, ...]:
    """Return what people recognise a series by, whatever key a timetable gives it."""
    when = series.recurrence
    texts = (text.casefold() for text in (series.course, series.title))
    return (*texts, series.room, series.meeting, when.rule, when.starts_local.time())


def _adopted(
    own: Mapping[str, Series], theirs: list[Series], wanted: tuple[SeriesSpec, ...]
) -> dict[str, Series]:
    """Return the rows of an earlier timetable that this one adopts, by the keys that they get.

    What this one has already it does not get a second time.
    """
    keys = {series.key for series in wanted}
    by_look = {_look_of(series): series.key for series in reversed(wanted)}
    adopted: dict[str, Series] = {}
    for row in theirs:
        key = row.source_key
        if key not in keys:
            key = by_look.get(_look_of(spec_of(row)), key)
        if key not in own:
            adopted.setdefault(key, row)
    return adopted


def _others(session: Session, timetable: Timetable, but_for: str) -> dict[str, int]:
    """Return how many lectures of a timetable others have as well, by the names of these."""
    looks = {_look_of(series) for series in timetable.series}
    wanted = (
        select(Series)
        .where(Series.source.not_in((timetable.source, but_for, PEOPLE, REQUESTED)))
        .where(Series.state != "over")
        .options(joinedload(Series.room), selectinload(Series.people).joinedload(SeriesPerson.user))
        .order_by(Series.source)
    )
    return dict(
        Counter(row.source for row in session.scalars(wanted) if _look_of(spec_of(row)) in looks)
    )


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

"""The lectures that a recording may be of, and what becomes of the one that it is of.

Lectures are occurrences, and what the rules of series say beyond the weeks that are kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from merger.i18n import Message
from merger.records.processing.queue import add_history
from merger.series.documents import spec_of_name
from merger.series.occurrence_records import adopt_record, why_off
from merger.series.rows import overrides_of, recurrence_of
from merger.series.unroll import list_days_off
from merger.timeline.clock import Span
from merger.timeline.zones import first_instant, zone_named
from merger.timetable.matching import Candidate
from merger.timetable.recurrence import DayOff, occurrences
from models import Occurrence, Record, Series, SeriesPerson

# Local days before and after a recording: none farther is ever of it, but whoever reads why it is
# of none learns which is nearest.
_DAYS = timedelta(days=7)
_WIDEST = _DAYS + timedelta(days=2)  # in whatever zone


@dataclass(frozen=True)
class Lecture:
    """A lecture that may have been recorded.

    series, original_at: name it. room: the id of that in which it is held. record: that it has.
    """

    series: int
    original_at: datetime
    span: Span
    name: str
    course: str | None
    room: int
    priority: int
    layout: str | None
    profile: str | None
    record: int | None = None

    def as_candidate(self, key: str) -> Candidate:
        """Return what decides whether a recording is of it."""
        return Candidate(key, self.span, self.course or "", self.name, self.priority)


def find_lectures(
    session: Session, place: str, rooms: Collection[int], span: Span
) -> list[Lecture]:
    """Return the lectures around a recording that were held in its rooms, or as its meeting.

    Args:
        place: the number of the meeting.
        rooms: the ids of the rooms to which the recording may belong.
        span: of the recording.
    """
    widest = Span(span.start - _WIDEST, span.start + _WIDEST)
    moved_here = select(Occurrence.series_id).where(
        Occurrence.room_id.in_(rooms), Occurrence.start_at.between(widest.start, widest.end)
    )
    of_here = or_(Series.meeting == place, Series.room_id.in_(rooms), Series.id.in_(moved_here))
    wanted = select(Series).where(of_here, Series.mode != "no", Series.state == "active")
    all_series = session.scalars(wanted.order_by(Series.id)).all()
    rows = _rows_of(session, all_series, widest)
    days_off = list_days_off(session) if all_series else []
    return [
        lecture
        for series in all_series
        for lecture in _lectures_of(series, rows.get(series.id, []), days_off, span)
        if lecture.room in rooms or series.meeting == place
    ]


def _rows_of(
    session: Session, all_series: Sequence[Series], span: Span
) -> Mapping[int, list[Occurrence]]:
    found: dict[int, list[Occurrence]] = defaultdict(list)
    is_near = or_(
        Occurrence.start_at.between(span.start, span.end),
        Occurrence.original_at.between(span.start, span.end),
    )
    of_these = Occurrence.series_id.in_([series.id for series in all_series])
    wanted = select(Occurrence).where(of_these, is_near).options(joinedload(Occurrence.series))
    for row in session.scalars(wanted.order_by(Occurrence.start_at, Occurrence.id)):
        found[row.series_id].append(row)
    return found


def _lectures_of(
    series: Series,
    rows: Sequence[Occurrence],
    days_off: Sequence[tuple[int | None, DayOff]],
    span: Span,
) -> Iterator[Lecture]:
    """Yield the lectures of a series around a recording: its rows, and what its rule has beyond."""
    zone = zone_named(series.zone)
    day = span.start.astimezone(zone).date()
    first, last = (datetime.combine(day + days, time()) for days in (-_DAYS, _DAYS))
    window = Span(first_instant(first, zone), first_instant(last + timedelta(days=1), zone))
    for row in rows:
        if why_off(row) is None and row.start_at in window:
            held = Span(row.start_at, row.end_at)
            room, name = row.room_id or series.room_id, row.name
            yield _lecture(series, row.original_at, held, room, name, row.record_id)
    known = {row.original_at for row in rows}
    off = [day for room, day in days_off if room in (None, series.room_id)]
    overrides = overrides_of(series)
    names = {override.original_at: override.name for override in overrides}
    for found in occurrences(recurrence_of(series), window, off, overrides):
        if found.original_at not in known:
            at = found.original_at
            yield _lecture(series, at, found.span, series.room_id, names.get(at), None)


def _lecture(
    series: Series, at: datetime, span: Span, room: int, name: str | None, record: int | None
) -> Lecture:
    return Lecture(
        series.id, at, span, name or spec_of_name(series), series.course_code, room,
        series.priority, series.layout, series.profile, record,
    )  # fmt: skip


def give_record(
    session: Session,
    lecture: Lecture,
    record: int,
    why: Message,
    now: datetime,
    *,
    gives_owner: bool = False,
    gives_name: bool = True,
) -> None:
    """Have a lecture have the record of a recording of it, which gets its people and its texts.

    A lecture that has another record keeps that; this one gets the same people and texts.

    Args:
        why: the recording is of that lecture.
        gives_owner: the owner of the series becomes that of the record.
        gives_name: the record is called as the lecture.
    """
    series = session.get(
        Series, lecture.series, with_for_update=True, options=_WITH_PEOPLE, populate_existing=True
    )
    row = session.get(Record, record, with_for_update=True)
    if series is None or row is None:
        return
    occurrence = _occurrence(session, series, lecture)
    note = Message("history.of_lecture", name=lecture.name, why=why)
    add_history(session, record, row.attempt, now, "note", note)
    if occurrence.record_id == record:
        return  # which has them already, or what people have changed of them
    if occurrence.record_id is None:
        occurrence.record, occurrence.follows, occurrence.requested_at = row, False, now
    adopt_record(session, occurrence, row, now, gives_owner=gives_owner, gives_name=gives_name)


_WITH_PEOPLE = (selectinload(Series.people).joinedload(SeriesPerson.user),)


def _occurrence(session: Session, series: Series, lecture: Lecture) -> Occurrence:
    """Return the row of a lecture, a new one where it is beyond the weeks that are kept."""
    at = and_(Occurrence.series_id == series.id, Occurrence.original_at == lecture.original_at)
    row = session.scalars(select(Occurrence).where(at).with_for_update()).one_or_none()
    if row is None:
        row = Occurrence(
            series=series, original_at=lecture.original_at, start_at=lecture.span.start,
            end_at=lecture.span.end, is_off=False, follows=False,
            name=lecture.name if lecture.name != spec_of_name(series) else None,
        )  # fmt: skip
        session.add(row)
    return row

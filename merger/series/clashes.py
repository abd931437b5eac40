"""What is in the way of a series that somebody wants: recordings, other lectures, days off."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from merger.accounts.permissions import Principal
from merger.accounts.room_policy import may_request, policy_of_json
from merger.errors import Conflict, Forbidden
from merger.i18n import Message
from merger.records.access.rules import Recording, decide
from merger.records.access.store import recordings_within
from merger.series.rows import recurrence_of, spec_of
from merger.series.unroll import EVERY, WINDOW
from merger.timeline.clock import FARTHEST_AHEAD, Span
from merger.timeline.zones import zone_named
from merger.timetable.recurrence import occurrences
from merger.timetable.spec import SeriesSpec
from models import DayOff, Occurrence, Record, Room, Series, SeriesPerson

_DAY = timedelta(days=1)
_MOST_LISTED = 10  # dates that an error names


@dataclass(frozen=True)
class Date:
    """One lecture of a series that somebody wants.

    original_at: names it. why: what is in its way; None: nothing is. is_blocked: whoever wants it
    cannot have it recorded.
    """

    original_at: datetime
    span: Span
    why: Message | None = None
    is_blocked: bool = False


def dates_of(
    session: Session,
    spec: SeriesSpec,
    room: Room,
    by: Principal | None,
    now: datetime,
    without: int | None = None,
) -> list[Date]:
    """Return the coming lectures that a series would have, in order, and what is in their way.

    Args:
        spec: which `check_recurrence` lets pass.
        room: of the series.
        by: who wants it; None for the operator.
        without: a series that does not count: the one that is to be changed.
    """
    window = Span(now - _DAY, now + FARTHEST_AHEAD)
    found = [o for o in occurrences(spec.recurrence, window) if o.span.end > now]
    if not found:
        return []
    whole = Span(found[0].span.start, max(o.span.end for o in found))
    obstacles = _Obstacles(
        room, by, now, _days_off(session, room), _recordings(session, room, by, whole, without),
        _lectures(session, room, by, whole, now, without),
    )  # fmt: skip
    zone = zone_named(spec.recurrence.zone)
    return [
        Date(o.original_at, o.span, *obstacles.at(o.span, o.original_at.astimezone(zone)))
        for o in found
    ]


def refuse(dates: Iterable[Date], room: Room, by: Principal) -> None:
    """Raise Forbidden, or Conflict, for a series that somebody cannot have as it is."""
    if not may_request(policy_of_json(room.requesters), by):
        raise Forbidden("access", "access.room_closed", room=room.name)
    blocked = [date for date in dates if date.is_blocked]
    if not blocked:
        return
    zone = zone_named(room.zone)
    listed = tuple(
        Message(
            "series.on_date", date=f"{date.span.start.astimezone(zone):%Y-%m-%d %H:%M}",
            why=date.why or Message("nothing"),
        )
        for date in blocked[:_MOST_LISTED]
    )  # fmt: skip
    raise Conflict("time", "series.clashes", count=len(blocked), dates=listed)


@dataclass(frozen=True)
class _Lecture:
    span: Span
    name: str
    is_theirs: bool


@dataclass(frozen=True)
class _Obstacles:
    """All that may be in the way of lectures in a room."""

    room: Room
    by: Principal | None
    now: datetime
    days_off: Sequence[DayOff]
    recordings: Sequence[tuple[Record, Recording]]
    lectures: Sequence[_Lecture]

    def at(self, span: Span, local: datetime) -> tuple[Message | None, bool]:
        """Return what is in the way of a lecture, and whether it cannot be recorded at all."""
        for day in self.days_off:
            if day.first_day <= local.date() <= day.last_day:
                return Message("series.clash.day_off", name=day.name or str(day.first_day)), False
        recordings = [(row, one) for row, one in self.recordings if one.span.cut_to(span)]
        policy = policy_of_json(self.room.requesters)
        decision = decide(policy, self.by, span, self.now, [one for _, one in recordings], "ask")
        is_blocked = decision.outcome != "allowed"
        if recordings:
            row, one = min(recordings, key=lambda pair: pair[1].is_open)  # of others first
            return self._of_record(row, one), is_blocked
        for lecture in self.lectures:
            if lecture.span.cut_to(span):
                return self._of_lecture(lecture), is_blocked or not self._may_have(lecture)
        if is_blocked:
            return Message("series.clash.past"), True
        return None, False

    def _may_have(self, lecture: _Lecture) -> bool:
        return lecture.is_theirs or self.by is None or self.by.sees_all

    def _of_record(self, row: Record, one: Recording) -> Message:
        if one.is_open or self.by is None or self.by.sees_all:
            return Message(
                "series.clash.recording", name=row.event_name, times=self._times(one.span)
            )
        return Message("series.clash.some_recording", times=self._times(one.span))

    def _of_lecture(self, lecture: _Lecture) -> Message:
        times = self._times(lecture.span)
        if self._may_have(lecture):
            return Message("series.clash.lecture", name=lecture.name, times=times)
        return Message("series.clash.some_lecture", times=times)

    def _times(self, span: Span) -> str:
        zone = zone_named(self.room.zone)
        start, end = span.start.astimezone(zone), span.end.astimezone(zone)
        return f"{start:%H:%M}–{end:%H:%M}"


def _days_off(session: Session, room: Room) -> Sequence[DayOff]:
    wanted = select(DayOff).where(DayOff.room_id.is_(None) | (DayOff.room_id == room.id))
    return session.scalars(wanted.order_by(DayOff.first_day)).all()


def _recordings(
    session: Session, room: Room, by: Principal | None, span: Span, without: int | None
) -> list[tuple[Record, Recording]]:
    found = recordings_within(session, room, by, span)
    wanted = select(Occurrence.record_id).where(Occurrence.series_id == without)
    own = set(session.scalars(wanted)) if without is not None else set()
    return [(row, one) for row, one in found if row.id not in own]


def _lectures(
    session: Session,
    room: Room,
    by: Principal | None,
    span: Span,
    now: datetime,
    without: int | None,
) -> list[_Lecture]:
    """Return the lectures of other series in a room: as they are kept, and later by their rules."""
    rows = session.scalars(
        select(Occurrence)
        .join(Occurrence.series)
        .where(Occurrence.start_at < span.end, Occurrence.end_at > span.start)
        .where((Occurrence.room_id == room.id) | (Series.room_id == room.id))
        .where(Series.state == "active", Series.mode != "no", Series.id != (without or 0))
        .options(joinedload(Occurrence.series).selectinload(Series.people))
        .order_by(Occurrence.start_at, Occurrence.id)
    ).all()
    found = [
        _lecture(row.series, Span(row.start_at, row.end_at), by, row.name)
        for row in rows
        if not row.is_off and row.room_id in (None, room.id)
    ]
    kept_until = max(span.start, now + WINDOW[1] - EVERY)
    if kept_until >= span.end:
        return found
    later = Span(kept_until, span.end)
    wanted = select(Series).where(
        Series.room_id == room.id, Series.state == "active", Series.mode != "no",
        Series.id != (without or 0),
    )  # fmt: skip
    with_people = selectinload(Series.people).joinedload(SeriesPerson.user)
    for series in session.scalars(wanted.options(with_people)):
        held = occurrences(recurrence_of(series), later)
        found += [_lecture(series, one.span, by, None) for one in held]
    return found


def _lecture(series: Series, span: Span, by: Principal | None, name: str | None) -> _Lecture:
    people = [entry.user_id for entry in series.people]
    return _Lecture(span, name or spec_of(series).name, by is None or by.user in people)

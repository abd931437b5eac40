"""The occurrences of the coming weeks: kept as the rules of their series say.

What people have changed of one, such as its time, is never changed by a rule. One that the rule no
longer has is off; what lies behind stays as it was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from merger.db.engine import reading, writing
from merger.i18n import Message
from merger.series.occurrence_records import is_settled, settle
from merger.series.rows import overrides_of, recurrence_of
from merger.service import Service
from merger.timeline.clock import Span
from merger.timeline.zones import zone_named
from merger.timetable.pairing import pair_occurrences
from merger.timetable.recurrence import DayOff, occurrences
from models import DayOff as DayOffRow
from models import Fact, Occurrence, Series, SeriesPerson

EVERY = timedelta(hours=1)
WINDOW = timedelta(days=1), timedelta(days=35)  # before and after now
_FACT = "series-unrolled"


@dataclass(frozen=True)
class _Wanted:
    """What the rule of a series says of an occurrence."""

    span: Span
    name: str | None
    off: Message | None = None


def unroll_due(service: Service, now: datetime) -> None:
    """Bring all series up to date, once an hour."""
    if not is_due(service.engine, now):
        return
    unroll(service.engine, now)
    writing(service.engine, lambda session: session.merge(Fact(name=_FACT, value=now.isoformat())))


def is_due(engine: Engine, now: datetime) -> bool:
    """Return whether series are to be brought up to date now."""
    with reading(engine) as session:
        if session.scalar(select(Series.id).limit(1)) is None:
            return False
        fact = session.get(Fact, _FACT)
        return fact is None or not timedelta() <= now - datetime.fromisoformat(fact.value) < EVERY


def unroll(engine: Engine, now: datetime) -> int:
    """Bring all series up to date; return of how many anything was changed.

    Each is a transaction of its own, which locks it: of two processes that do this at once, the
    second finds nothing to do.
    """
    with reading(engine) as session:
        stale = stale_series(session, now)
    for series in stale:
        writing(engine, lambda session, series=series: bring_up_to_date(session, series, now))  # type: ignore[misc]
    return len(stale)


def bring_up_to_date(session: Session, series: int, now: datetime) -> None:
    """Have a series the occurrences of the coming weeks, and these their records."""
    row = session.get(Series, series, with_for_update=True, populate_existing=True)
    if row is None:
        return
    days_off = list_days_off(session)
    rows = _rows_of(session, [series], now)[series]
    _update_rows(session, row, rows, days_off, now)
    session.flush()
    for occurrence in _rows_of(session, [series], now)[series]:
        settle(session, occurrence, now)


def stale_series(session: Session, now: datetime) -> list[int]:
    """Return the series of which something is not as it is to be."""
    wanted = select(Series).options(
        joinedload(Series.room), selectinload(Series.people).joinedload(SeriesPerson.user)
    )
    all_series = session.scalars(wanted.order_by(Series.id)).all()
    rows = _rows_of(session, [series.id for series in all_series], now)
    days_off = list_days_off(session)
    return [
        series.id
        for series in all_series
        if _differences(series, rows[series.id], days_off, now)
        or not all(is_settled(row, now) for row in rows[series.id])
    ]


def _rows_of(
    session: Session, series: Sequence[int], now: datetime
) -> Mapping[int, list[Occurrence]]:
    """Return the occurrences around now, by series, in order."""
    window = _window(now)
    wanted = (
        select(Occurrence)
        .where(
            or_(
                Occurrence.start_at.between(window.start, window.end),
                Occurrence.original_at.between(window.start, window.end),
            )
        )
        .options(
            joinedload(Occurrence.series), joinedload(Occurrence.room),
            joinedload(Occurrence.record),
        )
        .order_by(Occurrence.start_at, Occurrence.id)
    )  # fmt: skip
    if len(series) == 1:
        wanted = wanted.where(Occurrence.series_id == series[0])
    found: dict[int, list[Occurrence]] = defaultdict(list)
    for row in session.scalars(wanted):
        found[row.series_id].append(row)
    return found


def _window(now: datetime) -> Span:
    return Span(now - WINDOW[0], now + WINDOW[1])


def list_days_off(session: Session) -> list[tuple[int | None, DayOff]]:
    """Return all days off, each with the id of its room, if it is of one."""
    rows = session.scalars(select(DayOffRow).order_by(DayOffRow.id))
    return [(row.room_id, DayOff(row.first_day, row.last_day, row.name)) for row in rows]


def _occurrences_by_rule(
    series: Series, days_off: Iterable[tuple[int | None, DayOff]], now: datetime
) -> dict[datetime, _Wanted]:
    """Return the occurrences that a series is to have around now, by what names them."""
    if series.state == "over":
        return {}
    off = [day for room, day in days_off if room in (None, series.room_id)]
    overrides = overrides_of(series)
    names = {override.original_at: override.name for override in overrides}
    when, window = recurrence_of(series), _window(now)
    held = {found.original_at: found.span for found in occurrences(when, window, off, overrides)}
    wanted = {at: _Wanted(span, names.get(at)) for at, span in held.items()}
    if off:  # people see why nothing takes place
        for found in occurrences(when, window, (), overrides):
            if found.original_at not in wanted:
                wanted[found.original_at] = _Wanted(found.span, None, Message("series.day_off"))
    return wanted


def _differences(
    series: Series,
    rows: Sequence[Occurrence],
    days_off: Iterable[tuple[int | None, DayOff]],
    now: datetime,
) -> dict[datetime, _Wanted | None]:
    """Return the occurrences whose rows are missing, or not as wanted; None: it is off."""
    wanted = _occurrences_by_rule(series, days_off, now)
    found: dict[datetime, _Wanted | None] = dict(wanted)
    zone, begun = zone_named(series.zone), set()
    for row in rows:
        one = wanted.get(row.original_at)
        if row.start_at <= now:
            found.pop(row.original_at, None)
            if one is None:
                begun.add(row.original_at.astimezone(zone).date())
        elif row.is_changed and series.state != "over":
            found.pop(row.original_at, None)
        elif one is None:
            if not row.is_off and row.start_at > now:
                found[row.original_at] = None
        elif (row.start_at, row.end_at) == (one.span.start, one.span.end) and (
            (row.name, row.is_off, row.reason) == (one.name, one.off is not None, one.off)
        ):
            del found[row.original_at]
    # The time of one may have been changed since it began: it has taken place all the same.
    known = {row.original_at for row in rows}
    return {
        at: one
        for at, one in found.items()
        if at in known or at.astimezone(zone).date() not in begun
    }


def _update_rows(
    session: Session,
    series: Series,
    rows: Sequence[Occurrence],
    days_off: Iterable[tuple[int | None, DayOff]],
    now: datetime,
) -> None:
    _rename_rows(session, series, rows, days_off, now)
    present = {row.original_at: row for row in rows}
    for original_at, wanted in _differences(series, rows, days_off, now).items():
        row = present.get(original_at)
        if wanted is None:
            assert row is not None
            row.is_off, row.reason = True, Message("series.not_any_more")
            row.updated_at = now
            continue
        if row is None:
            row = Occurrence(series=series, original_at=original_at)
            session.add(row)
        row.start_at, row.end_at, row.name = wanted.span.start, wanted.span.end, wanted.name
        row.is_off, row.reason, row.updated_at = wanted.off is not None, wanted.off, now


def _rename_rows(
    session: Session,
    series: Series,
    rows: Iterable[Occurrence],
    days_off: Iterable[tuple[int | None, DayOff]],
    now: datetime,
) -> None:
    """Have rows name the times that theirs became, where the times of a series were changed."""
    present = {row.original_at: row for row in rows}
    wanted = _occurrences_by_rule(series, days_off, now)
    before = [at for at, row in present.items() if at not in wanted and row.start_at > now]
    after = wanted.keys() - present.keys()
    for at, new in pair_occurrences(before, after, zone_named(series.zone)).items():
        present[at].original_at = new
    session.flush()

"""When a series takes place: its local times become instants. Pure.

A series is kept as people mean it: a local time, a rule, and the zone whose clock it goes by. Days
are counted on that clock first, and only then become instants: 10:00 stays 10:00 when the clocks
change. Nothing here depends on the present day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import chain
from zoneinfo import ZoneInfo

from merger.errors import Invalid
from merger.i18n import Message
from merger.timeline.clock import Span
from merger.timeline.zones import first_instant, zone_named
from merger.timetable.rules import days_of_rule, parse_rule

MOST_EXDATES = 500
MOST_IN_WINDOW = 100
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(hours=24)
FARTHEST_START = timedelta(days=2 * 366)
_DAY = timedelta(days=1)
_DECADE = timedelta(days=3_653)
# How many days each month has at least.
_SHORTEST_MONTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True)
class Recurrence:
    """When a series takes place, by the clock of its zone.

    zone: an IANA name. starts_local: the first time, naive; the rule counts from there. length: of
    each occurrence; zero where nobody knows it. rule: an RRULE of RFC 5545, without its name; None
    for what takes place once. until_day: the last local day. exdates: what does not take place; a
    date removes that whole day, a naive time that time alone. rdates: naive times that come on top.
    """

    zone: str
    starts_local: datetime
    length: timedelta = timedelta(0)
    rule: str | None = None
    until_day: date | None = None
    exdates: tuple[date | datetime, ...] = ()
    rdates: tuple[datetime, ...] = ()


@dataclass(frozen=True, order=True)
class Occurrence:
    """One lecture of a series.

    original_at: when the rule has it, which names it in its series, wherever it was moved to; UTC.
    span: when it takes place; empty where its length is unknown.
    """

    original_at: datetime
    span: Span


@dataclass(frozen=True)
class Override:
    """What becomes of one occurrence, whatever the rule says.

    original_at: names the occurrence; UTC. span: when it takes place; None where it does not. name:
    its own, where it has one.
    """

    original_at: datetime
    span: Span | None
    name: str | None = None


@dataclass(frozen=True, order=True)
class DayOff:
    """Days without lectures, both ends included. room: the only one concerned; None for all."""

    first: date
    last: date
    name: str = ""
    room: str | None = None


def check_recurrence(recurrence: Recurrence, now: datetime) -> None:
    """Refuse what no series can be, and what nobody could expand.

    Args:
        now: which the series must not be far from.

    Raises:
        Invalid: names the field: `zone`, `start`, `length`, `rule`, `until`, `exdates` or `rdates`.
    """
    start = recurrence.starts_local
    now_local = now.astimezone(zone_named(recurrence.zone)).replace(tzinfo=None)
    for field, times in (("start", (start,)), ("rdates", recurrence.rdates)):
        for local in times:
            if local.tzinfo is not None:
                raise Invalid(field, "timetable.not_local", time=local.isoformat())
            if abs(local - now_local) > FARTHEST_START:
                raise Invalid(field, "timetable.too_far", time=local.isoformat(" ", "minutes"))
    if recurrence.length and not SHORTEST <= recurrence.length <= LONGEST:
        raise Invalid("length", "timetable.length_range")
    for field, several in (("exdates", recurrence.exdates), ("rdates", recurrence.rdates)):
        if len(several) > MOST_EXDATES:
            raise Invalid(field, "timetable.too_many_dates", most=MOST_EXDATES)
    for exdate in recurrence.exdates:
        if isinstance(exdate, datetime) and exdate.tzinfo is not None:
            raise Invalid("exdates", "timetable.not_local", time=exdate.isoformat())
    if recurrence.until_day is not None and recurrence.until_day < start.date():
        raise _ends_before_start("until", recurrence.until_day, start)
    if recurrence.rule is None:
        return
    until = parse_rule(recurrence.rule).until
    if until is not None and (day := _local_day(until, zone_named(recurrence.zone))) < start.date():
        raise _ends_before_start("rule", day, start)


def _ends_before_start(field: str, last: date, start: datetime) -> Invalid:
    return Invalid(
        field, "timetable.ends_before_start", last=str(last), start=start.isoformat(" ", "minutes")
    )


def notes_on(recurrence: Recurrence) -> list[Message]:
    """Return what people may not expect of a series: that some months lack its day."""
    rule = parse_rule(recurrence.rule) if recurrence.rule is not None else None
    if rule is None or rule.frequency not in ("MONTHLY", "YEARLY"):
        return []
    days = set(rule.month_days)
    if not (rule.weekdays or rule.month_days or rule.year_days):
        days = {recurrence.starts_local.day}
    months = rule.months or set(range(1, 13))
    if rule.frequency == "YEARLY" and not (rule.months or rule.month_days):
        months = {recurrence.starts_local.month}
    late = [day for day in sorted(days) if any(day > _SHORTEST_MONTHS[m] for m in months)]
    return [Message("timetable.months_without_day", day=day) for day in late]


def occurrences(
    recurrence: Recurrence,
    window: Span,
    days_off: Iterable[DayOff] = (),
    overrides: Iterable[Override] = (),
) -> list[Occurrence]:
    """Return what takes place in a window, in order: what begins in it.

    The first time always belongs to a series, as in all calendars, even if the rule lacks its day.
    A time that spring skips becomes the first that exists; one that autumn repeats is the first of
    the two. A day that a month lacks, such as the 31st, is left out of that month.

    Args:
        recurrence: which `check_recurrence` lets pass.
        window: of which no more than the first MOST_IN_WINDOW occurrences are returned.
        days_off: those of the room of the series; nothing takes place then but overrides.
        overrides: of single occurrences.
    """
    off = [(day.first, day.last) for day in days_off]
    found = {
        at: Occurrence(at, Span(at, at + recurrence.length))
        for local, at in _times(recurrence, window)
        if not any(first <= local.date() <= last for first, last in off)
    }
    for override in overrides:
        found.pop(override.original_at, None)
        if override.span is not None and override.span.start in window:
            found[override.original_at] = Occurrence(override.original_at, override.span)
    return sorted(found.values(), key=lambda o: (o.span, o.original_at))[:MOST_IN_WINDOW]


def goes_on(recurrence: Recurrence, at: datetime) -> bool:
    """Return whether anything of a series may begin at an instant, or in the ten years after it."""
    rule = parse_rule(recurrence.rule) if recurrence.rule is not None else None
    if rule and rule.count is None and rule.until is None and recurrence.until_day is None:
        return True
    return any(True for _ in _times(recurrence, Span(at, at + _DECADE)))


def _times(recurrence: Recurrence, window: Span) -> Iterator[tuple[datetime, datetime]]:
    """Yield the naive time and the instant of what begins in a window, days off included."""
    zone, exdates = zone_named(recurrence.zone), frozenset(recurrence.exdates)
    for local in _local_times(recurrence, window, zone):
        if local not in exdates and local.date() not in exdates:
            at = first_instant(local, zone)
            if at in window:
                yield local, at


def _local_times(recurrence: Recurrence, window: Span, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the naive times of a series around a window."""
    start = recurrence.starts_local
    # A day more on either side: what spring skips moves, by a whole day where that was skipped.
    first = window.start.astimezone(zone).date() - _DAY
    last = window.end.astimezone(zone).date() + _DAY
    yield from (local for local in recurrence.rdates if first <= local.date() <= last)
    if recurrence.rule is None:
        yield start
        return
    rule = parse_rule(recurrence.rule)
    if recurrence.until_day is not None:
        last = min(last, recurrence.until_day)
    if rule.until is not None:
        last = min(last, _local_day(rule.until, zone))
    days = days_of_rule(rule, start.date(), first, last)
    for local in chain([start], (datetime.combine(day, start.time()) for day in days)):
        if not _is_past(local, rule.until, zone):
            yield local


def _local_day(until: date | datetime, zone: ZoneInfo) -> date:
    if not isinstance(until, datetime):
        return until
    return (until.astimezone(zone) if until.tzinfo else until).date()


def _is_past(local: datetime, until: date | datetime | None, zone: ZoneInfo) -> bool:
    if until is None:
        return False
    if not isinstance(until, datetime):
        return local.date() > until
    return first_instant(local, zone) > until if until.tzinfo else local > until

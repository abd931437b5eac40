"""When a series takes place: its local times become instants. Pure.

A series is kept as people mean it: a local time, a rule, and the zone whose clock it goes by. Days
are counted on that clock first, and only then become instants: 10:00 stays 10:00 when the clocks
change. Nothing here depends on the present day.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from merger.timeline.clock import Span

MOST_EXDATES = 500
MOST_IN_WINDOW = 100
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(hours=24)
FARTHEST_START = timedelta(days=2 * 366)


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
    """Refuse what no series can be, or what would take forever to expand.

    Raises:
        Invalid: names the field: `zone`, `start`, `length`, `rule`, `until`, `exdates` or `rdates`.
    """
    raise NotImplementedError


def occurrences(
    recurrence: Recurrence,
    window: Span,
    days_off: Iterable[DayOff] = (),
    overrides: Iterable[Override] = (),
) -> list[Occurrence]:
    """Return what takes place in a window, in order: what begins in it.

    A time that spring skips becomes the first that exists; one that autumn repeats is the first of
    the two. A day that a month lacks, such as the 31st, is left out of that month.

    Args:
        recurrence: which `check_recurrence` lets pass.
        window: of which no more than the first MOST_IN_WINDOW occurrences are returned.
        days_off: those of the room of the series; nothing takes place then but overrides.
        overrides: of single occurrences.
    """
    raise NotImplementedError

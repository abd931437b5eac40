"""Which lecture is which, after the times of a series were changed. Pure.

An occurrence is named by when its rule has it. If a series goes from 10:00 to 11:00, or from
Mondays to Tuesdays, those names change; what people have changed of a lecture still means that
lecture.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable
from datetime import datetime
from zoneinfo import ZoneInfo


def pair_occurrences(
    before: Collection[datetime], after: Collection[datetime], zone: ZoneInfo
) -> dict[datetime, datetime]:
    """Return which of the new times each of the old times became.

    Those of one local day belong together, where there is one on each side; then those of one week.

    Args:
        before: instants that a rule had, and has no more.
        after: instants that it has, and had not.
    """
    pairs: dict[datetime, datetime] = {}
    for unit in (_day, _week):
        old = _single(set(before) - pairs.keys(), unit, zone)
        new = _single(set(after) - set(pairs.values()), unit, zone)
        pairs |= {old[at]: new[at] for at in old.keys() & new.keys()}
    return pairs


def _single(
    times: Collection[datetime], unit: Callable[[datetime], Hashable], zone: ZoneInfo
) -> dict[Hashable, datetime]:
    """Return the times that are alone in their day, or week, by that."""
    found: dict[Hashable, list[datetime]] = defaultdict(list)
    for at in times:
        found[unit(at.astimezone(zone))].append(at)
    return {key: several[0] for key, several in found.items() if len(several) == 1}


def _day(local: datetime) -> Hashable:
    return local.date()


def _week(local: datetime) -> Hashable:
    return local.isocalendar()[:2]

"""What a timetable changes about the series that are known. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from merger.timetable.spec import SeriesSpec

MANY = 10  # series that may end without a question


@dataclass(frozen=True)
class Changes:
    """What there is to do. changed: as they are to be; ended: as they were."""

    added: tuple[SeriesSpec, ...]
    changed: tuple[SeriesSpec, ...]
    ended: tuple[SeriesSpec, ...]
    unchanged: tuple[SeriesSpec, ...]

    @property
    def needs_confirmation(self) -> bool:
        """Return whether so much would end that the timetable may be half loaded."""
        ended, kept = len(self.ended), len(self.changed) + len(self.unchanged)
        return ended > MANY and 3 * ended > ended + kept

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.ended)


def compare(
    stored: Iterable[SeriesSpec], wanted: Iterable[SeriesSpec], *, keeps_missing: bool = False
) -> Changes:
    """Return what a timetable changes, by the keys of its series.

    Args:
        stored: the series that came from this timetable, and are not over.
        wanted: those that it has now, each key once.
        keeps_missing: what it no longer has goes on.
    """
    before = {series.key: series for series in stored}
    now = {series.key: _with_start(series, before.get(series.key)) for series in wanted}
    known = [series for key, series in now.items() if key in before]
    return Changes(
        added=tuple(series for key, series in now.items() if key not in before),
        changed=tuple(series for series in known if series != before[series.key]),
        ended=tuple(
            series for key, series in before.items() if key not in now and not keeps_missing
        ),
        unchanged=tuple(series for series in known if series == before[series.key]),
    )


def _with_start(series: SeriesSpec, before: SeriesSpec | None) -> SeriesSpec:
    """Return a series that does not say since when it is, with the start by which it is known."""
    if before is None or not series.has_open_start:
        return series
    starts = before.recurrence.starts_local
    return replace(series, recurrence=replace(series.recurrence, starts_local=starts))

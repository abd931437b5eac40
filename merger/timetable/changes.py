"""What a timetable changes about the series that are known. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from merger.timetable.spec import SeriesSpec


@dataclass(frozen=True)
class Changes:
    """What there is to do. changed: as it is to be; ended: as it was."""

    added: tuple[SeriesSpec, ...]
    changed: tuple[SeriesSpec, ...]
    ended: tuple[SeriesSpec, ...]
    unchanged: tuple[SeriesSpec, ...]

    @property
    def needs_confirmation(self) -> bool:
        """Return whether so much would end that the timetable may be half loaded."""
        raise NotImplementedError

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
    raise NotImplementedError

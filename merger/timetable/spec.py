"""A series as a plain value. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from merger.timetable.recurrence import Override, Recurrence

# asks: each lecture is recorded; names: it only says what a recording is of; no: nothing is done.
Mode = Literal["asks", "names", "no"]


@dataclass(frozen=True)
class SeriesSpec:
    """A series as a timetable, or the tables, have it.

    key: the same each time that the timetable is read. meeting: the digits of its number. mode: see
    Mode. owners: email addresses. folder: of Drive. external: its id in another system. overrides:
    of single occurrences, in order. has_open_start: the timetable does not say from when; the day
    since when it is known stands.
    """

    key: str
    course: str
    title: str
    recurrence: Recurrence
    room: str | None = None
    meeting: str | None = None
    mode: Mode = "asks"
    owners: tuple[str, ...] = ()
    folder: str | None = None
    layout: str | None = None
    profile: str | None = None
    external: str | None = None
    overrides: tuple[Override, ...] = ()
    has_open_start: bool = field(default=False, compare=False)

    @property
    def name(self) -> str:
        """Return what its recordings are called."""
        return ": ".join(filter(None, (self.course, self.title)))

"""A timetable as a sheet: CSV becomes rows, and what is wrong with it is told by line. Pure.

Cells are text. What a spreadsheet would compute is a text like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time, timedelta

from merger.i18n import Message
from merger.timetable.recurrence import DayOff
from merger.timetable.spec import Mode, SeriesSpec

LARGEST = 1_000_000  # bytes
MOST_ROWS = 5_000


@dataclass(frozen=True)
class Row:
    """A line of a timetable.

    line: in the file, from 1. days: of the week, Monday is 0. length: zero where it is unknown.
    meeting: the digits of its number. first, last: days, both included; None: those of the term.
    exdates: dates on which it is not held.
    """

    line: int
    course: str
    title: str
    days: tuple[int, ...]
    start: time
    length: timedelta = timedelta(0)
    room: str | None = None
    meeting: str | None = None
    first: date | None = None
    last: date | None = None
    exdates: tuple[date, ...] = ()
    owners: tuple[str, ...] = ()
    folder: str | None = None
    layout: str | None = None
    profile: str | None = None
    external: str | None = None
    mode: Mode = "asks"


@dataclass(frozen=True)
class Complaint:
    """Why a line was not taken. field: a column; empty for the line as a whole."""

    line: int
    field: str
    message: Message


@dataclass(frozen=True)
class Sheet:
    """What a file holds. unknown: headings of columns that are not read."""

    rows: tuple[Row, ...]
    complaints: tuple[Complaint, ...]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class DaysOffSheet:
    """What a file of days off holds."""

    days_off: tuple[DayOff, ...]
    complaints: tuple[Complaint, ...]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Term:
    """From which day until which the rows hold that do not say so; None: no end."""

    first: date
    last: date | None = None


def sheet_text(content: bytes) -> str:
    """Return a file as text. Raises Invalid for one that is too large, or not UTF-8."""
    raise NotImplementedError


def parse_sheet(text: str) -> Sheet:
    """Return the rows of a timetable, and why others are none.

    Raises:
        Invalid: the file as a whole is of no use: it is empty or too large, or lacks columns.
    """
    raise NotImplementedError


def parse_days_off(text: str) -> DaysOffSheet:
    """Return the days off of a file. Raises Invalid as `parse_sheet` does."""
    raise NotImplementedError


def tab_names(text: str) -> tuple[str, ...]:
    """Return the names in a list with commas."""
    raise NotImplementedError


def row_key(row: Row, source: str) -> str:
    """Return what a row is known by: 40 characters, the same whatever else it says.

    Args:
        source: the file or tab.
    """
    raise NotImplementedError


def series_of_row(row: Row, source: str, zone: str, term: Term) -> SeriesSpec:
    """Return the series that a row stands for.

    Args:
        source: the file or tab.
        zone: of its room.

    Raises:
        Invalid: nothing takes place between its first day and its last.
    """
    raise NotImplementedError

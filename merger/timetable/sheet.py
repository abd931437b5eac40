"""A timetable as a sheet: CSV becomes rows, and each mistake is reported with its line. Pure.

Cells are text. What a spreadsheet would compute is a text like any other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from merger.errors import Invalid
from merger.i18n import Message
from merger.timetable import cells
from merger.timetable.recurrence import DayOff, Recurrence, check_recurrence
from merger.timetable.rules import WEEKDAYS
from merger.timetable.spec import Mode, SeriesSpec
from merger.timetable.table import Complaint as Complaint
from merger.timetable.table import Line, Names, check_size, read_table

_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)

# The columns of a timetable, and what else they are called.
COLUMNS: Names = {
    "course": ("course code", "code", "курс", "код курса", "код"),
    "title": ("type", "название", "тип", "занятие", "вид занятия"),
    "days": ("day", "weekday", "weekdays", "дни", "день", "день недели", "дни недели"),
    "start": ("start time", "begin", "begins", "starts", "начало", "время начала"),
    "end": ("end time", "ends", "конец", "окончание", "время окончания"),
    "minutes": ("min", "length", "duration", "минут", "минуты", "мин", "длительность"),
    "meeting": (
        "meeting id", "meeting id with password", "meeting number", "meeting link", "zoom",
        "встреча", "номер встречи", "ссылка", "конференция", "встреча/zoom",
    ),
    "room": ("location", "аудитория", "комната", "кабинет"),
    "from": ("first day", "since", "с", "начиная с", "первый день"),
    "until": ("last day", "to", "по", "последний день"),
    "except": ("not on", "кроме", "исключая", "не проводится"),
    "owners": (
        "owner", "lecturer", "lecturers", "владельцы", "владелец", "преподаватель", "преподаватели",
    ),
    "folder": ("drive folder", "папка"),
    "layout": ("расположение",),
    "profile": ("quality", "качество", "профиль"),
    "records": ("record", "recording", "запись", "записывать"),
    "series": ("oc series", "opencast series", "external", "серия", "серия oc"),
}  # fmt: skip
_NEEDED = (("course",), ("days",), ("start",), ("meeting", "room"))

DAYS_OFF_COLUMNS: Names = {
    "first": ("date", "day", "from", "first day", "с", "дата", "день", "первый день"),
    "last": ("until", "to", "last day", "по", "последний день"),
    "name": ("title", "holiday", "название", "праздник"),
    "room": ("location", "аудитория", "комната", "кабинет"),
}


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
class Sheet:
    """What a file holds. unknown: headings of columns that are not read."""

    rows: tuple[Row, ...]
    complaints: tuple[Complaint, ...]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class DaysOffSheet:
    """What a file of days off holds. lines: that on which each of the days stands."""

    days_off: tuple[DayOff, ...]
    lines: tuple[int, ...]
    complaints: tuple[Complaint, ...]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Term:
    """From which day until which the rows hold that do not say so.

    last: None: there is no end. has_open_start: nobody has set the first day, it is just today.
    """

    first: date
    last: date | None = None
    has_open_start: bool = False


def sheet_text(content: bytes) -> str:
    """Return a file as text. Raises Invalid for one that is too large, or not UTF-8."""
    check_size(len(content))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid("timetable", "timetable.sheet.not_utf8") from error


def parse_sheet(text: str) -> Sheet:
    """Return the rows of a timetable, and why others are none.

    Raises:
        Invalid: the file as a whole is of no use: it is empty or too large, or lacks columns.
    """
    table = read_table(text, COLUMNS, _NEEDED)
    rows: dict[tuple[object, ...], Row] = {}
    for line in table.good_lines():
        row = _row(line, table.columns)
        if line.complaints:
            continue
        first = rows.setdefault(_identity(row), row)
        if first is not row:
            line.complain("", Message("timetable.sheet.same_as", other=first.line))
    return Sheet(tuple(rows.values()), table.complaints(), table.unknown)


def parse_days_off(text: str) -> DaysOffSheet:
    """Return the days off of a file. Raises Invalid as `parse_sheet` does."""
    table = read_table(text, DAYS_OFF_COLUMNS, [("first",)])
    days_off, lines = [], []
    for line in table.good_lines():
        first, last = line.required("first", cells.read_date_range, (date.min, date.min))
        last = line.optional("last", cells.read_date, last)
        if last < first and not line.complaints:
            line.complain("last", _backwards(first, last))
        name = line.optional("name", cells.read_name, "")
        room = line.optional("room", cells.read_name, "") or None
        if not line.complaints:
            days_off.append(DayOff(first, last, name, room))
            lines.append(line.number)
    return DaysOffSheet(tuple(days_off), tuple(lines), table.complaints(), table.unknown)


def tab_names(text: str) -> tuple[str, ...]:
    """Return the names in a list with commas."""
    return tuple(filter(None, (name.strip() for name in text.split(","))))


def row_key(row: Row, source: str) -> str:
    """Return what a row is known by: 40 characters, the same whatever else it says.

    Args:
        source: the file or tab.
    """
    identity = json.dumps([source, *_identity(row)])
    return hashlib.sha256(identity.encode()).hexdigest()[:40]


def _identity(row: Row) -> tuple[object, ...]:
    names = (row.course, row.title, row.room or "")
    return (*(name.casefold() for name in names), row.meeting, row.days, row.start.isoformat())


def series_of_row(row: Row, source: str, zone: str, term: Term, now: datetime) -> SeriesSpec:
    """Return the series that a row stands for.

    Args:
        source: the file or tab.
        zone: of its room.
        now: which the series must not be far from.

    Raises:
        Invalid: nothing takes place between its first day and its last, or they are far away. The
            code is a column.
    """
    first, last = row.first or term.first, row.last or term.last
    starts = next(day for n in range(7) if (day := first + n * _DAY).weekday() in row.days)
    if last is not None and starts > last:
        raise Invalid("until", "timetable.sheet.no_day", first=str(first), last=str(last))
    recurrence = Recurrence(
        zone=zone,
        starts_local=datetime.combine(starts, row.start),
        length=row.length,
        rule=f"FREQ=WEEKLY;BYDAY={','.join(WEEKDAYS[day] for day in row.days)}",
        until_day=last,
        exdates=row.exdates,
    )
    try:
        check_recurrence(recurrence, now)
    except Invalid as error:
        column = {"start": "from", "zone": "room", "exdates": "except"}.get(error.code, error.code)
        raise Invalid(column, error.message) from error
    return SeriesSpec(
        key=row_key(row, source),
        course=row.course,
        title=row.title,
        recurrence=recurrence,
        room=row.room,
        meeting=row.meeting,
        mode=row.mode,
        owners=row.owners,
        folder=row.folder,
        layout=row.layout,
        profile=row.profile,
        external=row.external,
        has_open_start=row.first is None and term.has_open_start,
    )


# --- rows -----------------------------------------------------------------------------------------


def _row(line: Line, columns: Collection[str]) -> Row:
    start = line.required("start", cells.read_time, time())
    room = line.optional("room", cells.read_name, "") or None
    meeting = line.optional("meeting", cells.read_meeting, "") or None
    if not (room or meeting or line.complains_of("room", "meeting")):
        field = "meeting" if "meeting" in columns else "room"
        line.complain(field, Message("timetable.sheet.no_place"))
    first, last = (line.optional(field, cells.read_date, None) for field in ("from", "until"))
    if first and last and last < first:
        line.complain("until", _backwards(first, last))
    if "series" in columns and line.is_empty("series"):
        line.complain("series", Message("timetable.sheet.no_series"))
    return Row(
        line=line.number,
        course=line.required("course", cells.read_name, ""),
        title=line.optional("title", cells.read_name, ""),
        days=line.required("days", cells.read_days, (0,)),
        start=start,
        length=_length(line, start),
        room=room,
        meeting=meeting,
        first=first,
        last=last,
        exdates=line.optional("except", cells.read_dates, ()),
        owners=line.optional("owners", cells.read_owners, ()),
        folder=line.optional("folder", cells.read_folder, "") or None,
        layout=line.optional("layout", cells.read_layout, None),
        profile=line.optional("profile", cells.read_profile, None),
        external=line.optional("series", cells.read_external, "") or None,
        mode=line.optional("records", cells.read_mode, "asks" if room else "names"),
    )


def _length(line: Line, start: time) -> timedelta:
    """Return how long a lecture lasts; zero where nothing says so."""
    minutes = line.optional("minutes", cells.read_minutes, timedelta(0))
    end = line.optional("end", cells.read_time, None)
    if end is None or line.complains_of("start"):
        return minutes
    length = timedelta(hours=end.hour - start.hour, minutes=end.minute - start.minute)
    if length <= timedelta(0):
        line.complain(
            "end", Message("timetable.sheet.ends_first", end=f"{end:%H:%M}", start=f"{start:%H:%M}")
        )
    elif minutes and minutes != length:
        line.complain(
            "minutes",
            Message(
                "timetable.sheet.two_lengths", minutes=minutes // _MINUTE, between=length // _MINUTE
            ),
        )
    return length


def _backwards(first: date, last: date) -> Message:
    return Message("timetable.cell.backwards", first=str(first), last=str(last))

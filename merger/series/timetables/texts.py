"""What a timetable says, of rooms that there are: texts become series, days off and complaints.

Pure. A complaint is about one line or event; the others are taken. A text that is of no use as a
whole raises Invalid: then nothing of the timetable is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from merger.errors import Invalid
from merger.i18n import Message, document
from merger.names import LONGEST_NAME
from merger.rooms.spec import RoomSpec
from merger.series.timetables.places import Places, online_name, online_room
from merger.timeline.zones import zone_named
from merger.timetable.ics import EventComplaint, parse_calendar
from merger.timetable.recurrence import DayOff
from merger.timetable.sheet import (
    Complaint,
    Row,
    Term,
    parse_days_off,
    parse_sheet,
    row_key,
    series_of_row,
)
from merger.timetable.spec import SeriesSpec

_CALENDAR = "BEGIN:VCALENDAR"


@dataclass(frozen=True)
class Tab:
    """One text of a timetable: CSV or iCalendar. name: empty where the timetable is one text."""

    text: str
    name: str = ""


@dataclass(frozen=True)
class TimetableText:
    """A timetable as somebody has it.

    source: names it among all timetables; the same each time that it is read. days_off: a text in
    CSV; None where it says nothing of them. zone: of what has no room; empty for that of all rooms.
    first, last: of the term, for rows that do not say so.
    """

    source: str
    tabs: tuple[Tab, ...]
    days_off: Tab | None = None
    zone: str = ""
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True)
class ComplaintOfTab:
    """What is wrong with a line or an event. tab: as in `Tab`."""

    tab: str
    complaint: Complaint | EventComplaint

    @property
    def sentence(self) -> Message:
        """Return the complaint with where it belongs."""
        return _of_tab(self.tab, self.complaint.sentence)

    @property
    def document(self) -> dict[str, Any]:
        """Return the complaint as plain values."""
        return {
            "tab": self.tab or None, "line": getattr(self.complaint, "line", None),
            "event": getattr(self.complaint, "event", None),
            "field": self.complaint.field or None, **document(self.sentence),
        }  # fmt: skip


@dataclass(frozen=True)
class Timetable:
    """A timetable, understood.

    new_rooms: which its series need, and which are not there yet. days_off: None: it says nothing
    of them. series_are_complete, days_off_are_complete: there is no complaint about any. unknown:
    headings of columns that are not read.
    """

    source: str
    series: tuple[SeriesSpec, ...]
    complaints: tuple[ComplaintOfTab, ...] = ()
    new_rooms: tuple[RoomSpec, ...] = ()
    days_off: tuple[DayOff, ...] | None = None
    series_are_complete: bool = True
    days_off_are_complete: bool = True
    unknown: tuple[str, ...] = ()


def is_calendar(text: str) -> bool:
    """Return whether a text is iCalendar, and not CSV."""
    return text.lstrip("\ufeff \t\r\n")[: len(_CALENDAR)].upper() == _CALENDAR


def read_timetable(
    texts: TimetableText, places: Places, known: Mapping[str, SeriesSpec], now: datetime
) -> Timetable:
    """Return what a timetable says.

    Args:
        known: its series that are stored, by their keys.
        now: which lectures must not be far from.

    Raises:
        Invalid: a text is of no use as a whole.
    """
    reader = _Reader(texts, places, known, now)
    for tab in texts.tabs:
        try:
            reader.read_tab(tab)
        except Invalid as error:
            raise Invalid(error.code, _of_tab(tab.name, error.message)) from error
    days_off, complaints = _read_days_off(texts.days_off, places)
    needed = {series.room for series in reader.series.values()}
    return Timetable(
        texts.source,
        tuple(reader.series.values()),
        (*reader.complaints, *complaints),
        tuple(room for name, room in reader.new_rooms.items() if name in needed),
        days_off,
        series_are_complete=not reader.complaints,
        days_off_are_complete=not complaints,
        unknown=tuple(dict.fromkeys(reader.unknown)),
    )


def _of_tab(tab: str, why: Message) -> Message:
    return Message("timetable.tab", tab=tab, why=why) if tab else why


@dataclass
class _Reader:
    texts: TimetableText
    places: Places
    known: Mapping[str, SeriesSpec]
    now: datetime
    series: dict[str, SeriesSpec] = field(default_factory=dict)
    new_rooms: dict[str, RoomSpec] = field(default_factory=dict)
    complaints: list[ComplaintOfTab] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def zone(self) -> str:
        """The zone of what has no room. Raises Invalid where nobody knows it."""
        zone = self.texts.zone or self.places.common_zone()
        if not zone:
            raise Invalid("zone", "timetable.which_zone")
        return zone_named(zone).key

    def read_tab(self, tab: Tab) -> None:
        if is_calendar(tab.text):
            self._read_calendar(tab)
        else:
            self._read_sheet(tab)

    def _read_sheet(self, tab: Tab) -> None:
        sheet = parse_sheet(tab.text)
        self.complaints += [ComplaintOfTab(tab.name, wrong) for wrong in sheet.complaints]
        self.unknown += sheet.unknown
        for row in sheet.rows:
            try:
                self._add(self._series_of_row(row, tab.name))
            except Invalid as error:
                column = {"length": "end"}.get(error.code, error.code)
                complaint = Complaint(row.line, column, error.message)
                self.complaints.append(ComplaintOfTab(tab.name, complaint))

    def _series_of_row(self, row: Row, tab: str) -> SeriesSpec:
        room, zone = self._place(row.room, row.meeting)
        before = self.known.get(row_key(row, tab))
        today = self.now.astimezone(zone_named(zone)).date()
        term = Term(self.texts.first or today, self.texts.last, self.texts.first is None)
        if before is not None and term.has_open_start:
            term = replace(term, first=before.recurrence.starts_local.date())
        return replace(series_of_row(row, tab, zone, term, self.now), room=room)

    def _read_calendar(self, tab: Tab) -> None:
        calendar = parse_calendar(tab.text, tab.name, self.zone, self.now)
        self.complaints += [ComplaintOfTab(tab.name, wrong) for wrong in calendar.complaints]
        for event in calendar.events:
            if event.is_off:
                continue
            try:
                self._add(self._assign_room(event.series))
            except Invalid as error:
                complaint = EventComplaint(event.series.name, error.code, error.message)
                self.complaints.append(ComplaintOfTab(tab.name, complaint))

    def _assign_room(self, series: SeriesSpec) -> SeriesSpec:
        if series.room not in self.places.zones and series.meeting is not None:
            # People write all sorts of places beside a link.
            series = replace(series, room=None, mode="names")
        return replace(series, room=self._place(series.room, series.meeting)[0])

    def _place(self, room: str | None, meeting: str | None) -> tuple[str, str]:
        """Return the room and the zone of a lecture; the room may have to be made."""
        if room is not None:
            return room, self.places.zones[self.places.require_room(room)]
        assert meeting is not None  # a row has one of them
        there = self.places.of_meetings.get(meeting)
        if there is not None:
            return there, self.texts.zone or self.places.zones[there]
        if (name := online_name(meeting)) in self.places.zones:
            raise Invalid("meeting", "timetable.room_has_no_meeting", room=name, number=meeting)
        self.new_rooms[name] = online_room(meeting, self.zone)
        return name, self.zone

    def _add(self, series: SeriesSpec) -> None:
        if series.mode == "asks" and not series.recurrence.length:
            raise Invalid("length", "series.no_length")
        if len(series.name) > LONGEST_NAME:
            raise Invalid("title", "error.too_long", longest=LONGEST_NAME)
        self.series[series.key] = series


def _read_days_off(
    tab: Tab | None, places: Places
) -> tuple[tuple[DayOff, ...] | None, list[ComplaintOfTab]]:
    if tab is None:
        return None, []
    try:
        sheet = parse_days_off(tab.text)
    except Invalid as error:
        if error.message.key == "timetable.sheet.empty":  # none any more
            return (), []
        raise Invalid(error.code, _of_tab(tab.name, error.message)) from error
    found, complaints = [], [*sheet.complaints]
    for line, day in zip(sheet.lines, sheet.days_off, strict=True):
        try:
            if day.room is not None:
                places.require_room(day.room)
            found.append(day)
        except Invalid as error:
            complaints.append(Complaint(line, "room", error.message))
    return tuple(dict.fromkeys(found)), [ComplaintOfTab(tab.name, wrong) for wrong in complaints]

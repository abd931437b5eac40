"""A timetable as iCalendar (RFC 5545): its events become series. Pure."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from merger.errors import Invalid
from merger.i18n import Message
from merger.mail_address import normal_form
from merger.names import clean_name
from merger.timeline.clock import Span
from merger.timeline.zones import first_instant, zone_named
from merger.timetable.cells import LONGEST_TEXT, of_field
from merger.timetable.ics_text import Component, parse_calendars
from merger.timetable.ics_times import (
    read_day,
    read_instant,
    read_length,
    read_local,
    read_several,
)
from merger.timetable.ics_zones import Zones
from merger.timetable.recurrence import (
    LONGEST,
    MOST_EXDATES,
    Override,
    Recurrence,
    check_recurrence,
    goes_on,
)
from merger.timetable.rules import parse_rule
from merger.timetable.spec import SeriesSpec

MOST_EVENTS = 5_000
_DAY = timedelta(days=1)
# A line in a description, as in those of calendars of rooms.
_COURSE = re.compile(r"^[ \t]*(?:course|поток)[ \t]*:[ \t]*(\S.*?)\s*$", re.I | re.M)
_MEETING = re.compile(r"https://(?:[\w-]+\.)*zoom\.(?:us|com)/(?:j|w)/([0-9]{6,11})(?![0-9])", re.I)
_PLACES_OF_LINKS = ("X-GOOGLE-CONFERENCE", "CONFERENCE", "LOCATION", "URL", "DESCRIPTION")


@dataclass(frozen=True)
class EventComplaint:
    """Why an event was not taken. event: its name, or what else names it."""

    event: str
    field: str
    message: Message

    @property
    def sentence(self) -> Message:
        """Return the complaint with its event and field."""
        return Message("timetable.event", event=self.event, why=of_field(self.field, self.message))


@dataclass(frozen=True)
class Event:
    """An event with all that was changed about it.

    uid: names it in all versions. sequence, stamped_at: which version is newer, in this order.
    organiser: an email address, or empty. is_off: the whole event was cancelled.
    """

    uid: str
    sequence: int
    stamped_at: datetime | None
    organiser: str
    location: str
    is_off: bool
    series: SeriesSpec


@dataclass(frozen=True)
class Calendar:
    """What a text holds. method: such as PUBLISH or CANCEL; empty where it has none."""

    events: tuple[Event, ...]
    complaints: tuple[EventComplaint, ...]
    method: str = ""


def parse_calendar(text: str, source: str, zone: str, now: datetime) -> Calendar:
    """Return the events of a calendar, and why others are not taken.

    What was over a day before is left out without a word. An event that takes place at a time in
    UTC, or without a zone, goes by the clock of a zone of the calendar or the one given.

    Args:
        source: the file or URL: part of the keys of its series.
        zone: of times that have none.
        now: which events must not be far from.

    Raises:
        Invalid: the text as a whole is of no use: it is empty, too large, or no calendar.
    """
    calendars = parse_calendars(text)
    components = [(c, event) for c in calendars for event in c.named("VEVENT")]
    if not components:
        raise Invalid("timetable", "timetable.ics.empty")
    if len(components) > MOST_EVENTS:
        raise Invalid("timetable", "timetable.ics.too_many_events", most=MOST_EVENTS)
    events: list[Event] = []
    complaints: list[EventComplaint] = []
    for calendar in calendars:
        zones = Zones(_zone_of(calendar, zone), calendar.named("VTIMEZONE"))
        is_off = calendar.text("METHOD").upper() == "CANCEL"
        for versions in _by_uid(calendar.named("VEVENT")).values():
            for parts in _wholes(versions):
                try:
                    event = _event(parts, zones, source, now, is_off)
                except Invalid as error:
                    complaints.append(EventComplaint(_name(parts[0]), error.code, error.message))
                else:
                    events += [event] if event else []
    return Calendar(tuple(events), tuple(complaints), calendars[0].text("METHOD").upper())


def _zone_of(calendar: Component, default: str) -> str:
    try:
        return zone_named(calendar.text("X-WR-TIMEZONE")).key
    except Invalid:
        return default


def _by_uid(components: Iterable[Component]) -> dict[str, list[Component]]:
    """Return components by UID; those without one each by itself."""
    found: dict[str, list[Component]] = {}
    for n, component in enumerate(components):
        found.setdefault(component.text("UID") or f"\0{n}", []).append(component)
    return found


def _wholes(versions: list[Component]) -> Iterator[list[Component]]:
    """Yield an event with what was changed about single occurrences, the newest version of each.

    What was changed about an event that is not there is an event of its own.
    """
    newest: dict[str, Component] = {}
    for component in sorted(versions, key=_version):
        newest[component.text("RECURRENCE-ID")] = component
    master = newest.pop("", None)
    if master is not None:
        yield [master, *newest.values()]
    else:
        yield from ([component] for component in newest.values())


def _version(component: Component) -> tuple[int, str]:
    return _sequence(component), component.text("DTSTAMP")


def _sequence(component: Component) -> int:
    text = component.text("SEQUENCE")
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0


def _name(component: Component) -> str:
    text = component.text("SUMMARY") or component.text("UID") or component.text("DTSTART")
    return clean_name(text)[:LONGEST_TEXT] or "?"


# --- an event -------------------------------------------------------------------------------------


def _event(
    parts: list[Component], zones: Zones, source: str, now: datetime, is_off: bool
) -> Event | None:
    """Return an event; None where it is over. parts: the event, and what was changed about it."""
    master = parts[0]
    for part in parts:
        if part.broken is not None:
            raise Invalid(
                "", "timetable.ics.broken_line", line=clean_name(part.broken)[:LONGEST_TEXT]
            )
    uid = master.text("UID")
    if not uid:
        raise Invalid("uid", "timetable.ics.no_uid")
    recurrence = _recurrence(master, zones)
    if len(parts) > MOST_EXDATES:
        raise Invalid("rdates", "timetable.too_many_dates", most=MOST_EXDATES)
    ahead = now - _DAY
    changed = (_override(part, master, recurrence, zones) for part in parts[1:])
    overrides = tuple(sorted(changed, key=lambda override: override.original_at))
    is_over = all(override.span is None or override.span.start < ahead for override in overrides)
    if is_over and _is_over(recurrence, ahead):
        return None
    check_recurrence(recurrence, now)
    if is_over and not goes_on(recurrence, ahead):
        return None
    course, title = _course_and_title(master)
    room, meeting = _place(master)
    return Event(
        uid=uid,
        sequence=_sequence(master),
        stamped_at=_stamp(master),
        organiser=_organiser(master),
        location=clean_name(master.text("LOCATION"))[:LONGEST_TEXT],
        is_off=is_off or master.text("STATUS").upper() == "CANCELLED",
        series=SeriesSpec(
            key=_key(source, uid, master.text("RECURRENCE-ID")),
            course=course,
            title=title,
            recurrence=recurrence,
            room=room,
            meeting=meeting,
            mode="asks" if room else "names",
            overrides=overrides,
        ),
    )


def _key(*names: str) -> str:
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:40]


def _recurrence(event: Component, zones: Zones) -> Recurrence:
    start = event.first("DTSTART")
    if start is None:
        raise Invalid("start", "timetable.ics.no_start")
    local, zone = read_local(start, zones, "start")
    if event.all("EXRULE"):
        raise Invalid("rule", "timetable.ics.no_exrule")
    if len(event.all("RRULE")) > 1:
        raise Invalid("rule", "timetable.ics.two_rules")
    is_changed = event.first("RECURRENCE-ID") is not None  # a single one, whatever else it says
    return Recurrence(
        zone=zone,
        starts_local=local,
        length=_length(event, first_instant(local, ZoneInfo(zone)), zones),
        rule=None if is_changed else event.text("RRULE") or None,
        exdates=tuple(read_several(event.all("EXDATE"), zones, "exdates", zone)),
        rdates=tuple(
            at if isinstance(at, datetime) else datetime.combine(at, local.time())
            for at in read_several(event.all("RDATE"), zones, "rdates", zone)
        ),
    )


def _length(event: Component, start: datetime, zones: Zones) -> timedelta:
    """Return how long an event lasts; zero where it does not say so."""
    if (end := event.first("DTEND")) is not None:
        return read_instant(end, zones, "end") - start
    text = event.text("DURATION")
    return read_length(text) if text else timedelta(0)


def _override(part: Component, master: Component, recurrence: Recurrence, zones: Zones) -> Override:
    original = part.first("RECURRENCE-ID")
    assert original is not None  # what has none is no override
    if "RANGE" in original.params:
        raise Invalid("rule", "timetable.ics.and_future")
    day = read_day(original, zones, "start")
    if day is None:
        at = read_instant(original, zones, "start")
    else:
        local = datetime.combine(day, recurrence.starts_local.time())
        at = first_instant(local, ZoneInfo(recurrence.zone))
    if part.text("STATUS").upper() == "CANCELLED":
        return Override(at, None)
    start = part.first("DTSTART")
    begins = at if start is None else read_instant(start, zones, "start")
    length = recurrence.length
    if part.first("DTEND") or part.first("DURATION"):
        length = _length(part, begins, zones)
    if not timedelta(0) <= length <= LONGEST:
        raise Invalid("length", "timetable.length_range")
    name = _course_and_title(part)
    named = ": ".join(filter(None, name)) if name != _course_and_title(master) else None
    return Override(at, Span(begins, begins + length), named or None)


def _is_over(recurrence: Recurrence, at: datetime) -> bool:
    """Return whether an event is over, as far as that is seen without expanding its rule."""
    zone = zone_named(recurrence.zone)
    last = max((recurrence.starts_local, *recurrence.rdates))
    if first_instant(last, zone) >= at:
        return False
    if recurrence.rule is None:
        return True
    until = parse_rule(recurrence.rule).until
    if until is None:
        return False
    day = until.date() if isinstance(until, datetime) else until
    return day < at.date() - _DAY


def _course_and_title(event: Component) -> tuple[str, str]:
    """Return the course, of a line in the description or of `course: title`, and the title."""
    summary = clean_name(event.text("SUMMARY"))[:LONGEST_TEXT]
    if found := _COURSE.search(event.text("DESCRIPTION")):
        course = clean_name(found[1])[:LONGEST_TEXT]
        return course, summary.removeprefix(f"{course}: ")
    course, colon, title = summary.partition(": ")
    return (course, title.strip()) if colon else ("", summary)


def _place(event: Component) -> tuple[str | None, str | None]:
    """Return the room and the number of the meeting in which an event takes place."""
    links = (_MEETING.search(found.value) for name in _PLACES_OF_LINKS for found in event.all(name))
    meeting = next((found[1] for found in links if found), None)
    location = unicodedata.normalize("NFC", clean_name(event.text("LOCATION")))[:LONGEST_TEXT]
    room = None if not location or "://" in location else location
    if not (room or meeting):
        raise Invalid("room", "timetable.sheet.no_place")
    return room, meeting


def _stamp(event: Component) -> datetime | None:
    """Return when this version was made; None where nobody can tell."""
    try:
        return datetime.strptime(event.text("DTSTAMP"), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _organiser(event: Component) -> str:
    address = event.text("ORGANIZER")
    return normal_form(address[7:])[:LONGEST_TEXT] if address.lower().startswith("mailto:") else ""

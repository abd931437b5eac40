"""Times and lengths as iCalendar writes them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar.prop import vDuration

from merger.errors import Invalid
from merger.timeline.clock import is_plausible
from merger.timeline.zones import first_instant
from merger.timetable.cells import excerpt
from merger.timetable.ics_text import Property
from merger.timetable.ics_zones import Zones
from merger.timetable.recurrence import MOST_EXDATES

_TIME = re.compile(r"[0-9]{8}T[0-9]{6}Z?")
_DAY = re.compile(r"[0-9]{8}")
_LENGTH = re.compile(r"[+-]?P[0-9WDTHMS]{1,30}")


def read_local(found: Property, zones: Zones, field: str) -> tuple[datetime, str]:
    """Return a time as a naive local one, and its zone. Raises Invalid for a whole day.

    Args:
        field: the code of errors.
    """
    local, zone = _read(found.value, found, zones, field)
    if not isinstance(local, datetime):
        raise Invalid(field, "timetable.ics.whole_day")
    return local, zone


def read_instant(found: Property, zones: Zones, field: str) -> datetime:
    """Return the instant of a time. Raises Invalid for a whole day."""
    local, zone = read_local(found, zones, field)
    return first_instant(local, ZoneInfo(zone))


def read_day(found: Property, zones: Zones, field: str) -> date | None:
    """Return a whole day; None for a time."""
    day, _ = _read(found.value, found, zones, field)
    return None if isinstance(day, datetime) else day


def read_several(
    properties: Sequence[Property], zones: Zones, field: str, zone: str
) -> Iterator[date | datetime]:
    """Yield the days and naive times of lists, by the clock of one zone."""
    values = [(value, found) for found in properties for value in found.value.split(",")]
    if len(values) > MOST_EXDATES:
        raise Invalid(field, "timetable.too_many_dates", most=MOST_EXDATES)
    for value, found in values:
        # Of a period, which has an end or a length behind a slash, the start counts.
        at, own_zone = _read(value.partition("/")[0], found, zones, field)
        if isinstance(at, datetime) and own_zone != zone:
            instant = first_instant(at, ZoneInfo(own_zone))
            at = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        yield at


def read_length(text: str) -> timedelta:
    """Return a length, such as of PT90M."""
    try:
        if not _LENGTH.fullmatch(text):
            raise ValueError(text)
        length: timedelta = vDuration.from_ical(text)  # type: ignore[no-untyped-call]  # as it is
    except (ValueError, OverflowError) as error:
        raise Invalid("length", "timetable.ics.no_length", text=excerpt(text)) from error
    return length


def _read(value: str, found: Property, zones: Zones, field: str) -> tuple[date | datetime, str]:
    text = value.strip()
    try:
        if _DAY.fullmatch(text):
            day = datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007  # a day has no zone
        elif _TIME.fullmatch(text):
            day = datetime.strptime(text.rstrip("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007
        else:
            raise ValueError(text)
        if not is_plausible(day):
            raise ValueError(text)
    except ValueError as error:
        raise Invalid(field, "timetable.ics.no_time", text=excerpt(text)) from error
    if "T" not in text:
        return day.date(), zones.default
    if text.endswith("Z"):
        here = day.replace(tzinfo=UTC).astimezone(ZoneInfo(zones.default))
        return here.replace(tzinfo=None), zones.default
    tzid = found.params.get("TZID")
    return day, zones.name_of(tzid, day) if tzid else zones.default

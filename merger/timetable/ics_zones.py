"""Which time zone the name in a calendar means. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from merger.errors import Invalid
from merger.names import clean_name
from merger.timeline.zones import zone_named
from merger.timetable.ics_text import Component
from merger.timetable.rules import days_of_rule, parse_rule

_MOST_COMPARED = 20  # zones of a calendar that are known by their offsets alone
_OFFSET = re.compile(r"([+-])([0-9]{2})([0-9]{2})([0-9]{2})?")
_LOCAL = re.compile(r"[0-9]{8}T[0-9]{6}")
_WEEK, _YEAR = timedelta(days=7), timedelta(days=366)
_LONGEST_SHOWN = 60


class Zones:
    """The time zones of a calendar.

    default: of times without a zone, and the likeliest of several that agree.
    """

    def __init__(self, default: str, components: Iterable[Component]) -> None:
        self.default = default
        self._components = {c.text("TZID"): c for c in components}
        self._known: dict[str, str | None] = {}
        self._compared = 0

    def name_of(self, tzid: str, at: datetime) -> str:
        """Return the IANA name of a zone.

        Args:
            tzid: as the calendar names it: an IANA name, one of Windows, or its own, with offsets.
            at: a local time; it and those of the year after it have to agree.

        Raises:
            Invalid: nobody knows which zone is meant.
        """
        if tzid not in self._known:
            self._known[tzid] = self._find(tzid, at)
        found = self._known[tzid]
        if found is None:
            raise Invalid("zone", "timetable.ics.no_zone", zone=clean_name(tzid)[:_LONGEST_SHOWN])
        return found

    def _find(self, tzid: str, at: datetime) -> str | None:
        component = self._components.get(tzid)
        names = [tzid, WINDOWS_TO_OLSON.get(tzid, "")]
        # /example.org/20260101/Europe/Berlin, and what some programs say beside their own names.
        names += ["/".join(tzid.split("/")[-n:]) for n in (3, 2) if tzid.startswith("/")]
        names += [component.text("X-LIC-LOCATION")] if component else []
        for name in filter(None, names):
            try:
                return zone_named(name).key
            except Invalid:
                continue
        if component is None or self._compared == _MOST_COMPARED:
            return None
        self._compared += 1
        return self._by_offsets(component, at)

    def _by_offsets(self, component: Component, at: datetime) -> str | None:
        """Return the first zone whose clock agrees with that of a component for a year."""
        onsets = sorted(_onsets(component, at - _YEAR, at + _YEAR))
        times = [at + n * _WEEK for n in range(53)]
        offsets = [_offset_at(onsets, local) for local in times]
        for name in (self.default, *sorted(set(WINDOWS_TO_OLSON.values()))):
            try:
                zone = zone_named(name)
            except Invalid:
                continue
            if all(
                offset == _offset_of(local, zone)
                for local, offset in zip(times, offsets, strict=True)
            ):
                return name
        return None


def _offset_of(local: datetime, zone: ZoneInfo) -> timedelta | None:
    return local.replace(tzinfo=zone).utcoffset()


def _offset_at(onsets: list[tuple[datetime, timedelta]], local: datetime) -> timedelta | None:
    return next((offset for onset, offset in reversed(onsets) if onset <= local), None)


def _onsets(
    component: Component, first: datetime, last: datetime
) -> Iterable[tuple[datetime, timedelta]]:
    """Yield from which local times which offsets hold; nothing for what cannot be read."""
    for part in component.children:
        start, offset = part.text("DTSTART"), _OFFSET.fullmatch(part.text("TZOFFSETTO"))
        if offset is None or not _LOCAL.fullmatch(start):
            continue
        hours, minutes, seconds = (int(group or 0) for group in offset.groups()[1:])
        length = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        length = -length if offset[1] == "-" else length
        try:
            begins = datetime.strptime(start, "%Y%m%dT%H%M%S")  # noqa: DTZ007  # it is local
            days = _days(part, begins.date(), first.date(), last.date())
        except (Invalid, ValueError):
            continue
        yield begins, length
        for day in days:
            yield datetime.combine(day, time(begins.hour, begins.minute, begins.second)), length


def _days(part: Component, start: date, first: date, last: date) -> list[date]:
    if not (text := part.text("RRULE")):
        return []
    rule = parse_rule(text)
    if rule.until is not None:
        until = rule.until.date() if isinstance(rule.until, datetime) else rule.until
        last = min(last, until)
    # Counted rules would be asked from their start on: no zone has one.
    return list(days_of_rule(rule, start, first, last)) if rule.count is None else []

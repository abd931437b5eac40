"""The text of iCalendar (RFC 5545) as components with properties. Pure.

Lines are read by `icalendar`. Its values are not used: it would expand the rules of time zones that
strangers wrote, however long that takes, and passes over properties that it cannot read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from icalendar.parser import Contentlines

from merger.errors import Invalid

LARGEST = 1_000_000  # bytes
_DEEPEST = 10
_LONGEST_LINE = 75_000  # characters
_NAME = re.compile(r"[;:]")
# Without these, an event would be another one. Other lines that cannot be read are passed over.
_MEANINGFUL = {
    "DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "EXRULE", "RECURRENCE-ID", "STATUS",
    "UID", "LOCATION",
}  # fmt: skip


@dataclass(frozen=True)
class Property:
    """A property: its parameters, by names in capitals, and its value without escapes."""

    params: Mapping[str, str]
    value: str


@dataclass
class Component:
    """What lies between BEGIN and END.

    broken: the first of its lines that matters and cannot be read.
    """

    name: str
    properties: dict[str, list[Property]] = field(default_factory=dict)
    children: list[Component] = field(default_factory=list)
    broken: str | None = None

    def all(self, name: str) -> list[Property]:
        """Return all properties of a name."""
        return self.properties.get(name, [])

    def first(self, name: str) -> Property | None:
        """Return the first property of a name."""
        return next(iter(self.all(name)), None)

    def text(self, name: str) -> str:
        """Return the value of the first property of a name; empty where there is none."""
        found = self.first(name)
        return found.value.strip() if found else ""

    def named(self, name: str) -> Iterator[Component]:
        """Yield the components of a name inside this one."""
        return (child for child in self.children if child.name == name)


def parse_calendars(text: str) -> list[Component]:
    """Return the calendars of a text.

    Raises:
        Invalid: it is too large, holds no calendar, or breaks off.
    """
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST:
        raise Invalid("timetable", "timetable.sheet.too_large", largest=LARGEST // 1_000_000)
    root = Component("")
    stack = [root]
    plain = text.removeprefix("\ufeff")
    for line in Contentlines.from_ical(plain):  # type: ignore[no-untyped-call]  # as it is
        if not line.strip():
            continue
        try:
            if len(line) > _LONGEST_LINE:
                raise ValueError(len(line))
            name, params, value = line.parts()
        except ValueError:
            if stack[-1] is root:
                break
            if _NAME.split(line, maxsplit=1)[0].upper() in _MEANINGFUL:
                stack[-1].broken = stack[-1].broken or str(line)
            continue
        word = value.strip().upper()
        if name.upper() == "BEGIN":
            if len(stack) > _DEEPEST or (stack[-1] is root and word != "VCALENDAR"):
                break
            stack.append(Component(word))
            stack[-2].children.append(stack[-1])
        elif stack[-1] is root:
            break
        elif name.upper() == "END":
            if stack.pop().name != word:
                raise Invalid("timetable", "timetable.ics.cut_off")
        else:
            found = Property({key.upper(): str(params[key]) for key in params}, value)
            stack[-1].properties.setdefault(name.upper(), []).append(found)
    else:
        if len(stack) > 1:
            raise Invalid("timetable", "timetable.ics.cut_off")
        if root.children:
            return root.children
    raise Invalid("timetable", "timetable.ics.no_calendar")

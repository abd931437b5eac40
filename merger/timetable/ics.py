"""A timetable as iCalendar (RFC 5545): its events become series. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from merger.i18n import Message
from merger.timetable.spec import SeriesSpec

LARGEST = 1_000_000  # bytes
MOST_EVENTS = 5_000


@dataclass(frozen=True)
class EventComplaint:
    """Why an event was not taken. event: its name, or what else names it."""

    event: str
    field: str
    message: Message


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

    Args:
        source: the file or URL: part of the keys of its series.
        zone: of times in UTC, or without one, that repeat.
        now: which events must not be far from.

    Raises:
        Invalid: the text as a whole is of no use: it is empty, too large, or no calendar.
    """
    raise NotImplementedError

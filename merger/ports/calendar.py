"""What the service needs of the calendars of rooms: their events, and word of changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from merger.timeline.clock import Span


@dataclass(frozen=True)
class CalendarEvent:
    """An event of a room's calendar, as far as a record is concerned.

    event: names it in its calendar, each of a series by itself. span: None where nothing can be
    recorded, such as of a whole day. owner: a mail address, or empty. is_off: cancelled, deleted,
    or declined by the room.
    """

    calendar: str
    event: str
    name: str
    span: Span | None
    owner: str
    course_code: str | None
    is_off: bool


@dataclass(frozen=True)
class Changes:
    """What changed in a calendar. token: to ask for the next changes with; whole: this is all that
    there is in the window, so that what is not here is no more.
    """

    events: tuple[CalendarEvent, ...]
    token: str | None
    whole: bool


@dataclass(frozen=True)
class Channel:
    """By which a calendar tells that it changed. token: by which we know that it is it."""

    id: str
    token: str
    resource: str
    until: datetime


class CalendarReader(Protocol):
    """Who knows the calendars of rooms."""

    def changes(self, calendar: str, token: str | None, window: Span, zone: ZoneInfo) -> Changes:
        """Return what changed since a token, or all there is in a window.

        Raises Refused for a calendar that is not there, Temporary, Broken.
        """

    def watch(self, calendar: str, channel: str, token: str, until: datetime) -> Channel | None:
        """Have a calendar tell of changes until an instant; None where nobody can be told."""

    def unwatch(self, channel: Channel) -> None:
        """End a channel, if it is there."""

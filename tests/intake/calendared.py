"""A room with a calendar that says what it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from merger.db.engine import reading
from merger.intake import calendar_sync
from merger.ports.calendar import CalendarEvent, Changes, Channel
from merger.service import Service
from merger.timeline.clock import Span
from models import Record
from tests.support.site import Site

CALENDAR = "room@group.calendar.google.com"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass
class Reader:
    """A calendar that says what it is told to, and remembers what it was asked."""

    whole: Sequence[CalendarEvent] = ()
    since: Sequence[CalendarEvent] = ()
    asked: list[str | None] = field(default_factory=list)
    watched: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    fails: Exception | None = None
    tells: bool = False
    old: set[str] = field(default_factory=set)  # tokens that are no longer good

    def changes(self, calendar: str, token: str | None, window: Span, zone: ZoneInfo) -> Changes:
        self.asked.append(token)
        if self.fails:
            raise self.fails
        whole = token is None or token in self.old
        found = tuple(self.whole if whole else self.since)
        return Changes(found, f"token {len(self.asked)}", whole)

    def watch(self, calendar: str, channel: str, token: str, until: datetime) -> Channel | None:
        if not self.tells:
            return None
        self.watched.append(channel)
        return Channel(channel, token, f"resource {len(self.watched)}", until)

    def unwatch(self, channel: Channel) -> None:
        self.ended.append(channel.id)


@dataclass
class Calendared:
    """A service with a room that has a calendar."""

    site: Site
    reader: Reader = field(default_factory=Reader)

    def calendar_event(self, **changes: object) -> CalendarEvent:
        start = self.site.clock + DAY
        one = CalendarEvent(
            CALENDAR, "event1", "Algebra", Span(start, start + HOUR), "lecturer@example.edu",
            "MATH-101", False,
        )  # fmt: skip
        return replace(one, **changes)  # type: ignore[arg-type]

    @property
    def service(self) -> Service:
        return replace(self.site.service, calendars=self.reader)

    def read(self, after: timedelta = timedelta()) -> None:
        self.site.clock += after
        calendar_sync.read_calendars(self.service, self.site.clock)

    def whole(self, *found: CalendarEvent) -> None:
        """A day later, all is listed."""
        self.reader.whole = found
        self.read(DAY)

    def since(self, *found: CalendarEvent) -> None:
        """Some minutes later, changes are told."""
        self.reader.since = found
        self.read(calendar_sync.POLLED)

    def rows(self) -> list[Record]:
        with reading(self.site.engine) as session:
            wanted = select(Record).options(joinedload(Record.event_link)).order_by(Record.id)
            rows = list(session.scalars(wanted))
            session.expunge_all()
            return rows

    def users(self, record: int = 1) -> list[str]:
        with reading(self.site.engine) as session:
            return [entry.user.email for entry in session.get_one(Record, record).users]


def event_of(row: Record) -> str | None:
    """Return the event that a record is of."""
    return None if row.event_link is None else row.event_link.event_id


def calendared_room(site: Site) -> Calendared:
    site.add_room(calendar_id=CALENDAR)
    return Calendared(site)

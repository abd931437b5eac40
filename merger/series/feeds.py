"""Timetables as calendars that others subscribe to: of a room, or of a person.

The address of a feed holds its number, which counts how often it was renewed: an address with
another number leads nowhere any more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from icalendar import Calendar, Event, vUri
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from merger import i18n
from merger.accounts.users import may_sign_in
from merger.db.engine import reading, writing
from merger.series.unroll import WINDOW
from merger.timeline.clock import Span
from models import Fact, Room, User

Kind = Literal["person", "room"]
_YEAR_2026 = 1_767_225_600  # whole seconds of a clock: no lecture was changed before
BEFORE = timedelta(days=60)  # so far back a feed goes


def number_of(engine: Engine, kind: Kind, of: int) -> int | None:
    """Return the number of a feed; None where there is none, or it was revoked."""
    with reading(engine) as session:
        number = _number(session, kind, of)
    return number if number > 0 else None


def renew(engine: Engine, kind: Kind, of: int) -> int:
    """Give a feed another number, and return it: addresses with earlier ones lead nowhere."""

    def write(session: Session) -> int:
        number = abs(_number(session, kind, of)) + 1
        session.merge(Fact(name=_name(kind, of), value=str(number)))
        return number

    return writing(engine, write)


def revoke(engine: Engine, kind: Kind, of: int) -> None:
    """Have no address of a feed lead anywhere any more."""

    def write(session: Session) -> None:
        number = -abs(_number(session, kind, of))
        session.merge(Fact(name=_name(kind, of), value=str(number)))

    writing(engine, write)


def _number(session: Session, kind: Kind, of: int) -> int:
    fact = session.get(Fact, _name(kind, of))
    return int(fact.value) if fact is not None else 0


def _name(kind: Kind, of: int) -> str:
    return f"feed-{kind}-{of}"


def name_of(engine: Engine, kind: Kind, of: int, domains: Collection[str]) -> str | None:
    """Return of whom, or of which room, a feed is; None if they are gone, or may not sign in."""
    with reading(engine) as session:
        if kind == "room":
            room = session.get(Room, of)
            return room.name if room is not None else None
        user = session.get(User, of)
        return user.email if user is not None and may_sign_in(user, domains) else None


def span_of(now: datetime) -> Span:
    """Return which lectures a feed has: those that begin then. Pure."""
    return Span(now - BEFORE, now + WINDOW[1])


def calendar_of(
    name: str, lectures: Iterable[Mapping[str, Any]], language: str, address: str
) -> bytes:
    """Return lectures as a calendar (iCalendar). Pure.

    Args:
        name: of the calendar.
        lectures: their documents.
        language: of its sentences.
        address: of the service, without a slash at its end.
    """
    calendar = Calendar()
    calendar.add("prodid", "-//lecture merge//timetable//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("name", name)
    calendar.add("x-wr-calname", name)
    calendar.add("refresh-interval", timedelta(hours=1), parameters={"VALUE": "DURATION"})
    for lecture in lectures:
        calendar.add_component(_event(lecture, language, address))
    return bytes(calendar.to_ical())


def _event(lecture: Mapping[str, Any], language: str, address: str) -> Event:
    event = Event()
    host = address.partition("//")[2]
    # Its id stays, whatever becomes of it.
    event.add("uid", f"lecture-{lecture['id']}@{host}")
    for name, key in (("dtstamp", "stamp"), ("dtstart", "start"), ("dtend", "end")):
        event.add(name, datetime.fromisoformat(lecture[key]))
    # It grows with each change, so that calendars take the latest.
    event.add("sequence", int(datetime.fromisoformat(lecture["stamp"]).timestamp()) - _YEAR_2026)
    event.add("summary", lecture["name"])
    event.add("location", lecture["room"])
    event.add("url", vUri(f"{address}/timetable/{lecture['id']}"))
    event.add("status", "CANCELLED" if lecture["is_off"] else "CONFIRMED")
    if lecture["reason"] is not None:
        event.add("description", i18n.render(language, lecture["reason"]))
    return event

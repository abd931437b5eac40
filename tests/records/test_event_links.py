"""Which record is an event's: one at a time, also where people asked for the same video."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from merger.db.engine import writing
from merger.ports.calendar import CalendarEvent
from merger.records import requests
from merger.timeline.clock import Span
from models import Record
from tests.intake.calendared import DAY, HOUR, Calendared, calendared_room, event_of
from tests.support.site import Site


@pytest.fixture
def room(site: Site) -> Calendared:
    return calendared_room(site)


@pytest.fixture
def one(room: Calendared) -> CalendarEvent:
    begin = room.site.clock + 3 * DAY
    return room.calendar_event(span=Span(begin, begin + HOUR))


def moved(one: CalendarEvent, hours: int) -> CalendarEvent:
    assert one.span is not None
    return replace(one, span=Span(one.span.start + hours * HOUR, one.span.end + hours * HOUR))


def ask(room: Calendared, one: CalendarEvent, course: str | None = None) -> int:
    """Somebody asks by hand for the same video."""
    assert one.span is not None
    request = requests.Request(
        "504", one.span.start, one.span.end, name="Mine", users=("ivan@example.edu",),
        course_code=course,
    )  # fmt: skip
    return requests.request_record(room.site.engine, request, room.site.clock)[0]


def read(room: Calendared, *events: CalendarEvent) -> None:
    room.reader.whole = events
    room.since(*events)


def of_event(room: Calendared) -> list[tuple[str | None, str | None]]:
    return [(event_of(row), row.course_code) for row in room.rows()]


def live(room: Calendared) -> list[tuple[datetime, str | None]]:
    """Return when the records are that are to be made, and of which event they are."""
    return [(row.start_at, event_of(row)) for row in room.rows() if row.status == "queued"]


def notes(room: Calendared, record: int = 1) -> list[tuple[str, str]]:
    """Return what the history says of events, as keys, and of which."""
    found = [e for e in room.site.details(record)["events"] if e["kind"] == "note"]
    return [(e["key"], e["params"]["name"]) for e in found]


@pytest.mark.parametrize(("course", "kept"), [(None, "MATH-101"), ("MINE", "MINE")])
def test_what_somebody_asked_for_before_is_attached_to_the_event(
    room: Calendared, one: CalendarEvent, course: str | None, kept: str
) -> None:
    ask(room, one, course)
    for _ in range(2):
        read(room, one)
    assert of_event(room) == [("event1", kept)]
    assert notes(room) == [("history.event_too", "Algebra")]
    [row] = room.rows()
    assert row.event_name == "Mine"
    room.whole()  # the event is gone
    read(room, replace(one, is_off=True))
    assert [row.status for row in room.rows()] == ["queued"]


@pytest.mark.parametrize("why", ["of another event", "delivered", "being made"])
def test_what_cannot_be_attached_is_said(room: Calendared, one: CalendarEvent, why: str) -> None:
    record = 1
    if why == "of another event":
        read(room, one)
        one = replace(one, event="event2", name="Topology")
    else:
        one = moved(one, -74)
        record = ask(room, one)
        if why == "delivered":
            writing(
                room.site.engine, lambda s: setattr(s.get_one(Record, 1), "delivered_version", 1)
            )
        else:
            assert room.site.claim() is not None
    before = of_event(room)
    for _ in range(2):
        read(room, one)
    assert of_event(room) == before
    assert notes(room, record) == [("history.event_shares", one.name)]


@pytest.mark.parametrize("asked", ["before", "as well"])
def test_an_event_that_moves_away_has_one_record(
    room: Calendared, one: CalendarEvent, asked: str
) -> None:
    if asked == "before":
        ask(room, one)
        read(room, one)
    else:
        read(room, one)
        ask(room, one)
    later = moved(one, 2)
    for _ in range(2):
        read(room, later)
    assert one.span is not None and later.span is not None
    assert live(room) == [(one.span.start, None), (later.span.start, "event1")]
    assert of_event(room)[0] == (None, None)
    assert notes(room)[-1] == ("history.event_elsewhere", "Algebra")
    read(room, one)  # and comes back
    assert live(room) == [(one.span.start, "event1")]
    read(room, moved(one, 4))
    assert [event for _, event in live(room)] == [None, "event1"]


def test_the_course_of_a_person_stays(room: Calendared, one: CalendarEvent) -> None:
    ask(room, one, "MINE")
    read(room, one)
    read(room, moved(one, 2))
    assert of_event(room) == [(None, "MINE"), ("event1", "MATH-101")]


def test_what_is_delivered_stays_the_events(room: Calendared, one: CalendarEvent) -> None:
    read(room, one)
    ask(room, one)
    writing(room.site.engine, lambda s: setattr(s.get_one(Record, 1), "delivered_version", 1))
    read(room, moved(one, 2))  # what was begun is the event's, wherever it goes
    assert of_event(room) == [("event1", "MATH-101")]

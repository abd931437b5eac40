"""Events of a room's calendar become records, and what becomes of them when events change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from merger.db.engine import writing
from merger.intake import calendar_sync
from merger.ports.calendar import CalendarEvent
from merger.records import actions, requests
from merger.timeline.clock import Span
from models import Record, Room
from tests.intake.calendared import (
    CALENDAR,
    DAY,
    HOUR,
    MINUTE,
    Calendared,
    calendared_room,
    event_of,
)
from tests.support.line import reason
from tests.support.site import Site


@pytest.fixture
def room(site: Site) -> Calendared:
    return calendared_room(site)


def test_an_event_becomes_a_record(room: Calendared) -> None:
    one = room.calendar_event()
    room.reader.whole = [one]
    room.read()
    [row] = room.rows()
    assert one.span is not None
    assert (row.start_at, row.end_at) == (one.span.start, one.span.end)
    assert (row.event_name, row.course_code) == ("Algebra", "MATH-101")
    assert row.event_link is not None and row.event_link.calendar_id == CALENDAR
    assert event_of(row) == "event1"
    assert row.run_after == one.span.end and room.users() == ["lecturer@example.edu"]


def test_read_again_it_is_the_same_record(room: Calendared) -> None:
    room.reader.whole = [room.calendar_event()]
    room.read()
    for _ in range(3):
        room.reader.since = room.reader.whole
        room.read(calendar_sync.POLLED)
    assert len(room.rows()) == 1
    assert room.site.events() == ["asked"]
    assert room.reader.asked == [None, "token 1", "token 2", "token 3"]


def test_a_moved_and_renamed_event(room: Calendared) -> None:
    one = room.calendar_event()
    room.reader.whole = [one]
    room.read()
    assert one.span is not None
    later = Span(one.span.start + HOUR, one.span.end + 2 * HOUR)
    room.since(replace(one, span=later, name="Topology", course_code=None))
    [row] = room.rows()
    assert (row.start_at, row.end_at, row.run_after) == (later.start, later.end, later.end)
    assert (row.event_name, row.course_code) == ("Topology", None)
    assert room.site.events() == ["asked", "event"]


def test_another_organiser_becomes_the_owner(room: Calendared) -> None:
    one = room.calendar_event()
    room.reader.whole = [one]
    room.read()
    room.since(replace(one, owner="other@example.edu"))
    assert room.users() == ["other@example.edu", "lecturer@example.edu"]


@pytest.mark.parametrize("how", ["cancelled", "gone"])
def test_an_event_that_is_off(room: Calendared, how: str) -> None:
    one = room.calendar_event(
        span=Span(room.site.clock + 3 * DAY, room.site.clock + 3 * DAY + HOUR)
    )
    room.reader.whole = [one]
    room.read()
    if how == "cancelled":
        room.since(CalendarEvent(CALENDAR, "event1", "lecture", None, "", None, is_off=True))
    else:
        room.whole()
    assert room.rows()[0].status == "cancelled"
    room.since(one)
    assert room.rows()[0].status == "queued" and len(room.rows()) == 1


def test_what_a_person_has_cancelled_stays_so(room: Calendared) -> None:
    one = room.calendar_event()
    room.reader.whole = [one]
    room.read()
    actions.cancel(room.site.engine, 1, room.site.clock)
    room.since(replace(one, name="Topology"))
    assert [row.status for row in room.rows()] == ["cancelled"]


@pytest.mark.parametrize("how", ["off", "gone"])
@pytest.mark.parametrize("by", ["retry", "remerge"])
def test_what_somebody_wants_though_the_event_is_off(room: Calendared, how: str, by: str) -> None:
    one = room.calendar_event(
        span=Span(room.site.clock + 3 * DAY, room.site.clock + 3 * DAY + HOUR)
    )
    room.reader.whole = [one]
    room.read()
    room.whole() if how == "gone" else room.since(replace(one, is_off=True))
    assert room.rows()[0].status == "cancelled"
    getattr(actions, by)(room.site.engine, 1, room.site.clock)
    room.whole()
    room.since(replace(one, is_off=True))
    assert [row.status for row in room.rows()] == ["queued"]
    room.since(one)
    assert [row.status for row in room.rows()] == ["queued"]  # one video is enough


def test_a_span_that_somebody_has_chosen_stays(room: Calendared) -> None:
    one = room.calendar_event(
        span=Span(room.site.clock + 3 * DAY, room.site.clock + 3 * DAY + HOUR)
    )
    room.reader.whole = [one]
    room.read()
    actions.cancel(room.site.engine, 1, room.site.clock)
    assert one.span is not None
    begins = one.span.start + 5 * MINUTE
    actions.remerge(room.site.engine, 1, room.site.clock, start=begins)
    room.whole(one)
    room.since(replace(one, name="Topology"))
    [row] = room.rows()  # the event has not moved: it is the same lecture
    assert (row.start_at, row.status) == (begins, "queued")
    later = Span(one.span.start + 15 * MINUTE, one.span.end + 15 * MINUTE)
    room.since(replace(one, span=later))
    assert [row.start_at for row in room.rows()] == [begins, later.start]


def test_what_was_begun_is_not_called_back(room: Calendared) -> None:
    one = room.calendar_event(span=Span(room.site.clock - 2 * HOUR, room.site.clock - HOUR))
    room.reader.whole = [one]
    room.read()
    assert room.site.claim() is not None
    room.since(replace(one, is_off=True), replace(one, name="Topology"))
    [row] = room.rows()
    assert row.status == "running" and row.event_name == "Algebra"


def test_a_request_by_hand_is_never_touched(room: Calendared) -> None:
    one = room.calendar_event()
    assert one.span is not None
    request = requests.Request("504", one.span.start, one.span.end, name="Mine", users=("a@b.edu",))
    requests.request_record(room.site.engine, request, room.site.clock)
    room.reader.whole = [one]
    room.read()
    [row] = room.rows()
    assert row.event_name == "Mine"
    room.whole()
    room.since(replace(one, is_off=True))
    [row] = room.rows()
    assert row.status == "queued" and row.event_name == "Mine"


@pytest.mark.parametrize("why", ["all day", "long ago", "two days", "off"])
def test_what_makes_no_record(room: Calendared, why: str) -> None:
    start = room.site.clock
    changed = {
        "all day": {"span": None},
        "long ago": {"span": Span(start - 3 * DAY, start - 3 * DAY + HOUR)},
        "two days": {"span": Span(start, start + 2 * DAY)},
        "off": {"is_off": True},
    }[why]
    room.reader.whole = [room.calendar_event(**changed), room.calendar_event(event="event2")]
    room.read()
    assert [event_of(row) for row in room.rows()] == ["event2"]


def test_each_of_a_series_is_a_record_of_its_own(room: Calendared) -> None:
    start = room.site.clock + DAY
    series = [
        room.calendar_event(event=f"e_{n}", span=Span(start + n * DAY, start + n * DAY + HOUR))
        for n in range(3)
    ]
    room.reader.whole = series
    room.read()
    room.since(replace(series[1], is_off=True))
    assert [row.status for row in room.rows()] == ["queued", "cancelled", "queued"]


def test_an_owner_who_is_no_address(room: Calendared) -> None:
    room.reader.whole = [room.calendar_event(owner="no address")]
    room.read()
    assert room.users() == []


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("how", ["in one read", "in two reads", "in a whole read", "declined"])
def test_an_event_that_takes_the_place_of_another(room: Calendared, how: str, order: int) -> None:
    """Such as of a series that was cut in two: at no time is the lecture without a record."""
    at = Span(room.site.clock + 3 * DAY, room.site.clock + 3 * DAY + HOUR)
    old = room.calendar_event(span=at)
    new, off = replace(old, event="event2"), replace(old, is_off=True)
    room.reader.whole = [old]
    room.read()
    if how == "in a whole read":
        room.whole(new)
    elif how == "declined":
        room.whole(*(new, off)[::order])
    else:
        room.reader.whole = [new]
        steps = [(new, off)[::order]] if how == "in one read" else [(new,), (off,)][::order]
        for step in steps:
            room.since(*step)
        while calendar_sync.is_any_due(room.site.engine, room.site.clock):
            room.read()
    live = [row for row in room.rows() if row.status == "queued"]
    assert [(event_of(row), row.start_at) for row in live] == [("event2", at.start)]


@pytest.mark.parametrize("status", ["queued", "delivered"])
def test_what_people_have_removed_does_not_come_back(room: Calendared, status: str) -> None:
    one = room.calendar_event(span=Span(room.site.clock - HOUR, room.site.clock))
    room.reader.whole = [one]
    room.read()
    if status == "delivered":
        writing(room.site.engine, lambda s: setattr(s.get_one(Record, 1), "status", status))
    actions.withdraw(room.site.engine, 1, room.site.clock)
    room.since(replace(one, name="Topology"))
    room.reader.whole = [one, room.calendar_event(event="event2")]
    room.read(DAY)
    assert [event_of(row) for row in room.rows()] == ["event2"]
    assert one.span is not None
    by_hand = requests.Request("504", one.span.start, one.span.end)
    assert requests.request_record(room.site.engine, by_hand, room.site.clock)[1]


def test_a_calendar_that_is_given_to_another_room(room: Calendared) -> None:
    room.reader.whole = [room.calendar_event()]
    room.read()
    room.site.add_room(name="505", zone="Europe/Berlin")
    for number, calendar in ((1, None), (2, CALENDAR)):
        writing(
            room.site.engine,
            lambda s, n=number, c=calendar: setattr(s.get_one(Room, n), "calendar_id", c),
        )
    room.read(MINUTE)
    [row] = room.rows()
    assert (row.room_id, row.zone, row.status) == (2, "Europe/Berlin", "queued")
    assert room.site.events()[-1] == "event"


def test_two_rooms_with_one_calendar_do_not_take_records_from_each_other(room: Calendared) -> None:
    room.site.add_room(name="505", calendar_id=CALENDAR)
    room.reader.whole = [room.calendar_event()]
    for _ in range(3):
        room.read(calendar_sync.POLLED)
    assert [row.room_id for row in room.rows()] == [1]
    assert room.site.events() == ["asked"]


@pytest.mark.parametrize("how", ["all day", "longer than"])
def test_an_event_that_is_no_lecture_any_more(room: Calendared, how: str) -> None:
    one = room.calendar_event()
    assert one.span is not None
    room.reader.whole = [one]
    room.read()
    long = None if how == "all day" else Span(one.span.start, one.span.start + 2 * DAY)
    room.since(replace(one, span=long))
    [row] = room.rows()
    assert row.status == "cancelled" and how in reason(row)
    room.reader.whole = [one]
    room.since(one)
    assert [row.status for row in room.rows()] == ["queued"]


@pytest.mark.parametrize("happens", ["off", "gone", "moved"])
def test_what_somebody_asked_for_as_well_is_theirs(room: Calendared, happens: str) -> None:
    one = room.calendar_event(
        span=Span(room.site.clock + 3 * DAY, room.site.clock + 3 * DAY + HOUR)
    )
    room.reader.whole = [one]
    room.read()
    assert one.span is not None
    request = requests.Request("504", one.span.start, one.span.end, users=("ivan@example.edu",))
    assert requests.request_record(room.site.engine, request, room.site.clock) == (1, False)
    later = Span(one.span.start + HOUR, one.span.end + HOUR)
    if happens == "off":
        room.since(replace(one, is_off=True))
    elif happens == "gone":
        room.whole()
    else:
        room.since(replace(one, span=later))
        room.since(replace(one, span=later))
    rows = room.rows()
    assert (rows[0].status, rows[0].start_at) == ("queued", one.span.start)
    assert room.users() == ["lecturer@example.edu", "ivan@example.edu"]
    # The event goes on with a record of its own, where it is now.
    assert [row.start_at for row in rows[1:]] == [later.start] * (happens == "moved")


def test_what_somebody_asked_for_at_each_time_of_an_event(room: Calendared) -> None:
    one = room.calendar_event(
        span=Span(room.site.clock + 3 * DAY, room.site.clock + 3 * DAY + HOUR)
    )
    room.reader.whole = [one]
    room.read()
    for hours in (0, 1, 2):
        assert one.span is not None
        at = Span(one.span.start + hours * HOUR, one.span.end + hours * HOUR)
        room.since(replace(one, span=at))
        request = requests.Request("504", at.start, at.end, users=("ivan@example.edu",))
        assert not requests.request_record(room.site.engine, request, room.site.clock)[1]
    rows = room.rows()
    assert [row.status for row in rows] == ["queued"] * 3
    assert len({row.start_at for row in rows}) == 3


@pytest.mark.parametrize("by_hand", ["as well", "before"])
def test_an_event_that_moves_to_the_time_of_another_record(room: Calendared, by_hand: str) -> None:
    one = room.calendar_event(
        span=Span(room.site.clock + 3 * DAY, room.site.clock + 3 * DAY + HOUR)
    )
    assert one.span is not None
    later = replace(one, span=Span(one.span.start + HOUR, one.span.end + HOUR))
    request = requests.Request("504", one.span.start, one.span.end, users=("ivan@example.edu",))
    if by_hand == "as well":
        room.reader.whole = [one]
        room.read()
    requests.request_record(room.site.engine, request, room.site.clock)
    room.reader.whole = [later]
    room.since(later) if by_hand == "as well" else room.read()
    assert [row.status for row in room.rows()] == ["queued", "queued"]
    for _ in range(2):
        room.reader.whole = [one]
        room.since(one)
    first, second = room.rows()
    assert (first.status, second.status) == ("queued", "cancelled")
    assert sorted(room.users()) == ["ivan@example.edu", "lecturer@example.edu"]
    room.since(later)
    assert [row.status for row in room.rows()] == ["queued", "queued"]


def test_a_record_that_was_called_off_and_cleared_away_comes_back(room: Calendared) -> None:
    one = room.calendar_event(
        span=Span(room.site.clock + 3 * DAY, room.site.clock + 3 * DAY + HOUR)
    )
    room.reader.whole = [one]
    room.read()
    room.reader.whole = []
    room.since(replace(one, is_off=True))
    actions.withdraw(room.site.engine, 1, room.site.clock)
    room.read()
    assert room.rows() == []
    room.since(one)
    assert [row.status for row in room.rows()] == ["queued"]

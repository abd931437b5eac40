"""Reading calendars through the real client: tokens, pages, series, and what tells of changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from google_apis.calendar import reader as calendar_reader
from google_apis.calendar.reader import Calendars
from google_apis.http import Google as Client
from merger.errors import Refused
from merger.ports.calendar import Channel
from merger.timeline.clock import Span
from tests.fakes.google import Google

ROOM = "room@group.calendar.google.com"
MOSCOW = ZoneInfo("Europe/Moscow")
NOW = datetime(2026, 11, 20, 6, tzinfo=UTC)
WINDOW = Span(NOW - timedelta(days=1), NOW + timedelta(days=35))


def put(google: Google, day: int = 20, **more: object) -> str:
    event = {
        "summary": "Algebra", "organizer": {"email": "lecturer@example.edu"},
        "start": {"dateTime": f"2026-11-{day}T10:00:00+03:00"},
        "end": {"dateTime": f"2026-11-{day}T11:20:00+03:00"}, **more,
    }  # fmt: skip
    return google.calendar.put(ROOM, **event)


@pytest.fixture
def reader(google: Google, client: Client) -> Calendars:
    google.calendar.add(ROOM)
    return Calendars(client, "https://lectures.example.edu/hooks/google/calendar")


def test_all_there_is_and_then_what_changed(google: Google, reader: Calendars) -> None:
    first, second = put(google), put(google, 21)
    whole = reader.changes(ROOM, None, WINDOW, MOSCOW)
    assert whole.whole and [one.event for one in whole.events] == [first, second]
    assert whole.events[0].span == Span(
        datetime(2026, 11, 20, 7, tzinfo=UTC), datetime(2026, 11, 20, 8, 20, tzinfo=UTC)
    )
    none = reader.changes(ROOM, whole.token, WINDOW, MOSCOW)
    assert none.events == () and not none.whole
    put(google, id=first, summary="Topology")
    google.calendar.put(ROOM, id=second, status="cancelled")
    since = reader.changes(ROOM, none.token, WINDOW, MOSCOW)
    assert [(one.event, one.name, one.is_off) for one in since.events] == [
        (first, "Topology", False), (second, "lecture", True),
    ]  # fmt: skip


def test_a_token_that_is_too_old_is_as_good_as_none(google: Google, reader: Calendars) -> None:
    put(google)
    token = reader.changes(ROOM, None, WINDOW, MOSCOW).token
    put(google, 21)
    google.calendar.oldest_token = 2
    again = reader.changes(ROOM, token, WINDOW, MOSCOW)
    assert again.whole and len(again.events) == 2


def test_pages(google: Google, reader: Calendars, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar_reader, "_PAGE", 3)
    events = [put(google, 20 + n) for n in range(8)]
    found = reader.changes(ROOM, None, WINDOW, MOSCOW)
    assert [one.event for one in found.events] == events and found.token
    for event in events[:4]:
        google.calendar.put(ROOM, id=event, status="cancelled")
    since = reader.changes(ROOM, found.token, WINDOW, MOSCOW)
    assert [(one.event, one.is_off) for one in since.events] == [
        (event, True) for event in events[:4]
    ]
    rest = reader.changes(ROOM, None, WINDOW, MOSCOW)
    assert [one.event for one in rest.events] == events[4:]


def test_a_series_within_the_window(google: Google, reader: Calendars) -> None:
    known = put(google, recurrence=["RRULE:FREQ=WEEKLY"])
    put(google, 22, id=f"{known}_20261204T070000Z", status="cancelled")
    put(google, 28, id=f"{known}_20261127T070000Z", recurringEventId=known)
    found = {one.event: one for one in reader.changes(ROOM, None, WINDOW, MOSCOW).events}
    assert sorted(found) == [
        f"{known}_{day}T070000Z" for day in ("20261120", "20261127", "20261211", "20261218")
    ]
    moved = found[f"{known}_20261127T070000Z"].span
    assert moved is not None and moved.start.day == 28


def test_a_calendar_that_is_not_there(reader: Calendars) -> None:
    with pytest.raises(Refused, match="share it with"):
        reader.changes("other@group.calendar.google.com", None, WINDOW, MOSCOW)


def test_a_channel_is_made_and_ended(google: Google, reader: Calendars) -> None:
    until = NOW + timedelta(days=7)
    channel = reader.watch(ROOM, "channel", "token", until)
    assert channel == Channel("channel", "token", "resource-channel", until)
    assert google.calendar.channels["channel"]["address"] == reader.hook
    assert channel is not None
    reader.unwatch(channel)
    assert google.calendar.channels == {}


def test_without_an_address_nobody_is_told(client: Client) -> None:
    assert Calendars(client).watch(ROOM, "channel", "token", NOW) is None

"""When calendars of rooms are read: in increments, by channels, by one daemon, and again after mistakes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from merger.db.engine import reading, writing
from merger.errors import Refused, Temporary
from merger.intake import calendar_sync
from merger.ports.calendar import Changes, Channel
from models import Calendar, Room
from tests.intake.calendared import DAY, HOUR, MINUTE, Calendared, calendared_room
from tests.support.selection import BOTH_DATABASES
from tests.support.site import Site


@pytest.fixture
def room(site: Site) -> Calendared:
    return calendared_room(site)


def test_it_is_not_read_before_it_is_due(room: Calendared) -> None:
    room.read()
    room.read(MINUTE)
    assert room.reader.asked == [None]
    assert not calendar_sync.is_any_due(room.site.engine, room.site.clock)
    assert calendar_sync.is_any_due(room.site.engine, room.site.clock + calendar_sync.POLLED)


def test_a_token_that_is_too_old(room: Calendared) -> None:
    one = room.calendar_event()
    room.reader.whole = [one]
    room.read()
    room.reader.old = {"token 1"}
    room.reader.whole = []
    room.read(calendar_sync.POLLED)
    assert room.rows()[0].status == "cancelled"  # it was listed as a whole, and is not there


def test_a_calendar_that_cannot_be_read(room: Calendared) -> None:
    room.site.add_room("505", calendar_id="other@group.calendar.google.com")
    room.reader.fails = Refused("calendar", "there is no calendar")
    room.read()
    errors = calendar_sync.calendar_errors(room.site.engine)
    assert {number: str(why) for number, why in errors.items()} == {
        1: "there is no calendar", 2: "there is no calendar",
    }  # fmt: skip
    room.reader.fails = Temporary("google_away", "away")
    room.read(HOUR)
    room.reader.fails, room.reader.whole = None, [room.calendar_event()]
    room.read(HOUR)
    assert calendar_sync.calendar_errors(room.site.engine) == {}
    assert room.reader.asked == [None] * 6


def test_another_calendar_is_read_from_the_beginning(room: Calendared) -> None:
    room.read()
    writing(
        room.site.engine, lambda s: setattr(s.get_one(Room, 1), "calendar_id", "new@example.edu")
    )
    room.read()
    assert room.reader.asked == [None, None]


def test_a_channel_is_made_and_renewed(room: Calendared) -> None:
    room.reader.tells = True
    room.read()
    assert len(room.reader.watched) == 1
    with reading(room.site.engine) as session:
        row = session.get_one(Calendar, 1)
        channel, token, due = row.channel_id, row.channel_token, row.due_at
    assert channel and token
    assert due - room.site.clock == calendar_sync.CHECKED
    told = calendar_sync.mark_calendar_stale
    engine, now = room.site.engine, room.site.clock
    assert not told(engine, channel, "wrong", now) and not told(engine, "other", token, now)
    assert not told(engine, "", "", now) and not calendar_sync.is_any_due(engine, now)
    assert told(engine, channel, token, now) and calendar_sync.is_any_due(engine, now)
    room.read(5 * DAY)
    assert len(room.reader.watched) == 1
    room.read(DAY + HOUR)
    assert len(room.reader.watched) == 2 and room.reader.ended == [channel]


def test_a_deleted_room_takes_its_state_along(room: Calendared) -> None:
    room.read()
    writing(room.site.engine, lambda s: s.delete(s.get_one(Room, 1)))
    with reading(room.site.engine) as session:
        assert session.scalar(select(func.count()).select_from(Calendar)) == 0


def test_a_mistake_with_one_calendar_does_not_stop_the_others(room: Calendared) -> None:
    room.site.add_room("505", calendar_id="other@group.calendar.google.com")
    room.reader.fails = KeyError("what nobody thought of")
    room.read()
    assert set(calendar_sync.calendar_errors(room.site.engine)) == {1, 2}
    assert not calendar_sync.is_any_due(room.site.engine, room.site.clock)  # it is no loop
    room.reader.fails, room.reader.whole = None, [room.calendar_event()]
    room.read(HOUR)
    assert calendar_sync.calendar_errors(room.site.engine) == {} and len(room.rows()) == 1


def test_what_is_told_while_it_is_read_is_not_lost(room: Calendared) -> None:
    room.reader.tells = True
    room.read()
    with reading(room.site.engine) as session:
        row = session.get_one(Calendar, 1)
        channel, token = row.channel_id or "", row.channel_token or ""
    read = room.reader.changes

    def tell(*asked: Any) -> Changes:
        assert calendar_sync.mark_calendar_stale(room.site.engine, channel, token, room.site.clock)
        return read(*asked)

    room.reader.changes = tell  # type: ignore[method-assign]
    room.read(2 * HOUR)
    assert calendar_sync.is_any_due(room.site.engine, room.site.clock)


@BOTH_DATABASES
def test_two_daemons_do_not_read_the_same_calendar(room: Calendared) -> None:
    read = room.reader.changes

    def meanwhile(*asked: Any) -> Changes:
        room.read()  # the other one
        return read(*asked)

    room.reader.changes = meanwhile  # type: ignore[method-assign]
    room.read()
    assert room.reader.asked == [None]


def test_an_old_channel_that_cannot_be_ended_costs_nothing(
    room: Calendared, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.reader.tells = True
    room.read()

    def away(channel: Channel) -> None:
        raise Temporary("google_away", "away")

    monkeypatch.setattr(room.reader, "unwatch", away)
    room.read(timedelta(days=6.5))
    assert len(room.reader.watched) == 2
    with reading(room.site.engine) as session:
        row = session.get_one(Calendar, 1)
        assert (row.channel_id, row.sync_token) == (room.reader.watched[-1], "token 2")


def test_without_a_channel_again_it_is_read_often(
    room: Calendared, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.reader.tells = True
    room.read()

    def away(*_: Any) -> Channel | None:
        raise Temporary("google_away", "away")

    monkeypatch.setattr(room.reader, "watch", away)
    room.read(timedelta(days=8))
    assert calendar_sync.is_any_due(room.site.engine, room.site.clock + calendar_sync.POLLED)

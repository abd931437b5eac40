"""Series that people request for themselves never take the time of others, now or later."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import select

from merger.accounts import users
from merger.accounts.permissions import Principal, granted_scopes
from merger.db.engine import reading, writing
from merger.errors import Conflict
from merger.records import requests
from merger.series import store, week
from merger.series.unroll import unroll
from merger.timeline.clock import Span, utc
from merger.timetable.recurrence import Recurrence
from merger.timetable.spec import SeriesSpec
from models import Occurrence, Record, Source
from tests.support.selection import BOTH_DATABASES
from tests.support.site import Site

pytestmark = BOTH_DATABASES
NOW = utc(datetime.fromisoformat("2026-10-12T08:00:00+02:00"))  # a Monday
HOUR = timedelta(hours=1)
MONDAYS = Recurrence(
    "Europe/Berlin", datetime(2026, 10, 19, 10), HOUR, "FREQ=WEEKLY", date(2027, 1, 25)
)


@pytest.fixture
def ann(site: Site) -> Principal:
    site.add_room(zone="Europe/Berlin")
    site.clock = NOW
    user, _ = users.invite_user(site.engine, "ann@example.org", None, "user")
    return Principal(user["id"], "ann@example.org", "user", granted_scopes("user"))


def spec(room: str = "504", recurrence: Recurrence = MONDAYS) -> SeriesSpec:
    return SeriesSpec("", "", "Optics", recurrence, room=room, owners=("ann@example.org",))


def at(day: str) -> datetime:
    return utc(datetime.fromisoformat(f"{day}T10:00:00+01:00"))


def request(site: Site, day: str, who: str = "bob@example.org") -> None:
    asked = requests.Request("504", at(day), at(day) + HOUR, name="Other", users=(who,))
    requests.request_record(site.engine, asked, site.clock)


def test_dates_of_others_are_found_as_far_as_the_series_goes(site: Site, ann: Principal) -> None:
    weekly = replace(MONDAYS, starts_local=datetime(2026, 12, 7, 10, 30))
    store.add_series(
        site.engine, replace(spec(recurrence=weekly), owners=("bob@example.org",)), NOW
    )
    request(site, "2026-11-02")
    found = store.preview_series(site.engine, spec(), NOW, ann)
    blocked = [f"{one.span.start:%m-%d}" for one in found if one.is_blocked]
    assert len(found) == 15 and blocked[0] == "11-02"
    assert blocked[1:] == [
        f"{one.span.start:%m-%d}" for one in found if one.span.start >= at("2026-12-07")
    ]
    assert not any(one.is_blocked for one in store.preview_series(site.engine, spec(), NOW, None))
    with pytest.raises(Conflict, match="9 lectures can't be recorded"):
        store.add_series(site.engine, spec(), NOW, ann)


def test_what_was_requested_before_its_time_came_stays_with_its_owner(
    site: Site, ann: Principal
) -> None:
    store.add_series(site.engine, spec(), NOW, ann)
    request(site, "2026-11-30")
    site.clock = NOW + timedelta(weeks=4)
    unroll(site.engine, site.clock)
    with reading(site.engine) as session:
        row = session.scalars(
            select(Occurrence).where(Occurrence.start_at == at("2026-11-30"))
        ).one()
        assert row.is_off and row.record_id is None and row.reason.key == "series.time_taken"
        other = session.scalars(select(Record).where(Record.event_name == "Other")).one()
        assert [entry.user.email for entry in other.users] == ["bob@example.org"]
    assert unroll(site.engine, site.clock) == 0


def test_in_a_room_with_meetings_it_shows_those_of_its_owner_alone(
    site: Site, ann: Principal
) -> None:
    def add_meeting(session: object) -> None:
        source = Source(
            room_id=1, name="zoom", role="board", kind="zoom", address="zoom:12345678901"
        )
        session.add(source)  # type: ignore[attr-defined]

    writing(site.engine, add_meeting)
    store.add_series(site.engine, spec(), NOW, ann)
    store.add_series(site.engine, replace(spec(), title="Of an editor"), NOW + timedelta(seconds=1))
    with reading(site.engine) as session:
        row = session.scalars(select(Record).order_by(Record.id)).first()
        assert row is not None and row.media["leave"] == {"email": "ann@example.org"}


def test_rooms_of_a_week_are_those_in_which_lectures_are_held(site: Site, ann: Principal) -> None:
    for name in ("505", "506"):
        site.add_room(name)
    store.add_series(site.engine, spec(), NOW, ann)
    store.add_series(site.engine, spec("506"), NOW)
    span = Span(NOW + timedelta(days=6), NOW + timedelta(days=9))
    first, following = week.rooms_with_lectures(site.engine, span, 1)
    assert ([room.name for room in first], following) == (["504"], "504")
    second, following = week.rooms_with_lectures(site.engine, span, 1, after="504")
    assert ([room.name for room in second], following) == (["506"], None)
    theirs, _ = week.rooms_with_lectures(site.engine, span, 9, only_of=ann.user + 1)
    assert theirs == []

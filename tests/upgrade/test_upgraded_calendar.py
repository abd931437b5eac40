"""Events that the version before knew still have their records, whatever becomes of them now."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest

import app
from merger.timeline.clock import Span
from merger.timeline.layout import LAYOUTS
from merger.worker.run import run_record
from tests.intake.calendared import HOUR, MINUTE, Calendared
from tests.support.databases import ON_SQLITE
from tests.support.selection import BOTH_DATABASES
from tests.upgrade.conftest import Installation, put_off_the_queue

SECOND = timedelta(seconds=1)
# Status, name, and hours from the first event until it begins.
Record = tuple[str, str, float]


@dataclass
class Timetable:
    """The calendar of room 505, as the version before has read it last."""

    installation: Installation
    room: Calendared
    events: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, known in self.installation.kept["events"].items():
            span = known.pop("span")
            at = Span(*map(datetime.fromisoformat, span)) if span else None
            self.events[name] = self.room.calendar_event(**known, span=at)
        self.first = self.events["Own"].span.start

    def span(self, hour: float) -> Span:
        begin = self.first + hour * HOUR
        return Span(begin, begin + HOUR)

    def tell(self, event: str, hour: float | None = None, **changes: Any) -> None:
        """Have the calendar tell of an event that was moved, or otherwise changed."""
        if hour is not None:
            changes["span"] = self.span(hour)
        self.events[event] = replace(self.events[event], **changes)
        self.room.reader.whole = [event for event in self.events.values() if not event.is_off]
        self.room.reader.since = [self.events[event]]
        self.room.read(HOUR)
        self.room.read()  # where something is off, all is read once more

    def tell_again(self) -> None:
        """Have all be read once more, as each day."""
        self.room.whole(*(event for event in self.events.values() if not event.is_off))

    def records(self) -> dict[int, Record]:
        """Return what the room's records are now, by their numbers."""
        listed = self.installation.said("/records?room=505&limit=200")["records"]
        return {
            one["id"]: (
                one["status"], one["name"],
                (datetime.fromisoformat(one["start"]) - self.first) / HOUR,
            )
            for one in listed
        }  # fmt: skip

    def changed_by(self, name: str, hour: float | None = None, **changes: Any) -> list[Record]:
        """Return the records that are other ones, or new, after an event was told of."""
        before = self.records()
        self.tell(name, hour, **changes)
        now = self.records()
        assert now.keys() >= before.keys()
        return sorted(now[record] for record in now if now[record] != before.get(record))


@pytest.fixture
def table(installation: Installation) -> Timetable:
    installation.upgrade()
    return Timetable(installation, Calendared(installation.site))


def test_read_again_nothing_changes(table: Timetable) -> None:
    before = table.records()
    table.tell_again()
    for name in list(table.events):
        table.tell(name)
    assert table.records() == before


# What becomes of an event's records when it is moved: its own one moves with it; what people asked
# for is theirs, and the event gets another; or all stay as they are.
MOVED = {
    "Own": "moves",
    "Moved": "moves",
    "On again": "moves",
    "Old name": "moves",
    "First of two": "moves",
    "Second of two": "another",
    "Of a record by hand": "another",
    "Of a record with a key": "another",
    "Kept": "another",
    "Kept, and moved": "moves",
    "Kept twice": "another",
    "Where another was": "another",
    "Made shorter": "another",
    # Its own record was called off, and is on again.
    "Moved to a record by hand": "moves",
    "Off": "moves",
    "Gone": "moves",
    "Whole day": "moves",
    "Off, and wanted": "another",
    # A person has cancelled or removed it, or it is delivered.
    "Cancelled by a person": "stays",
    "Removed": "stays",
    "Delivered event": "stays",
}
NAMES = {"Old name": "Renamed"}


@BOTH_DATABASES
def test_an_event_that_is_moved(table: Timetable) -> None:
    """Each away, and away once more: one record follows it."""
    assert MOVED.keys() == table.events.keys()
    for n, (name, what) in enumerate(MOVED.items()):
        for step, hour in enumerate((50.0 + 2 * n, 51.0 + 2 * n)):
            known = len(table.records())
            changes = table.changed_by(name, hour, is_off=False)
            there = ("queued", NAMES.get(name, name), hour)
            assert changes == ([] if what == "stays" else [there]), name
            is_new = what == "another" and step == 0
            assert len(table.records()) == known + is_new, name


@pytest.mark.parametrize("name", ["Kept", "Of a record by hand", "Of a record with a key"])
def test_an_event_that_comes_back_to_what_people_asked_for(table: Timetable, name: str) -> None:
    hour = (table.events[name].span.start - table.first) / HOUR
    [theirs] = [one for one in table.records().values() if one[2] == hour]
    table.tell(name, 50)
    assert table.changed_by(name, hour) == [("cancelled", name, 50)]
    assert [one for one in table.records().values() if one[2] == hour] == [theirs]


def test_events_that_are_off(table: Timetable) -> None:
    for name, what in MOVED.items():
        was_off = table.events[name].is_off or name == "Whole day"
        has_live_record = what == "moves" and not was_off and name != "Moved to a record by hand"
        changed = [(status, of) for status, of, _ in table.changed_by(name, is_off=True)]
        now = NAMES.get(name, name)
        wanted = [("cancelled", now)] if has_live_record else []
        # What another event at the same time shared is off: that gets its own.
        wanted += [("queued", "Second of two")] if name == "First of two" else []
        wanted += [("cancelled", "Second of two")] if name == "Second of two" else []
        assert changed == wanted, name


def test_events_that_are_found_missing(table: Timetable) -> None:
    before = table.records()
    table.room.whole()
    now = table.records()
    assert now.keys() == before.keys()
    cancelled = {now[record][1] for record in now if now[record] != before[record]}
    assert cancelled == {
        "Own", "Moved", "On again", "Renamed", "First of two", "Kept, and moved",
    }  # fmt: skip


def test_renamed_events(table: Timetable) -> None:
    for name, what in MOVED.items():
        table.tell(name, name=f"New: {name}", course_code="NEW-1")
        named = [one for one in table.records().values() if one[1] == f"New: {name}"]
        is_off = table.events[name].is_off or table.events[name].span is None
        follows = what == "moves" and not is_off and name != "Moved to a record by hand"
        assert len(named) == follows, name


def test_what_people_do_with_records_of_events(table: Timetable) -> None:
    """They ask for one as well, take one up again, remove one: as with any that is new."""
    web = table.installation.web
    by_name = {one[1]: record for record, one in table.records().items()}
    span = table.events["Own"].span
    same = {"room": "505", "start": span.start.isoformat(), "end": span.end.isoformat()}
    answer = web.api("bob", "POST", "/records", json=same)
    assert (answer.status_code, answer.get_json()["id"]) == (200, by_name["Own"])
    assert web.api("eve", "POST", f"/records/{by_name['Off']}/retry").status_code == 200
    assert web.api("eve", "DELETE", f"/records/{by_name['Moved']}").status_code == 204
    for name in ("Own", "Off"):
        assert table.changed_by(name, is_off=True) == []
    table.tell("Moved", 50)
    table.tell_again()
    assert "Moved" not in {name for _, name, _ in table.records().values()}
    assert table.records()[by_name["Own"]][0] == "queued"
    assert table.records()[by_name["Off"]][0] == "queued"


# Which events the videos of records are announced in, by the names of records.
ANNOUNCED = {
    "Delivered event": "Delivered event",
    "By hand at 2": "Of a record by hand",
    "By hand at 3": "Of a record with a key",
    "By hand at 13": "Moved to a record by hand",
    "Kept": "Kept",
    "Own": "Own",
    # It was made for the event that its name is of, and that one has another since.
    "Kept, and moved": "Where another was",
}


def test_the_video_of_an_event_is_still_that_of_the_event(table: Timetable) -> None:
    """Some are made again now, or for the first time, of the two seconds that were filmed."""
    site, web = table.installation.site, table.installation.web
    put_off_the_queue(table.installation)
    start = datetime.fromisoformat(table.installation.said("/records/1")["start"])
    looks = product((2, 1.5, 1), LAYOUTS)  # a record of its own of each: the film is short
    for name in ANNOUNCED:
        path = f"/records/{table.installation.record(name)}"
        length_s, layout = next(looks)
        if name != "Delivered event":
            assert web.api("eve", "POST", f"{path}/cancel").status_code == 200
        again = {
            "layout": layout, "profile": "tiny",
            "start": start.isoformat(), "end": (start + length_s * SECOND).isoformat(),
        }  # fmt: skip
        answer = web.api("eve", "POST", f"{path}/remerge", json=again)
        assert answer.status_code == 200, answer.text
    told: dict[str, str | None] = {}

    class Board:
        name = "board"

        def concerns(self, news: Any) -> bool:
            told[news.name] = news.event_id
            return False

    service = replace(site.service, announcers=(Board(),))
    while (held := site.claim()) is not None:
        assert run_record(service, held, lambda: False) == "delivered"
    assert told == {name: f"id of {event}" for name, event in ANNOUNCED.items()}


@ON_SQLITE
def test_a_calendar_that_tells_by_the_channel_of_before(table: Timetable) -> None:
    site, channel = table.installation.site, table.installation.kept["channel"]
    service = replace(app.create_service(site.settings, site.engine), now=lambda: site.clock)
    client = app.create_web(service).test_client()
    table.room.read()
    before = len(table.room.reader.asked)
    table.room.read(MINUTE)
    assert len(table.room.reader.asked) == before  # it is not due
    for token, status in (("another", 404), (channel["token"], 204)):
        headers = {"X-Goog-Channel-ID": channel["id"], "X-Goog-Channel-Token": token}
        assert client.post("/hooks/google/calendar", headers=headers).status_code == status
    table.room.read(MINUTE)
    assert len(table.room.reader.asked) == before + 1
    assert table.room.reader.asked[-1] is not None  # it goes on from where it was read last

"""What Zoom has recorded becomes the lecture of the timetable that it is of."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from merger.db.engine import reading, writing
from merger.intake import again, discovered
from merger.intake.calendar_sync import apply_changes
from merger.intake.placing import first_course
from merger.ports.calendar import CalendarEvent
from merger.records import actions, lookup, requests
from merger.series import store, unroll
from merger.timeline.clock import Span, utc
from merger.timetable.recurrence import Recurrence
from merger.timetable.spec import SeriesSpec
from models import Occurrence, Record, Room
from tests.fakes.zoom import NUMBER, UUID, zoom_served
from tests.intake.test_zoom_webhook import HOST, Hooked
from tests.support.databases import ON_SQLITE
from tests.support.selection import BOTH_DATABASES
from tests.support.site import Site

ZONE = ZoneInfo("Europe/Moscow")
BERLIN = "Europe/Berlin"
MINUTE, HOUR, WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(weeks=1)
MONDAY = datetime(2026, 9, 7, 10)


@dataclass
class Campus(Hooked):
    """A service with a timetable, that Zoom calls."""

    def plan(
        self, start: datetime = MONDAY, course: str = "MATH-101", title: str = "Lecture",
        zone: str = "Europe/Moscow", minutes: int = 90, rule: str | None = "FREQ=WEEKLY",
        at: datetime | None = None, **more: Any,
    ) -> int:  # fmt: skip
        """Add a series; the present is a day before it, or another time."""
        recurrence = Recurrence(zone, start, minutes * MINUTE, rule)
        values = {"room": "504", "meeting": str(NUMBER), "mode": "names", **more}
        spec = SeriesSpec("", course, title, recurrence, **values)
        self.site.clock = at or utc(start.replace(tzinfo=ZoneInfo(zone)) - timedelta(days=1))
        return store.add_series(self.site.engine, spec, self.site.clock)

    def meet(
        self, start: datetime, hours: float = 1.5, uuid: str = "", number: int = NUMBER
    ) -> dict[str, Any]:
        """Have a meeting recorded, and Zoom call; return the answer."""
        name = uuid or f"{start:%Y%m%dT%H%M%S}.{number}=="
        self.zoom.add_meeting(name, number)
        self.zoom.add_file("active_speaker", start, hours * 3600, uuid=name)
        self.site.clock = max(self.site.clock, utc(start) + timedelta(hours=hours))
        answer = self.tell(uuid=name)
        assert answer.status_code == 200, answer.get_data()
        return dict(answer.get_json())

    def row(self, record: int) -> Record:
        return self.site.row(record)

    def history(self, record: int) -> str:
        return "\n".join(str(event["text"]) for event in self.site.details(record)["events"])

    def occurrences(self) -> list[Occurrence]:
        with reading(self.site.engine) as session:
            rows = list(session.scalars(select(Occurrence).order_by(Occurrence.start_at)))
            session.expunge_all()
            return rows

    def change_room(self, **values: Any) -> None:
        change = update(Room).where(Room.name == "504").values(**values)
        writing(self.site.engine, lambda session: session.execute(change))

    def set(self, **variables: str) -> None:
        self.site.environ |= variables
        self.service = dataclasses.replace(self.service, settings=self.site.settings)
        import app

        self.client = app.create_web(self.service).test_client()


@pytest.fixture
def campus(site: Site) -> Iterator[Campus]:
    with zoom_served() as zoom:
        made = Campus(site, zoom)
        made.add_room()
        yield made


def local(day: int, hour: int, minute: int = 0, month: int = 9, zone: ZoneInfo = ZONE) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=zone)


# --- which lecture --------------------------------------------------------------------------------

AT_THREE = datetime(2026, 9, 7, 15)
SATURDAY = datetime(2026, 9, 5, 10)
AFTER_MIDNIGHT = datetime(2026, 9, 8, 0, 10)


@ON_SQLITE
@pytest.mark.parametrize(
    ("plan", "start", "tolerance", "is_found"),
    [
        ({"start": AT_THREE, "minutes": 0}, local(7, 15), "30m", True),
        ({"start": AT_THREE, "minutes": 0}, local(7, 16), "30m", False),
        ({"start": AT_THREE, "minutes": 0}, local(7, 14, 20), "30m", False),
        ({"start": AT_THREE, "minutes": 0}, local(7, 14, 20), "45m", True),
        ({"start": AT_THREE, "minutes": 0}, local(7, 14, 30), "30m", True),
        ({"start": SATURDAY}, local(5, 10), "30m", True),
        ({"start": SATURDAY.replace(hour=20), "minutes": 0}, local(5, 10), "30m", False),
        ({"rule": "FREQ=WEEKLY;BYDAY=MO,WE"}, local(9, 10), "30m", True),
        ({"rule": "FREQ=WEEKLY;BYDAY=MO,WE"}, local(8, 10), "30m", False),
        ({"start": AFTER_MIDNIGHT}, local(7, 23, 50), "30m", True),
        ({"start": datetime(2026, 9, 7, 23, 50)}, local(8, 0, 10), "30m", True),
        # In UTC it is Sunday still.
        ({"start": datetime(2026, 9, 7, 1)}, local(7, 1), "30m", True),
        # The weeks in which the clocks change: 10:00 stays 10:00.
        ({"start": datetime(2026, 10, 19, 10), "zone": BERLIN},
         datetime(2026, 10, 26, 9, tzinfo=ZoneInfo("UTC")), "1m", True),
        ({"start": datetime(2026, 10, 19, 10), "zone": BERLIN},
         datetime(2026, 10, 26, 8, tzinfo=ZoneInfo("UTC")), "1m", False),
        ({"start": datetime(2026, 3, 23, 10), "zone": BERLIN},
         datetime(2026, 3, 30, 8, tzinfo=ZoneInfo("UTC")), "1m", True),
        ({"mode": "no"}, local(7, 10), "30m", False),
        ({"meeting": "9999999999", "room": "505"}, local(7, 10), "30m", False),
        ({"room": "505"}, local(7, 10), "30m", True),  # by its number
        ({"meeting": None}, local(7, 10), "30m", True),  # by its room
    ],
)  # fmt: skip
def test_which_lecture_a_recording_is_of(
    campus: Campus, plan: dict[str, Any], start: datetime, tolerance: str, is_found: bool
) -> None:
    campus.set(MERGER_TIMETABLE_TOLERANCE=tolerance)
    campus.add_room("505", "zoom:111111111")
    campus.plan(**plan)
    hours = 1.5 if plan.get("minutes", 90) else 0.25
    if not is_found and tolerance == "1m":
        hours = 0.5  # which shares nothing with the lecture
    record = campus.meet(start, hours)["record"]
    row = campus.row(record)
    name = "MATH-101: Lecture" if is_found else "Algebra"
    assert (row.event_name, row.course_code) == (name, "MATH-101" if is_found else None)
    assert [r.record_id for r in campus.occurrences() if r.record_id] == [record] * is_found


@BOTH_DATABASES
def test_two_courses_with_one_number(campus: Campus) -> None:
    campus.plan(course="MATH-101", owners=("ada@example.org",))
    campus.plan(datetime(2026, 9, 9, 10), course="PHYS-200", owners=("bob@example.org",))
    for week in range(10):
        campus.meet(local(7, 10, 3) + week * WEEK)
        unroll.unroll(campus.site.engine, campus.site.clock)
        campus.meet(local(9, 9, 58) + week * WEEK)
    assert campus.count(Record) == 20
    for n in range(1, 21):
        course, owner = ("MATH-101", "ada") if n % 2 else ("PHYS-200", "bob")
        row = campus.row(n)
        assert (row.course_code, row.event_name) == (course, f"{course}: Lecture")
        assert campus.site.details(n)["users"] == [f"{owner}@example.org", HOST]
    assert sorted(r.record_id for r in campus.occurrences() if r.record_id) == [*range(1, 21)]


@BOTH_DATABASES
def test_a_lecture_of_before_its_timetable_was_known(campus: Campus) -> None:
    """Nothing is unrolled for so long ago: the rule says it."""
    campus.plan(at=utc(local(20, 9)))
    record = campus.meet(local(7, 10, 4))["record"]
    assert campus.row(record).course_code == "MATH-101"
    first = campus.occurrences()[0]
    assert (first.start_at, first.record_id) == (utc(local(7, 10)), record)
    assert unroll.unroll(campus.site.engine, campus.site.clock) == 0


@BOTH_DATABASES
@pytest.mark.parametrize("comes", ["before the series", "after it"])
def test_one_record_of_what_everybody_knows(campus: Campus, comes: str) -> None:
    """By the timetable, by a calendar, by hand, and by Zoom."""
    planned = Span(utc(local(7, 10)), utc(local(7, 11, 30)))
    event = CalendarEvent(
        "504@x", "event", "Booked", planned, "cal@example.org", "OTHER", is_off=False
    )

    def read_calendar() -> None:
        with reading(campus.site.engine) as session:
            room = lookup.room_row(session, "504")
            session.expunge(room)
        apply_changes(campus.site.engine, room, event, campus.site.clock)

    if comes == "before the series":
        campus.site.clock = utc(local(6, 10))
        read_calendar()
    campus.plan(mode="asks", owners=("ada@example.org",))
    for _ in range(2):
        read_calendar()
    asked = requests.Request(
        "504", utc(local(7, 10)), utc(local(7, 11, 30)), "mine", users=("eve@example.org",)
    )
    record, is_new = requests.request_record(campus.site.engine, asked, campus.site.clock)
    assert not is_new
    assert campus.meet(local(7, 10, 20), 2)["record"] == record
    assert unroll.unroll(campus.site.engine, campus.site.clock) <= 1
    row = campus.row(record)
    assert (row.event_name, row.course_code) == ("MATH-101: Lecture", "MATH-101")
    people = {"ada@example.org", "eve@example.org", "cal@example.org"}
    assert set(campus.site.details(record)["users"]) == people
    assert row.event_link is not None and row.event_link.event_id == "event"
    at_that_time = [r for r in campus.occurrences() if r.start_at == utc(local(7, 10))]
    assert [r.record_id for r in at_that_time] == [record]
    with reading(campus.site.engine) as session:
        same_day = Record.start_at.between(utc(local(7, 0)), utc(local(8, 0)))
        assert list(session.scalars(select(Record.id).where(same_day))) == [record]


@ON_SQLITE
@pytest.mark.parametrize("is_delivered", [False, True])
def test_a_meeting_that_was_begun_again_is_one_record(campus: Campus, is_delivered: bool) -> None:
    campus.plan()
    record = campus.meet(local(7, 10), 0.4)["record"]
    if is_delivered:
        delivered = {"status": "delivered", "delivered_version": 1}
        change = update(Record).values(**delivered)
        writing(campus.site.engine, lambda session: session.execute(change))
    for _ in range(2):
        assert campus.meet(local(7, 10, 27), 1)["record"] == record
    row = campus.row(record)
    assert (row.start_at, row.end_at) == (utc(local(7, 10)), utc(local(7, 11, 27)))
    assert (row.status, row.version) == ("queued", 2 if is_delivered else 1)
    assert "was begun again" in campus.history(record)
    # The next lecture is another, and so is what is of none.
    assert campus.meet(local(14, 10), 0.4)["record"] != record
    assert campus.meet(local(7, 18), 1)["record"] != record


@ON_SQLITE
def test_a_record_of_chosen_times_does_not_grow(campus: Campus) -> None:
    campus.plan()
    record = campus.meet(local(7, 10), 0.4)["record"]
    change = update(Record).values(idempotency_key=None)  # as of somebody's request
    writing(campus.site.engine, lambda session: session.execute(change))
    assert campus.meet(local(7, 10, 27), 1)["record"] != record


@ON_SQLITE
def test_a_course_that_was_asked_for_by_hand_stays(campus: Campus) -> None:
    campus.plan()
    asked = requests.Request(
        "504", utc(local(7, 9, 50)), utc(local(7, 11, 40)), "mine", users=("eve@example.org",),
        course_code="OWN-1",
    )  # fmt: skip
    record, _ = requests.request_record(campus.site.engine, asked, campus.site.clock)
    assert campus.meet(local(7, 10))["record"] == record
    row = campus.row(record)
    assert (row.course_code, row.event_name) == ("OWN-1", "MATH-101: Lecture")
    (eve,) = (u for u in campus.site.details(record)["users"] if u.startswith("eve"))
    assert eve and "the recording starts when" in campus.history(record)


@ON_SQLITE
def test_nobody_stopped_the_recording(campus: Campus) -> None:
    campus.plan(course="A-1")
    campus.plan(datetime(2026, 9, 7, 12), course="B-2", at=utc(local(7, 8)))
    record = campus.meet(local(7, 10), 3.5)["record"]
    assert campus.row(record).course_code == "A-1" and campus.count(Record) == 1
    assert "it goes on over B-2: Lecture" in campus.history(record)


@ON_SQLITE
def test_two_lectures_fit(campus: Campus) -> None:
    campus.plan(course="A-1")
    campus.plan(course="B-2")
    record = campus.meet(local(7, 10))["record"]
    assert campus.row(record).course_code == "A-1"
    assert "B-2: Lecture would fit as well" in campus.history(record)


@ON_SQLITE
def test_what_takes_place_elsewhere(campus: Campus) -> None:
    campus.add_room("505", "zoom:111111111")
    campus.plan(meeting=None)
    (first, *_) = campus.occurrences()
    edit = store.OccurrenceEdit(room="505", name="Guest lecture")
    store.edit_occurrence(campus.site.engine, first.id, edit, campus.site.clock, None)
    assert campus.row(campus.meet(local(7, 10))["record"]).course_code is None
    elsewhere = campus.row(campus.meet(local(7, 10), number=111111111)["record"])
    assert (elsewhere.event_name, elsewhere.course_code) == ("Guest lecture", "MATH-101")


@ON_SQLITE
def test_what_is_off_is_no_lecture(campus: Campus) -> None:
    series = campus.plan()
    (first, *_) = campus.occurrences()
    skip = store.OccurrenceEdit(is_off=True)
    store.edit_occurrence(campus.site.engine, first.id, skip, campus.site.clock, None)
    assert campus.row(campus.meet(local(7, 10))["record"]).course_code is None
    assert campus.row(campus.meet(local(14, 10))["record"]).course_code == "MATH-101"
    store.set_state(campus.site.engine, series, "over", "", campus.site.clock, None)
    assert campus.row(campus.meet(local(21, 10))["record"]).course_code is None


@ON_SQLITE
def test_much_more_than_a_lecture_was_recorded(campus: Campus) -> None:
    """It has one record all the same, which shows what was planned."""
    campus.plan(mode="asks")
    record = campus.meet(local(7, 10), 4)["record"]
    assert next(r.record_id for r in campus.occurrences()) == record
    assert campus.row(record).end_at == utc(local(7, 11, 30))
    assert "has recorded much more than this lecture" in campus.history(record)


@ON_SQLITE
def test_a_recording_is_enough_for_its_lecture(campus: Campus) -> None:
    """Though it begins and ends at other times: nothing else is requested for that lecture."""
    campus.plan(mode="asks")
    actions.withdraw(campus.site.engine, 1, campus.site.clock)
    record = campus.meet(local(7, 10, 5), 1.25)["record"]
    assert campus.occurrences()[0].record_id == record
    before = campus.count(Record)
    campus.site.clock = utc(local(7, 12))
    unroll.unroll(campus.site.engine, campus.site.clock)
    assert campus.occurrences()[0].record_id == record
    assert campus.count(Record) - before <= 1  # of the week that came into sight
    assert unroll.unroll(campus.site.engine, campus.site.clock) == 0


@ON_SQLITE
def test_on_demand_with_a_name_and_a_course(campus: Campus) -> None:
    campus.plan(owners=("ada@example.org",))
    campus.zoom.add_meeting()
    campus.zoom.add_file("active_speaker", local(7, 10), 5400)
    found = campus.service.offering["zoom"].find_recording(UUID, campus.site.clock)
    outcome = discovered.ensure_record(
        campus.service, found, ("eve@x.org",), is_explicit=True, name="Rings", course_code="OWN-1"
    )
    row = campus.row(outcome.record or 0)
    assert (row.event_name, row.course_code) == ("Rings", "OWN-1")
    assert "ada@example.org" in campus.site.details()["users"]


# --- of which course ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codes", "first"),
    [
        (("hand", "body", "lecture", "room", "setting"), "hand"),
        ((None, "body", "lecture", "room", "setting"), "body"),
        (("", "None", "lecture", "room", "setting"), "lecture"),
        ((None, None, None, "room", "setting"), "room"),
        ((None, "", "none", " ", "setting"), "setting"),
        ((None, "", "None", "", "None"), None),
        ((), None),
        ((" MATH-101 ",), "MATH-101"),
    ],
)
def test_the_most_important_course(codes: tuple[str | None, ...], first: str | None) -> None:
    assert first_course(*codes) == first


@ON_SQLITE
@pytest.mark.parametrize(
    ("has_lecture", "of_room", "setting", "course"),
    [
        (True, "ROOM", "ALL", "MATH-101"),
        (False, "ROOM", "ALL", "ROOM"),
        (False, None, "ALL", "ALL"),
        (False, "None", "", None),
    ],
)
def test_of_which_course_a_recording_is(
    campus: Campus, has_lecture: bool, of_room: str | None, setting: str, course: str | None
) -> None:
    campus.change_room(default_course=of_room)
    campus.set(MERGER_DEFAULT_COURSE=setting)
    if has_lecture:
        campus.plan()
    assert campus.row(campus.meet(local(7, 10))["record"]).course_code == course


# --- of none --------------------------------------------------------------------------------------


@ON_SQLITE
@pytest.mark.parametrize(
    ("setting", "of_room", "is_kept"),
    [("keep", None, True), ("ignore", None, False), ("ignore", "keep", True), ("keep", "ignore", False)],
)  # fmt: skip
def test_what_is_of_no_lecture(
    campus: Campus, setting: str, of_room: str | None, is_kept: bool
) -> None:
    campus.set(MERGER_UNMATCHED=setting)
    campus.change_room(unmatched=of_room)
    campus.plan()
    answer = campus.meet(local(7, 14))
    assert (answer["record"] is not None) is is_kept
    if not is_kept:
        assert answer["reason"] == (
            "no lecture of room 504 is held then; the nearest is MATH-101: Lecture, Mon 10:00"
        )
        assert campus.offers()[0]["state"] == "ignored"


@ON_SQLITE
def test_what_somebody_has_asked_for_is_never_ignored(campus: Campus) -> None:
    campus.set(MERGER_UNMATCHED="ignore")
    record = campus.site.ask(start=utc(local(7, 14)), end=utc(local(7, 16)))
    assert campus.meet(local(7, 14))["record"] == record
    assert campus.meet(local(8, 14))["reason"].startswith("no lecture of room 504 is held then")


@ON_SQLITE
@pytest.mark.parametrize(("of_room", "is_ignored"), [(None, True), (60, False), (0, False)])
def test_how_short_a_recording_may_be(
    campus: Campus, of_room: int | None, is_ignored: bool
) -> None:
    campus.change_room(shortest_s=of_room)
    assert (campus.meet(local(7, 10), 100 / 3600)["record"] is None) is is_ignored


# --- matched again --------------------------------------------------------------------------------


@BOTH_DATABASES
def test_what_was_of_no_lecture_is_matched_again(campus: Campus) -> None:
    campus.set(MERGER_UNMATCHED="ignore")
    assert campus.meet(local(7, 10))["record"] is None
    assert campus.meet(local(8, 10), 60 / 3600)["record"] is None  # too short
    assert campus.meet(local(9, 10), number=999999999)["record"] is None  # of no room
    assert [found.is_changed for found in again.match_again(campus.service)] == [False, False]
    campus.plan(at=campus.site.clock)
    campus.add_room("505", "zoom:999999999")
    campus.plan(datetime(2026, 9, 9, 10), course="PHYS-200", meeting="999999999", room="505")
    campus.site.clock = utc(local(20, 10))
    first, second = again.match_again(campus.service)
    assert (first.record, second.record) == (1, 2) and first.is_changed and second.is_changed
    assert [campus.row(n).course_code for n in (1, 2)] == ["MATH-101", "PHYS-200"]
    assert again.match_again(campus.service) == []


@ON_SQLITE
@pytest.mark.parametrize("is_renamed", [False, True])
def test_what_was_delivered_without_a_course_gets_it(campus: Campus, is_renamed: bool) -> None:
    record = campus.meet(local(7, 10))["record"]
    writing(campus.site.engine, lambda session: _deliver(session, record, is_renamed))
    campus.plan(at=utc(local(20, 9)), owners=("ada@example.org",))
    (found,) = again.match_again(campus.service)
    assert found == again.Rematch(1, "Algebra", record, True)
    row = campus.row(record)
    assert row.event_name == ("Chosen" if is_renamed else "MATH-101: Lecture")
    assert (row.course_code, row.status, row.stage) == ("MATH-101", "queued", "deliver")
    assert row.is_outdated and row.version == 1  # renamed, and not made anew
    assert "ada@example.org" in campus.site.details(record)["users"]
    assert again.match_again(campus.service) == []
    assert campus.row(record).updated_at == row.updated_at


def _deliver(session: Any, record: int, is_renamed: bool) -> None:
    row = session.get(Record, record)
    row.status, row.stage, row.delivered_version = "delivered", "deliver", 1
    if is_renamed:
        row.event_name = "Chosen"


@ON_SQLITE
def test_matched_again_from_the_command_line(campus: Campus) -> None:
    campus.set(MERGER_UNMATCHED="ignore")
    for day in (7, 14):
        campus.meet(local(day, 10))
    campus.plan(at=campus.site.clock)
    assert [row["state"] for row in campus.site.said("offers")["offers"]] == ["ignored"] * 2
    matched = campus.site.said("offers", "--again", "--limit", "1", "--state", "ignored")
    assert [row["record"] for row in matched["offers"]] == [1]
    assert (
        "1 discovered recording matched again, 1 of them"
        in campus.site.run("offers", "--again").stdout
    )
    wrong = campus.site.run("offers", "--again", "--state", "lost")
    assert wrong.returncode == 2 and "the choices are ignored, unplaced, record" in wrong.stderr

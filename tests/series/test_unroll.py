"""Weekly lectures become occurrences, and these become recordings; what people change stays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, select

from merger.db.engine import reading, writing
from merger.records import actions, lookup, requests
from merger.series import store, unroll
from merger.series.rows import write_spec
from merger.series.store import OccurrenceEdit
from merger.timeline.clock import utc
from merger.timetable.recurrence import Recurrence
from merger.timetable.spec import SeriesSpec
from models import DayOff, Occurrence, Record, Series, User
from tests.support.selection import BOTH_DATABASES
from tests.support.site import Site

pytestmark = BOTH_DATABASES
ZONE = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 10, 12, 8, tzinfo=ZONE)  # a Monday; clocks are put back on the 25th
WEEK, HOUR = timedelta(weeks=1), timedelta(hours=1)
MONDAYS = Recurrence(
    "Europe/Berlin",
    datetime(2026, 10, 5, 10),
    90 * timedelta(minutes=1),
    "FREQ=WEEKLY",
    date(2027, 2, 1),
)
ALGEBRA = SeriesSpec("", "MATH-101", "Lecture", MONDAYS, room="504", owners=("ada@example.org",))


@dataclass
class Term:
    """A service with a room, and what time it is there."""

    site: Site
    now: datetime = utc(NOW)

    def add(self, spec: SeriesSpec = ALGEBRA) -> int:
        return store.add_series(self.site.engine, spec, self.now)

    def unroll(self) -> int:
        return unroll.unroll(self.site.engine, self.now)

    def rows(self) -> list[Occurrence]:
        with reading(self.site.engine) as session:
            rows = list(session.scalars(select(Occurrence).order_by(Occurrence.original_at)))
            session.expunge_all()
            return rows

    def local(self) -> list[str]:
        """Return when records begin that are not cancelled, by the clock of the room."""
        with reading(self.site.engine) as session:
            rows = session.scalars(
                select(Record).where(Record.status != "cancelled").order_by(Record.start_at)
            )
            return [f"{row.start_at.astimezone(ZONE):%m-%d %H:%M}" for row in rows]

    def edit(self, n: int, **values: Any) -> None:
        occurrence = self.rows()[n].id
        store.edit_occurrence(
            self.site.engine, occurrence, OccurrenceEdit(**values), self.now, None
        )


@pytest.fixture
def term(site: Site) -> Term:
    site.add_room(zone="Europe/Berlin")
    return Term(site)


def test_every_week_is_recorded_at_the_same_local_time(term: Term) -> None:
    term.add()
    weeks = [
        "10-12 10:00",
        "10-19 10:00",
        "10-26 10:00",
        "11-02 10:00",
        "11-09 10:00",
        "11-16 10:00",
    ]
    assert term.local() == weeks[:5]
    row = term.site.row(1)
    assert (row.event_name, row.course_code) == ("MATH-101: Lecture", "MATH-101")
    assert term.site.details()["users"] == ["ada@example.org"]
    term.now += WEEK
    assert term.unroll() == 1
    assert term.local() == weeks
    written = []
    event.listen(term.site.engine, "before_cursor_execute", lambda *a: written.append(a[2]))
    assert term.unroll() == 0
    assert not [sql for sql in written if not sql.startswith(("SELECT", "BEGIN"))]


def test_what_people_change_stays(term: Term) -> None:
    series = term.add()
    term.edit(1, is_off=True)
    term.edit(2, start=utc(datetime(2026, 10, 28, 14, tzinfo=ZONE)), name="Substitute")
    moved = ["10-12 10:00", "10-28 14:00", "11-02 10:00", "11-09 10:00"]
    assert term.local() == moved
    assert term.unroll() == 0 and term.local() == moved
    later = replace(ALGEBRA, recurrence=replace(MONDAYS, starts_local=datetime(2026, 10, 5, 11)))
    store.change_series(term.site.engine, series, later, term.now, None)
    assert term.local() == ["10-12 11:00", "10-28 14:00", "11-02 11:00", "11-09 11:00"]
    names = {row.event_name for row in (term.site.row(n) for n in (1, 3))}
    assert names == {"MATH-101: Lecture", "Substitute"}
    term.edit(1, is_off=False)
    assert "10-19 10:00" in term.local()


def test_a_recording_that_is_there_gets_the_name_and_stays(term: Term) -> None:
    start = utc(datetime(2026, 10, 19, 10, tzinfo=ZONE))
    wanted = requests.Request(
        "504", start, start + 90 * timedelta(minutes=1), name="my lecture", users=("eve@x.org",)
    )
    record, _ = requests.request_record(term.site.engine, wanted, term.now)
    series = term.add()
    assert len(term.local()) == 5  # and not two of the 19th
    details = term.site.details(record)
    assert (details["name"], details["course_code"]) == ("MATH-101: Lecture", "MATH-101")
    assert details["users"] == ["eve@x.org", "ada@example.org"]
    store.set_state(term.site.engine, series, "disabled", "no camera", term.now, None)
    assert term.local() == ["10-19 10:00"]  # what people want stays
    assert term.unroll() == 0
    store.set_state(term.site.engine, series, "active", "", term.now, None)
    assert len(term.local()) == 5


def test_whoever_requests_it_too_keeps_it(term: Term) -> None:
    term.add()
    start = utc(datetime(2026, 10, 19, 10, tzinfo=ZONE))
    wanted = requests.Request("504", start, start + 90 * timedelta(minutes=1), users=("eve@x.org",))
    record, is_new = requests.request_record(term.site.engine, wanted, term.now)
    assert not is_new
    term.edit(1, is_off=True)
    assert term.site.row(record).status == "queued"


def test_a_lecture_that_has_begun_stays_whatever_becomes_of_its_series(term: Term) -> None:
    series = term.add()
    term.now += 3 * HOUR  # at 11:00
    for start in (9, 12):
        later = replace(MONDAYS, starts_local=datetime(2026, 10, 5, start), length=HOUR)
        changed = replace(ALGEBRA, recurrence=later)
        store.change_series(term.site.engine, series, changed, term.now, None)
        assert term.local()[:2] == ["10-12 10:00", f"10-19 {start:02}:00"]
        assert term.site.row(1).end_at - term.site.row(1).start_at == 1.5 * HOUR
    off = DayOff(first_day=date(2026, 10, 12), last_day=date(2026, 10, 12), name="Strike")
    writing(term.site.engine, lambda session: session.add(off))
    term.unroll()
    assert term.local()[0] == "10-12 10:00" and term.unroll() == 0


def test_whoever_leaves_a_lecture_stays_away(term: Term) -> None:
    owners = ("ada@example.org", "bob@example.org", "cid@example.org")
    series = term.add(replace(ALGEBRA, owners=owners))
    for name in ("ada", "bob"):
        with reading(term.site.engine) as session:
            email = User.email == f"{name}@example.org"
            user = session.scalars(select(User.id).where(email)).one()
        actions.withdraw(term.site.engine, 2, term.now, user)
    term.edit(1, name="Substitute")
    later = replace(MONDAYS, starts_local=datetime(2026, 10, 5, 11))
    owners = ("bob@example.org", "ada@example.org", "cid@example.org", "dan@example.org")
    changed = replace(ALGEBRA, recurrence=later, owners=owners)
    store.change_series(term.site.engine, series, changed, term.now, None)
    assert term.site.details(2)["users"] == ["cid@example.org", "dan@example.org"]
    assert term.site.details(3)["users"][:2] == ["bob@example.org", "ada@example.org"]
    start = term.site.row(2).start_at
    back = requests.Request("504", start, term.site.row(2).end_at, users=("ada@example.org",))
    assert requests.request_record(term.site.engine, back, term.now) == (2, False)
    term.edit(2, name="Substitute")
    assert term.site.details(2)["users"][-1] == "ada@example.org"


def test_what_people_remove_is_not_made_again(term: Term) -> None:
    term.add()
    actions.withdraw(term.site.engine, 2, term.now)
    assert term.unroll() == 0 and len(term.local()) == 4
    term.edit(2, is_off=True)
    cancelled = next(row for row in term.rows() if row.is_changed).record_id
    actions.withdraw(term.site.engine, cancelled or 0, term.now)
    term.edit(2, is_off=False)
    assert len(term.local()) == 4  # the timetable had called that off, and not a person


def test_days_off(term: Term) -> None:
    term.add()
    off = DayOff(first_day=date(2026, 10, 26), last_day=date(2026, 11, 2), name="Autumn break")
    writing(term.site.engine, lambda session: session.add(off))
    assert term.unroll() == 1
    assert term.local() == ["10-12 10:00", "10-19 10:00", "11-09 10:00"]
    assert [row.is_off for row in term.rows()] == [False, False, True, True, False]
    writing(term.site.engine, lambda session: session.delete(session.get_one(DayOff, 1)))
    assert term.unroll() == 1 and len(term.local()) == 5


def test_a_series_ends_and_what_was_made_stays(term: Term) -> None:
    series = term.add()
    term.edit(1, start=utc(datetime(2026, 10, 20, 9, tzinfo=ZONE)))

    def deliver(session: Any) -> None:
        row = session.get_one(Record, 1)
        row.status, row.delivered_version = "delivered", 1

    writing(term.site.engine, deliver)
    term.now += WEEK / 2
    store.set_state(term.site.engine, series, "over", "", term.now, None)
    assert term.local() == ["10-12 10:00"]
    assert term.unroll() == 0
    assert all(row.is_off for row in term.rows()[1:])


def test_two_at_once_make_each_lecture_once(term: Term) -> None:
    def add(session: Any) -> None:
        room = lookup.room_row(session, "504")
        for n in range(3):
            row = Series(
                source="test", source_key=str(n), priority=0, state="active", created_at=term.now
            )
            write_spec(
                session, row, replace(ALGEBRA, key=str(n), title=f"Group {n}"), room, term.now
            )
            session.add(row)

    writing(term.site.engine, add)
    with ThreadPoolExecutor(2) as both:
        list(both.map(lambda _: term.unroll(), range(2)))
    assert len(term.rows()) == 15 and len(term.local()) == 5  # all three are at the same time

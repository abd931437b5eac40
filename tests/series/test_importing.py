"""Timetables become series: added, changed, ended; all of it or nothing, and again: nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, func, select

from merger import failpoints
from merger.db.engine import reading, writing
from merger.errors import Invalid
from merger.series import days_off, store, unroll
from merger.series.store import OccurrenceEdit
from merger.series.timetables import importing
from merger.series.timetables.import_document import import_document
from merger.series.timetables.importing import Removals, Report
from merger.series.timetables.texts import Tab, TimetableText
from merger.timeline.clock import utc
from models import DayOff, Occurrence, Record, Room, Series
from tests.support.selection import BOTH_DATABASES
from tests.support.site import ROOT, Site

pytestmark = BOTH_DATABASES
ZONE = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 10, 12, 8, tzinfo=ZONE)  # a Monday
WEEK = timedelta(weeks=1)
HEADINGS = "course,title,days,start,end,room,meeting,from,until,owners"
ALGEBRA = "MATH-101,Lecture,M,10:00,11:30,504,,2026-10-05,2027-01-25,ada@example.org"
LOGIC = "LOG-2,Lecture,T,9:15,10:45,504,,2026-10-05,2027-01-25,ada@example.org"
ONLINE = "ART-7,Section,WF,12:00,,,https://zoom.us/j/85703777235?pwd=abc,,2027-01-25,"


def sheet(*rows: str, headings: str = HEADINGS) -> TimetableText:
    return TimetableText("term.csv", (Tab("\n".join((headings, *rows))),))


@dataclass
class Term:
    """A service with a room, and what time it is there."""

    site: Site
    now: datetime = field(default_factory=lambda: utc(NOW))

    def load(self, *rows: str, removals: Removals = "never", **changes: Any) -> Report:
        texts = replace(sheet(*rows), **changes)
        return importing.import_timetable(self.site.engine, texts, removals, self.now)

    def preview(self, *rows: str, removals: Removals = "never") -> Report:
        return importing.preview_import(self.site.engine, sheet(*rows), removals, self.now)

    def series(self) -> dict[str, str]:
        """Return the states of series by their courses."""
        with reading(self.site.engine) as session:
            rows = session.scalars(select(Series).order_by(Series.id))
            return {row.course_code or "": row.state for row in rows}

    def local(self, course: str = "MATH-101") -> list[str]:
        """Return when records of a course begin that are not cancelled, by the room's clock."""
        with reading(self.site.engine) as session:
            wanted = select(Record).where(
                Record.status != "cancelled", Record.course_code == course
            )
            rows = session.scalars(wanted.order_by(Record.start_at))
            return [f"{row.start_at.astimezone(ZONE):%m-%d %H:%M}" for row in rows]

    def occurrences(self) -> list[Occurrence]:
        with reading(self.site.engine) as session:
            rows = list(session.scalars(select(Occurrence).order_by(Occurrence.original_at)))
            session.expunge_all()
            return rows

    def rows_of_series(self, course: str) -> list[Series]:
        with reading(self.site.engine) as session:
            rows = list(session.scalars(select(Series).where(Series.course_code == course)))
            session.expunge_all()
            return rows

    def count(self, table: Any) -> int:
        with reading(self.site.engine) as session:
            return session.scalar(select(func.count()).select_from(table)) or 0


@pytest.fixture
def term(site: Site) -> Term:
    site.add_room(zone="Europe/Berlin")
    return Term(site)


def sentences(report: Report) -> list[str]:
    return [str(complaint.sentence) for complaint in report.timetable.complaints]


def test_a_sheet_becomes_series_and_recordings(term: Term) -> None:
    report = term.load(ALGEBRA, LOGIC)
    assert [one.course for one in report.changes.added] == ["MATH-101", "LOG-2"]
    assert report.is_applied and not report.timetable.complaints
    assert term.local() == [f"{day} 10:00" for day in ("10-12", "10-19", "10-26", "11-02", "11-09")]
    assert term.site.row(1).event_name == "MATH-101: Lecture"
    assert term.site.details()["users"] == ["ada@example.org"]
    assert unroll.unroll(term.site.engine, term.now) == 0


def test_the_second_time_nothing_is_written(term: Term) -> None:
    term.load(ALGEBRA, LOGIC, ONLINE)
    written: list[str] = []
    event.listen(term.site.engine, "before_cursor_execute", lambda *a: written.append(a[2]))
    term.now += timedelta(hours=1)
    report = term.load(ALGEBRA, LOGIC, ONLINE, removals="all")
    assert not report.has_changes and len(report.changes.unchanged) == 3
    assert written and all(sql.startswith(("SELECT", "BEGIN")) for sql in written)


def test_a_preview_changes_nothing_and_says_the_same(term: Term) -> None:
    preview = import_document(term.preview(ALGEBRA, ONLINE))
    assert (term.count(Series), term.count(Room), term.count(Record)) == (0, 1, 0)
    assert preview["rooms"] == ["Zoom 857 0377 7235"] and not preview["applied"]
    assert {**preview, "applied": True} == import_document(term.load(ALGEBRA, ONLINE))


def test_a_meeting_without_a_room_gets_one(term: Term) -> None:
    term.load(ONLINE, "ART-8,,M,9:00,,,857 0377 7235,,,")
    with reading(term.site.engine) as session:
        room = session.scalars(select(Room).where(Room.name != "504")).one()
        source = room.sources[0]
        assert (room.name, room.zone) == ("Zoom 857 0377 7235", "Europe/Berlin")
        assert (source.role, source.kind, source.address) == ("speaker", "zoom", "zoom:85703777235")
    assert term.series() == {"ART-7": "active", "ART-8": "active"}
    assert term.count(Record) == 0  # the sheet only names what Zoom records
    assert term.occurrences()[1].start_at == utc(datetime(2026, 10, 14, 12, tzinfo=ZONE))


def test_a_meeting_takes_place_in_the_room_that_has_it(term: Term) -> None:
    def add(session: Any) -> None:
        row = session.scalars(select(Room)).one()
        source = type(row.sources[0])(
            name="zoom", role="board", kind="zoom", address="zoom:857 0377 7235"
        )
        row.sources.append(source)

    writing(term.site.engine, add)
    report = term.load(ONLINE)
    assert [one.room for one in report.changes.added] == ["504"]
    assert term.count(Room) == 1


def test_what_is_changed_follows(term: Term) -> None:
    term.load(ALGEBRA)
    report = term.load(ALGEBRA.replace("11:30", "12:00").replace("2027-01-25", "2026-11-02"))
    [changed] = import_document(report)["changed"]
    assert changed["changes"] == ["minutes: 90 → 120", "last day: 2027-01-25 → 2026-11-02"]
    assert term.local() == ["10-12 10:00", "10-19 10:00", "10-26 10:00", "11-02 10:00"]
    assert term.site.row(2).end_at == utc(datetime(2026, 10, 19, 12, tzinfo=ZONE))


def test_what_is_gone_ends_only_where_that_is_wished(term: Term) -> None:
    term.load(ALGEBRA, LOGIC)
    report = term.load(LOGIC)
    assert [one.course for one in report.changes.ended] == ["MATH-101"]
    assert (not report.has_changes and "go on" in str(report.notes[0])) or "goes on" in str(
        report.notes[0]
    )
    assert term.series() == {"MATH-101": "active", "LOG-2": "active"}
    document = import_document(term.load(LOGIC, removals="all"))
    assert [one["course"] for one in document["ended"]] == ["MATH-101"]
    assert term.series() == {"MATH-101": "over", "LOG-2": "active"}
    assert term.local() == [] and len(term.local("LOG-2")) == 5


def test_what_was_made_stays_when_its_row_goes(term: Term) -> None:
    term.load(ALGEBRA)

    def deliver(session: Any) -> None:
        row = session.get_one(Record, 1)
        row.status, row.delivered_version = "delivered", 1

    writing(term.site.engine, deliver)
    term.now += WEEK / 2
    term.load(LOGIC, removals="all")
    assert term.local() == ["10-12 10:00"]
    term.load(ALGEBRA, LOGIC)  # the row is back
    mondays = ("10-12", "10-19", "10-26", "11-02", "11-09", "11-16")
    assert term.local() == [f"{day} 10:00" for day in mondays]
    assert term.count(Series) == 2


def test_what_people_change_survives_imports(term: Term) -> None:
    rows = (ALGEBRA, LOGIC)
    term.load(*rows)
    lectures = [row for row in term.occurrences() if row.series_id == 1]

    def edit(n: int, **values: Any) -> None:
        store.edit_occurrence(
            term.site.engine, lectures[n].id, OccurrenceEdit(**values), term.now, None
        )

    edit(1, is_off=True)
    edit(2, start=utc(datetime(2026, 10, 28, 14, tzinfo=ZONE)))
    edit(3, name="Guest lecture")
    store.set_state(term.site.engine, 2, "disabled", "no camera", term.now, None)
    kept = ["10-12 10:00", "10-28 14:00", "11-02 10:00", "11-09 10:00"]
    for n in range(3):
        until = f"2027-01-{25 - n}"
        report = term.load(*(row.replace("2027-01-25", until) for row in rows), removals="all")
        assert len(report.changes.changed) == (2 if n else 0)
        assert term.local() == kept
        assert term.local("LOG-2") == []
        assert {row.event_name for row in map(term.site.row, (3, 4))} == {
            "MATH-101: Lecture", "Guest lecture",
        }  # fmt: skip
    term.load(LOGIC, removals="all")
    term.load(*rows)
    assert term.local() == kept
    assert term.series() == {"MATH-101": "active", "LOG-2": "disabled"}


def test_what_people_have_ended_stays_so(term: Term) -> None:
    term.load(ALGEBRA)
    store.set_state(term.site.engine, 1, "over", "", term.now, None)
    report = term.load(ALGEBRA, removals="all")
    assert not report.has_changes and "MATH-101" in str(report.notes[0])
    assert term.series() == {"MATH-101": "over"}


def test_a_wrong_row_stops_no_other_and_ends_nothing(term: Term) -> None:
    term.load(ALGEBRA, LOGIC)
    wrong = (
        ALGEBRA.replace(",504,", ",540,"),
        "A,,Th,9:00,10:00,504,,,,",
        "B,,M,25:00,,504,,,,",
        "C,,M,9:00,,504,,,,",
        "D,,M,11:00,10:00,504,,,,",
        '"E","=HYPERLINK(""x"")",F,9:00,10:00,504,,,,',
    )
    report = term.load(*wrong, removals="all")
    assert [one.course for one in report.changes.added] == ["E"]
    assert report.changes.added[0].title == '=HYPERLINK("x")'  # a text like any other
    lines = sentences(report)
    assert [line[:6] for line in lines] == [f"line {n}" for n in (3, 4, 6, 2, 5)]
    assert "did you mean" in lines[3] and "504" in lines[3]
    assert "write R for Thursday" in lines[0] and "recordings need an end" in lines[4]
    assert [one.course for one in report.changes.ended] == ["MATH-101", "LOG-2"]
    assert term.series() == {"MATH-101": "active", "LOG-2": "active", "E": "active"}
    assert "not understood" in str(report.notes[0])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Course Code\nMATH-101\n",
        "\n".join([HEADINGS, *(ALGEBRA.replace("101", str(n)) for n in range(5001))]),
        f'{HEADINGS}\n"{ALGEBRA}',
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\n",
    ],
)
def test_a_file_that_is_of_no_use_changes_nothing(term: Term, text: str) -> None:
    term.load(ALGEBRA)
    with pytest.raises(Invalid):
        term.load(removals="all", tabs=(Tab(text),))
    with pytest.raises(Invalid, match="tab 'Winter'"):
        term.load(removals="all", tabs=(Tab(sheet(LOGIC).tabs[0].text), Tab(text, "Winter")))
    assert term.series() == {"MATH-101": "active"}


def test_as_spreadsheets_write_it(term: Term) -> None:
    text = "\ufeffКурс;Дни;Начало;Конец;Аудитория\r\nMATH-101;Пн;10:00;11:30;504\r\n"
    assert term.load(tabs=(Tab(text),)).changes.added[0].course == "MATH-101"
    assert len(term.local()) == 5


def test_a_calendar(term: Term) -> None:
    def calendar(rule: str, *more: str) -> str:
        lines = ("BEGIN:VCALENDAR", "BEGIN:VEVENT", "UID:1", "SUMMARY:MATH-101: Lecture",
                 "DTSTART;TZID=Europe/Berlin:20261005T100000", "DURATION:PT90M", "LOCATION:504",
                 f"RRULE:{rule}", "END:VEVENT", *more, "END:VCALENDAR")  # fmt: skip
        return "\r\n".join(lines)

    moved = ("BEGIN:VEVENT", "UID:1", "RECURRENCE-ID;TZID=Europe/Berlin:20261019T100000",
             "DTSTART;TZID=Europe/Berlin:20261020T150000", "DURATION:PT90M",
             "SUMMARY:MATH-101: Lecture", "LOCATION:504", "END:VEVENT")  # fmt: skip
    term.load(tabs=(Tab(calendar("FREQ=WEEKLY", *moved)),))
    assert term.local()[:3] == ["10-12 10:00", "10-20 15:00", "10-26 10:00"]
    assert not term.load(tabs=(Tab(calendar("FREQ=WEEKLY", *moved)),)).has_changes
    report = term.load(tabs=(Tab(calendar("FREQ=SECONDLY")),), removals="all")
    assert "FREQ=SECONDLY is not possible" in sentences(report)[0]
    assert len(term.local()) == 5


def test_the_clock_of_a_meeting_must_be_known(term: Term) -> None:
    term.site.add_room("505", zone="Europe/Moscow")
    report = term.load(ONLINE, ALGEBRA)
    assert "time zone" in sentences(report)[0] and term.series() == {"MATH-101": "active"}
    term.load(ONLINE, zone="Asia/Tokyo")
    at = term.occurrences()[1].start_at.astimezone(ZoneInfo("Asia/Tokyo"))
    assert f"{at:%m-%d %H:%M}" == "10-14 12:00"


def test_rows_that_do_not_say_since_when_go_on_as_they_began(term: Term) -> None:
    open_ended = "MATH-101,Lecture,M,10:00,11:30,504,,,2026-11-02,"
    term.load(open_ended)
    for _ in range(5):  # also when the term is over
        term.now += WEEK
        report = term.load(open_ended, removals="all")
        assert not report.has_changes and not report.timetable.complaints


def test_half_a_sheet_does_not_empty_the_term(term: Term) -> None:
    rows = [
        ALGEBRA.replace("101", str(n)).replace("10:00", f"{n // 6}:{n % 6}0") for n in range(33)
    ]
    term.load(*rows)
    for removals in ("few", "few"):
        report = term.load(*rows[:20], LOGIC, removals=removals)  # type: ignore[arg-type]
        assert report.needs_confirmation and not report.is_applied
        assert "13 of 33 series would end" in str(report.notes[0])
        assert set(term.series().values()) == {"active"} and len(term.series()) == 33
    report = term.load(*rows[:22], removals="few")  # a third, and not more
    assert len(report.changes.ended) == 11 and report.is_applied
    report = term.load(*rows[:9], removals="few")
    assert report.needs_confirmation
    report = term.load(*rows[:9], removals="all")  # a person has looked
    assert report.is_applied and list(term.series().values()).count("active") == 9


def test_two_imports_at_once_add_each_lecture_once(term: Term) -> None:
    rows = [ALGEBRA, LOGIC, ONLINE]
    with ThreadPoolExecutor(2) as both:
        list(both.map(lambda _: term.load(*rows), range(2)))
    assert (term.count(Series), term.count(Room)) == (3, 2)
    assert len(term.local()) == 5 and not term.load(*rows).has_changes


def test_timetables_leave_each_other_alone(term: Term) -> None:
    term.load(ALGEBRA)
    report = term.load(LOGIC, removals="all", source="other.csv")
    assert not report.changes.ended
    assert term.series() == {"MATH-101": "active", "LOG-2": "active"}
    with pytest.raises(Invalid):
        importing.check_source("people")


@pytest.mark.parametrize("act", ["adopt", "end", "late"])
def test_a_timetable_gets_another_name(term: Term, act: str) -> None:
    report = term.load(ALGEBRA, LOGIC)
    assert not report.others
    later = term.occurrences()[2]
    store.edit_occurrence(
        term.site.engine, later.id, OccurrenceEdit(name="Guest lecture"), term.now, None
    )
    # As a tab of a sheet, its lines have other keys; and one of them is gone.
    renamed = TimetableText("autumn", (Tab(sheet(ALGEBRA, ONLINE).tabs[0].text, "Autumn"),))
    load = partial(importing.import_timetable, term.site.engine, renamed, "all", term.now)
    if act == "late":  # somebody did not read what the preview says
        load()
    preview = importing.preview_import(term.site.engine, renamed, "all", term.now)
    assert preview.others == {"term.csv": 1} and "'term.csv' has 1 of" in str(preview.notes[-1])
    earlier = importing.Earlier("term.csv", "end" if act == "end" else "adopt")
    document = import_document(load(earlier))
    names = {kind: [one["course"] for one in document[kind]] for kind in ("adopted", "replaced")}
    assert (
        names
        == {
            "adopt": {"adopted": ["MATH-101", "LOG-2"], "replaced": []},
            "end": {"adopted": [], "replaced": ["MATH-101", "LOG-2"]},
            "late": {"adopted": ["LOG-2"], "replaced": ["MATH-101"]},
        }[act]
    )
    states = [(row.source, row.state, row.ended_by) for row in term.rows_of_series("MATH-101")]
    if act == "adopt":
        assert states == [("autumn", "active", None)]
        assert [row.name for row in term.occurrences() if row.name] == ["Guest lecture"]
    else:
        assert states == [("term.csv", "over", "timetable"), ("autumn", "active", None)]
    mondays = ("10-12", "10-19", "10-26", "11-02", "11-09")
    assert term.local() == [f"{day} 10:00" for day in mondays]  # each once, and none is lost
    assert term.local("LOG-2") == []
    again = load()
    assert not again.has_changes and not again.others
    with pytest.raises(Invalid, match="no timetable 'term'"):
        load(importing.Earlier("term", "adopt"))


def test_days_off_of_a_sheet_go_with_it(term: Term) -> None:
    hand = DayOff(first_day=datetime(2026, 11, 9).date(), last_day=datetime(2026, 11, 9).date(),
                  name="Strike")  # fmt: skip
    writing(term.site.engine, lambda session: session.add(hand))
    days = Tab(
        "date,name,room\n2026-10-19..2026-10-26,Break,\n2026-11-02,Repairs,504\n", "Days off"
    )
    report = term.load(ALGEBRA, days_off=days)
    assert [day.name for day in report.days_off.added] == ["Break", "Repairs"]
    assert term.local() == ["10-12 10:00"]
    assert not term.load(ALGEBRA, days_off=days).has_changes
    assert not term.load(ALGEBRA).has_changes  # which says nothing of them
    wrong = replace(days, text="date,name,room\n2026-11-02,Repairs,540\n")
    report = term.load(ALGEBRA, days_off=wrong)
    assert not report.has_changes and sentences(report)[0].startswith("tab 'Days off', line 2")
    term.load(ALGEBRA, days_off=replace(days, text="date,name,room\n2026-11-02,Repairs,504\n"))
    assert term.local() == ["10-12 10:00", "10-19 10:00", "10-26 10:00"]
    term.load(ALGEBRA, days_off=replace(days, text="date,name\n"))
    assert len(term.local()) == 4
    assert [day["name"] for day in days_off.list_days_off(term.site.engine)] == ["Strike"]


PLACES = ("import.rooms", "import.days_off", "import.series", "import.occurrences")
_CRASH = """
import os, signal, sys
from merger import failpoints
def hook(name):
    if name == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)
failpoints.hook = hook
import app
sys.exit(app.main(sys.argv[2:]))
"""


@pytest.mark.parametrize("place", PLACES)
def test_killed_anywhere_it_is_all_or_nothing(term: Term, tmp_path: Path, place: str) -> None:
    file = tmp_path / "term.csv"
    file.write_text(sheet(ALGEBRA, LOGIC, ONLINE).tabs[0].text)
    environ = {**os.environ, **term.site.variables}
    command = ("timetable", "import", str(file))
    killed = subprocess.run(
        [sys.executable, "-c", _CRASH, place, *command], cwd=ROOT, env=environ, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert (term.count(Series), term.count(Room), term.count(Record)) == (0, 1, 0)
    assert term.site.run(*command).returncode == 0
    assert term.count(Series) == 3 and term.count(Room) == 2


@pytest.mark.parametrize("place", PLACES)
def test_a_failure_anywhere_leaves_the_last_timetable(
    term: Term, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    term.load(ALGEBRA, LOGIC)
    known = term.local(), term.local("LOG-2")

    def fail(name: str) -> None:
        if name == place:
            raise RuntimeError(name)

    monkeypatch.setattr(failpoints, "hook", fail)
    with pytest.raises(RuntimeError):
        term.load(ALGEBRA.replace("11:30", "12:00"), ONLINE, removals="all")
    assert (term.local(), term.local("LOG-2")) == known
    assert term.count(Series) == 2 and term.count(Room) == 1

"""Calendars become series: zones, exceptions, and what is refused; nothing breaks the parser."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merger.errors import Invalid
from merger.timeline.clock import Span
from merger.timetable.ics import Calendar, Event, EventComplaint, parse_calendar
from merger.timetable.recurrence import Override, Recurrence, occurrences
from tests.texts.russian import in_russian

pytestmark = pytest.mark.quick

NOW = datetime(2026, 9, 1, tzinfo=UTC)
BERLIN = "Europe/Berlin"
LECTURE = {
    "UID": "1@example.edu",
    "SUMMARY": "CS50: Lecture",
    "LOCATION": "504",
    "DTSTAMP": "20260801T000000Z",
    f"DTSTART;TZID={BERLIN}": "20260907T100000",
    f"DTEND;TZID={BERLIN}": "20260907T113000",
    "RRULE": "FREQ=WEEKLY;BYDAY=MO",
}
# What a program writes that keeps zones of its own.
OUTLOOK_ZONE = """\
BEGIN:VTIMEZONE
TZID:{name}
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:{summer}
TZOFFSETTO:{winter}
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:{winter}
TZOFFSETTO:{summer}
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
"""


def event(change: dict[str, str | None] | None = None, *, of: dict[str, str] | None = None) -> str:
    """Return a lecture with other properties; None removes one."""
    lines = {**(LECTURE if of is None else of), **(change or {})}
    text = "\n".join(f"{name}:{value}" for name, value in lines.items() if value is not None)
    return f"BEGIN:VEVENT\n{text}\nEND:VEVENT\n"


def calendar(*parts: str, head: str = "") -> str:
    return f"BEGIN:VCALENDAR\nVERSION:2.0\n{head}{''.join(parts)}END:VCALENDAR\n"


def parse(*parts: str, head: str = "", zone: str = BERLIN) -> Calendar:
    found = parse_calendar(calendar(*parts, head=head).replace("\n", "\r\n"), "x", zone, NOW)
    for complaint in found.complaints:
        in_russian(complaint.sentence)
    return found


def only_event(*parts: str, **other: Any) -> Event:
    found = parse(*parts, **other)
    assert found.complaints == ()
    [event] = found.events
    return event


def complaint(*parts: str) -> EventComplaint:
    """Return what is wrong with an event; the good one beside it is taken."""
    found = parse(*parts, event({"UID": "good", "SUMMARY": "Good"}))
    assert [event.series.title for event in found.events] == ["Good"]
    [complaint] = found.complaints
    return complaint


def starts(event: Event, first: str = "2026-09-01", last: str = "2026-10-01") -> list[str]:
    window = Span(*(datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (first, last)))
    found = occurrences(event.series.recurrence, window, overrides=event.series.overrides)
    return [f"{occurrence.span.start:%m-%d %H:%M}" for occurrence in found]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_an_event_is_a_series() -> None:
    found = parse(event(), head="METHOD:PUBLISH\n")
    [lecture] = found.events
    assert found.method == "PUBLISH"
    assert lecture.series.recurrence == Recurrence(
        BERLIN, datetime(2026, 9, 7, 10), timedelta(minutes=90), "FREQ=WEEKLY;BYDAY=MO"
    )
    assert (lecture.series.course, lecture.series.title, lecture.series.room) == (
        "CS50",
        "Lecture",
        "504",
    )
    assert (lecture.uid, lecture.sequence, lecture.stamped_at) == (
        "1@example.edu",
        0,
        utc("2026-08-01"),
    )
    assert (lecture.is_off, lecture.series.mode, len(lecture.series.key)) == (False, "asks", 40)
    assert starts(lecture) == ["09-07 08:00", "09-14 08:00", "09-21 08:00", "09-28 08:00"]


def test_keys_are_of_source_and_event() -> None:
    keys = {only_event(event()).series.key, only_event(event({"SUMMARY": "Other"})).series.key}
    assert len(keys) == 1
    assert only_event(event({"UID": "2"})).series.key not in keys
    assert parse_calendar(calendar(event()), "y", BERLIN, NOW).events[0].series.key not in keys


@pytest.mark.parametrize(
    ("change", "course", "title"),
    [
        ({"SUMMARY": "Physics"}, "", "Physics"),
        ({"SUMMARY": "CS50: Lecture: Trees"}, "CS50", "Lecture: Trees"),
        ({"DESCRIPTION": "Welcome\\nCourse: CS51\\nBye"}, "CS51", "CS50: Lecture"),
        ({"DESCRIPTION": "поток: CS50"}, "CS50", "Lecture"),
        ({"SUMMARY": "=1+1\\, \u202eevil"}, "", "=1+1, evil"),
        ({"SUMMARY": None}, "", ""),
    ],
)
def test_courses(change: dict[str, str | None], course: str, title: str) -> None:
    series = only_event(event(change)).series
    assert (series.course, series.title) == (course, title)


@pytest.mark.parametrize(
    ("change", "room", "meeting"),
    [
        ({"LOCATION": "https://example.zoom.us/j/0123456789?pwd=s3cr3t"}, None, "0123456789"),
        ({"DESCRIPTION": "Join <https://zoom.us/j/9876543210>"}, "504", "9876543210"),
        ({"LOCATION": None, "URL": "https://zoom.us/w/9876543210"}, None, "9876543210"),
        (
            {"LOCATION": None, "X-GOOGLE-CONFERENCE": "https://zoom.us/j/9876543210"},
            None,
            "9876543210",
        ),
        ({"DESCRIPTION": "https://zoom.us.evil.example/j/9876543210"}, "504", None),
        ({"DESCRIPTION": "https://evilzoom.us/j/9876543210"}, "504", None),
    ],
)
def test_places(change: dict[str, str | None], room: str | None, meeting: str | None) -> None:
    series = only_event(event(change)).series
    assert (series.room, series.meeting, series.mode) == (
        room,
        meeting,
        "asks" if room else "names",
    )
    assert "s3cr3t" not in repr(series)


@pytest.mark.parametrize(
    ("change", "length"),
    [
        ({f"DTEND;TZID={BERLIN}": None}, 0),
        ({f"DTEND;TZID={BERLIN}": None, "DURATION": "PT1H15M"}, 75),
        ({f"DTEND;TZID={BERLIN}": None, "DTEND": "20260907T090000Z"}, 60),
        ({f"DTEND;TZID={BERLIN}": None, "DTEND;TZID=America/New_York": "20260907T050000"}, 60),
    ],
)
def test_lengths(change: dict[str, str | None], length: int) -> None:
    assert only_event(event(change)).series.recurrence.length == timedelta(minutes=length)


def at(tzid: str, time: str = "20260907T100000") -> dict[str, str | None]:
    """Return what makes an event begin by another clock."""
    name = f"DTSTART;TZID={tzid}" if tzid else "DTSTART"
    return {f"DTSTART;TZID={BERLIN}": None, f"DTEND;TZID={BERLIN}": None, name: time}


CUSTOM = OUTLOOK_ZONE.format(name="Customized Time Zone", winter="+0100", summer="+0200")


@pytest.mark.parametrize(
    ("tzid", "head", "zone"),
    [
        ("Asia/Kathmandu", "", "Asia/Kathmandu"),
        ("AUS Eastern Standard Time", "", "Australia/Sydney"),
        ('"W. Europe Standard Time"', "", "Europe/Berlin"),
        ("/example.org/20260101_1/America/Argentina/Salta", "", "America/Argentina/Salta"),
        ("/example.org/Europe/Moscow", "", "Europe/Moscow"),
        (
            "Mine",
            "BEGIN:VTIMEZONE\nTZID:Mine\nX-LIC-LOCATION:Europe/Paris\nEND:VTIMEZONE\n",
            "Europe/Paris",
        ),
        ("Customized Time Zone", CUSTOM, BERLIN),
        (
            "Eastern",
            OUTLOOK_ZONE.format(name="Eastern", winter="+0200", summer="+0300"),
            "Asia/Beirut",
        ),
        ("", "X-WR-TIMEZONE:Europe/Paris\n", "Europe/Paris"),
        ("", "X-WR-TIMEZONE:Mars/Phobos\n", BERLIN),
        ("", "", BERLIN),
    ],
)
def test_zones(tzid: str, head: str, zone: str) -> None:
    recurrence = only_event(event(at(tzid)), head=head).series.recurrence
    assert (recurrence.zone, recurrence.starts_local) == (zone, datetime(2026, 9, 7, 10))


def test_times_in_utc_repeat_by_the_clock_of_the_room() -> None:
    lecture = only_event(event(at("", "20260907T080000Z")))
    assert lecture.series.recurrence.starts_local == datetime(2026, 9, 7, 10)
    assert starts(lecture, "2026-10-19", "2026-11-01") == ["10-19 08:00", "10-26 09:00"]


HOSTILE_ZONE = (
    "BEGIN:VTIMEZONE\nTZID:{name}\nBEGIN:STANDARD\nDTSTART:19700101T000000\n"
    "TZOFFSETFROM:+0000\nTZOFFSETTO:+0017\nRRULE:{rule}\nEND:STANDARD\nEND:VTIMEZONE\n"
)


@pytest.mark.parametrize(
    "rule", ["FREQ=SECONDLY", "FREQ=DAILY;BYHOUR=1", "FREQ=DAILY", "FREQ=YEARLY;COUNT=500", ""]
)
def test_a_zone_that_nobody_knows(rule: str) -> None:
    """No rule of a stranger's zone is expanded for long."""
    head = HOSTILE_ZONE.format(name="Nowhere", rule=rule)
    found = parse(event(at("Nowhere")), head=head)
    assert [c.field for c in found.complaints] == ["zone"]
    assert "'Nowhere' is not a known time zone" in str(found.complaints[0].sentence)


# --- exceptions -----------------------------------------------------------------------------------


def change(original: str, **values: str) -> str:
    """Return what becomes of one occurrence."""
    properties = {
        "UID": LECTURE["UID"],
        f"RECURRENCE-ID;TZID={BERLIN}": original,
        "SUMMARY": LECTURE["SUMMARY"],
    }
    return event(of={**properties, **values})


def test_occurrences_are_moved_cancelled_and_left_out() -> None:
    moved = {f"DTSTART;TZID={BERLIN}": "20260915T140000", f"DTEND;TZID={BERLIN}": "20260915T150000"}
    lecture = only_event(
        change("20260914T100000", **moved, LOCATION="505"),
        event(
            {f"EXDATE;TZID={BERLIN}": "20260921T100000", f"RDATE;TZID={BERLIN}": "20260930T100000"}
        ),
        change("20260928T100000", STATUS="CANCELLED"),
    )
    assert starts(lecture) == ["09-07 08:00", "09-15 12:00", "09-30 08:00"]
    assert lecture.series.overrides == (
        Override(utc("2026-09-14T08:00"), Span(utc("2026-09-15T12:00"), utc("2026-09-15T13:00"))),
        Override(utc("2026-09-28T08:00"), None),
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("EXDATE", "20260914T080000Z", ["09-07", "09-21", "09-28"]),
        ("EXDATE;VALUE=DATE", "20260914,20260921", ["09-07", "09-28"]),
        ("EXDATE;TZID=America/New_York", "20260914T040000", ["09-07", "09-21", "09-28"]),
        ("EXDATE", "20260914T100000", ["09-07", "09-21", "09-28"]),
        ("RDATE;VALUE=DATE", "20260908", ["09-07", "09-08", "09-14", "09-21", "09-28"]),
        (
            "RDATE;VALUE=PERIOD",
            "20260908T080000Z/PT1H",
            ["09-07", "09-08", "09-14", "09-21", "09-28"],
        ),
    ],
)
def test_dates_that_come_on_top_or_fall_out(name: str, value: str, expected: list[str]) -> None:
    assert [start[:5] for start in starts(only_event(event({name: value})))] == expected


@pytest.mark.parametrize(
    "original", ["RECURRENCE-ID", "RECURRENCE-ID;VALUE=DATE", "RECURRENCE-ID;TZID=Asia/Tokyo"]
)
def test_occurrences_are_named_in_several_ways(original: str) -> None:
    value = {"RECURRENCE-ID": "20260914T080000Z", "RECURRENCE-ID;VALUE=DATE": "20260914"}.get(
        original, "20260914T170000"
    )
    lecture = only_event(
        event(), event(of={"UID": LECTURE["UID"], original: value, "STATUS": "CANCELLED"})
    )
    assert starts(lecture) == ["09-07 08:00", "09-21 08:00", "09-28 08:00"]


def test_an_occurrence_may_have_another_name() -> None:
    lecture = only_event(event(), change("20260914T100000", SUMMARY="CS50: Exam"))
    [override] = lecture.series.overrides
    assert override.name == "CS50: Exam"
    assert override.span == Span(utc("2026-09-14T08:00"), utc("2026-09-14T09:30"))


def test_the_newest_version_counts() -> None:
    old, new = {"SEQUENCE": "1", "SUMMARY": "Old"}, {"SEQUENCE": "2", "SUMMARY": "New"}
    assert only_event(event(new), event(old)).series.title == "New"
    late = {"SUMMARY": "Late", "DTSTAMP": "20260802T000000Z"}
    assert only_event(event(late), event()).series.title == "Late"
    lecture = only_event(
        event(),
        change("20260914T100000", SEQUENCE="2", STATUS="CANCELLED"),
        change("20260914T100000", SEQUENCE="1"),
    )
    assert lecture.series.overrides[0].span is None


def test_a_change_without_its_event_is_an_event() -> None:
    lecture = only_event(
        change(
            "20260914T100000", **{f"DTSTART;TZID={BERLIN}": "20260915T140000", "LOCATION": "504"}
        )
    )
    assert (lecture.series.recurrence.rule, starts(lecture)) == (None, ["09-15 12:00"])


@pytest.mark.parametrize(
    ("head", "status"), [("METHOD:CANCEL\n", None), ("", "CANCELLED"), ("", "cancelled")]
)
def test_an_event_that_is_cancelled(head: str, status: str | None) -> None:
    assert only_event(event({"STATUS": status}), head=head).is_off
    assert not only_event(event({"STATUS": "CONFIRMED"})).is_off


@pytest.mark.parametrize(
    "change",
    [
        {
            "RRULE": None,
            f"DTSTART;TZID={BERLIN}": "20200907T100000",
            f"DTEND;TZID={BERLIN}": "20200907T110000",
        },
        {
            "RRULE": "FREQ=WEEKLY;UNTIL=20200907",
            f"DTSTART;TZID={BERLIN}": "19990907T100000",
            f"DTEND;TZID={BERLIN}": "19990907T110000",
        },
        {
            "RRULE": "FREQ=WEEKLY;COUNT=3",
            f"DTSTART;TZID={BERLIN}": "20260309T100000",
            f"DTEND;TZID={BERLIN}": "20260309T110000",
        },
    ],
)
def test_what_is_over_is_left_out(change: dict[str, str | None]) -> None:
    found = parse(event(change))
    assert (found.events, found.complaints) == ((), ())


def test_what_was_moved_ahead_is_not_over() -> None:
    single = {
        "RRULE": None,
        f"DTSTART;TZID={BERLIN}": "20260309T100000",
        f"DTEND;TZID={BERLIN}": "20260309T113000",
    }
    moved = change("20260309T100000", **{f"DTSTART;TZID={BERLIN}": "20260910T100000"})
    assert starts(only_event(event(single), moved)) == ["09-10 08:00"]


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({f"DTSTART;TZID={BERLIN}": None}, "start", "has no start"),
        ({f"DTSTART;TZID={BERLIN}": None, "DTSTART;VALUE=DATE": "20260907"}, "start", "lasts the whole day"),
        ({f"DTSTART;TZID={BERLIN}": "tomorrow"}, "start", "'tomorrow' is not a time"),
        ({f"DTSTART;TZID={BERLIN}": "20260230T100000"}, "start", "not a time"),
        ({f"DTSTART;TZID={BERLIN}": "00010101T000000"}, "start", "not a time"),
        ({f"DTSTART;TZID={BERLIN}": None, "DTSTART": "99991231T235959Z"}, "start", "not a time"),
        ({f"DTSTART;TZID={BERLIN}": "20290907T100000", f"DTEND;TZID={BERLIN}": None}, "start", "two years"),
        ({f"DTSTART;TZID={BERLIN}": "19700101T000000", f"DTEND;TZID={BERLIN}": None}, "start", "two years"),
        (at("Mars/Phobos"), "zone", "'Mars/Phobos' is not a known time zone"),
        (at("../../etc/passwd"), "zone", "not a known time zone"),
        ({f"DTEND;TZID={BERLIN}": "20260907T090000"}, "length", "from 1 minute"),
        ({f"DTEND;TZID={BERLIN}": "20260909T100000"}, "length", "to 24 hours"),
        ({f"DTEND;TZID={BERLIN}": None, "DTEND;VALUE=DATE": "20260908"}, "end", "lasts the whole day"),
        ({f"DTEND;TZID={BERLIN}": None, "DURATION": "an hour"}, "length", "'an hour' is not a length"),
        ({f"DTEND;TZID={BERLIN}": None, "DURATION": f"P{'9' * 29}W"}, "length", "is not a length"),
        ({"RRULE": "FREQ=SECONDLY"}, "rule", "FREQ=SECONDLY is not possible"),
        ({"RRULE": "FREQ=DAILY;BYHOUR=1,2,3"}, "rule", "BYHOUR"),
        ({"RRULE": "FREQ=DAILY;COUNT=501"}, "rule", "from 1 to 500"),
        ({"RRULE": "FREQ=WEEKLY\nRRULE:FREQ=DAILY"}, "rule", "more than one rule"),
        ({"EXRULE": "FREQ=WEEKLY"}, "rule", "EXRULE"),
        ({"EXDATE": ",".join(["20260914"] * 501)}, "exdates", "more than 500"),
        ({"RDATE": "20260914T1000"}, "rdates", "not a time"),
        ({"RDATE": "20990914T100000"}, "rdates", "two years"),
        ({"UID": None}, "uid", "no UID"),
        ({"LOCATION": None}, "room", "write a room or a meeting"),
        ({"LOCATION": "https://meet.example.edu/x"}, "room", "write a room or a meeting"),
        ({"RRULE;": "FREQ=DAILY"}, "", "can't be read: RRULE;:FREQ=DAILY"),
        ({"dtstart;x": "1"}, "", "can't be read: dtstart;x:1"),
    ],
)  # fmt: skip
def test_events_that_are_refused(change: dict[str, str | None], field: str, words: str) -> None:
    found = complaint(event(change))
    assert (found.event, found.field) == ("CS50: Lecture", field)
    assert words in str(found.message)
    assert str(found.sentence).startswith("'CS50: Lecture': ")


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        (
            {f"RECURRENCE-ID;TZID={BERLIN};RANGE=THISANDFUTURE": "20260914T100000"},
            "rule",
            "all later ones",
        ),
        (
            {f"RECURRENCE-ID;TZID={BERLIN}": "20260914T100000", f"DTSTART;TZID={BERLIN}": "x"},
            "start",
            "not a time",
        ),
        (
            {f"RECURRENCE-ID;TZID={BERLIN}": "20260914T100000", "DURATION": "-PT1H"},
            "length",
            "from 1 minute",
        ),
        ({"RECURRENCE-ID": "soon"}, "start", "not a time"),
    ],
)
def test_changes_that_are_refused(change: dict[str, str], field: str, words: str) -> None:
    found = complaint(event(), event(of={"UID": LECTURE["UID"], **change}))
    assert (found.field, words in str(found.message)) == (field, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no calendar"),
        ("<html>Sign in</html>", "no calendar"),
        ("course,title\nCS50,Lecture\n", "no calendar"),
        (event(), "no calendar"),
        ("X:1\n" + calendar(event()), "no calendar"),
        (calendar(), "no events"),
        (calendar("BEGIN:VTODO\nUID:1\nEND:VTODO\n"), "no events"),
        (calendar(event())[:-16], "breaks off"),
        (calendar(event())[:-30], "breaks off"),
        (calendar("BEGIN:VEVENT\nEND:VTODO\n"), "breaks off"),
        pytest.param("BEGIN:VCALENDAR\n" * 1000, "no calendar", id="deep"),
        pytest.param(
            calendar("BEGIN:VEVENT\nEND:VEVENT\n" * 5001), "more than 5000 events", id="many"
        ),
        pytest.param(calendar("x" * 1_000_000), "larger than 1 MB", id="large"),
    ],
)
def test_texts_that_are_refused_as_a_whole(text: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_calendar(text, "x", BERLIN, NOW)
    assert words in str(caught.value)
    in_russian(caught.value.message)


def test_many_events_and_zones() -> None:
    small = {"UID": None, "SUMMARY": None, "DTSTAMP": None, "RRULE": None}
    zones = "".join(HOSTILE_ZONE.format(name=f"Z{n}", rule="FREQ=DAILY") for n in range(100))
    events = [event({**small, **at(f"Z{n % 100}"), "UID": str(n)}) for n in range(3000)]
    found = parse(*events, head=zones)
    assert len(found.complaints) == 3000
    events = [event({**small, **at("", "20260907T100000"), "UID": str(n)}) for n in range(5000)]
    assert len(parse(*events).events) == 5000


def test_several_calendars_in_one_text() -> None:
    text = calendar(event()) + calendar(event({"UID": "2"}), head="METHOD:CANCEL\n")
    assert [e.is_off for e in parse_calendar(f"\ufeff{text}", "x", BERLIN, NOW).events] == [
        False,
        True,
    ]


# --- anything at all ------------------------------------------------------------------------------

NAMES = ("DTSTART", "DTEND", "DURATION", "RRULE", "EXDATE", "RDATE", "RECURRENCE-ID", "UID", "SUMMARY", "STATUS",
         "LOCATION", "SEQUENCE", "DTSTAMP", "ORGANIZER", "TZID", "TZOFFSETTO", "BEGIN", "END", "X-WR-TIMEZONE")  # fmt: skip
PARAMS = (
    "",
    ";TZID=Europe/Berlin",
    ";VALUE=DATE",
    ";TZID=Nowhere",
    ";RANGE=THISANDFUTURE",
    ";TZID=",
    ";X",
)
VALUES = ("20260907T100000", "20260907T080000Z", "20260907", "PT90M", "-P1D", "FREQ=WEEKLY;BYDAY=MO", "FREQ=SECONDLY",
          "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU", "CANCELLED", "VEVENT", "VCALENDAR", "VTIMEZONE", "STANDARD", "Nowhere",
          "+0100", "-9999", "1", "mailto:a@b.c", "20260907T100000/PT1H", "99991231T235959Z", "\ud800", "")  # fmt: skip
LINES = st.builds(
    lambda name, param, value: f"{name}{param}:{value}",
    st.sampled_from(NAMES), st.sampled_from(PARAMS), st.one_of(st.sampled_from(VALUES), st.text(max_size=9)),
)  # fmt: skip


@st.composite
def calendars(draw: st.DrawFn) -> str:
    parts = []
    for name in draw(st.lists(st.sampled_from(("VEVENT", "VEVENT", "VTIMEZONE")), max_size=3)):
        lines = draw(st.lists(LINES, max_size=9))
        if name == "VEVENT":
            lines = ["UID:1", "DTSTART:20260907T100000", "LOCATION:504", *lines]
        parts.append("\n".join([f"BEGIN:{name}", *lines, f"END:{name}", ""]))
    return calendar(*parts)


@settings(max_examples=200, deadline=None)
@given(st.one_of(calendars(), st.text(), st.text().map(lambda text: calendar(event(), text))))
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        found = parse_calendar(text, "x", BERLIN, NOW)
    except Invalid as error:
        in_russian(error.message)
        return
    for complaint in found.complaints:
        in_russian(complaint.sentence)
    for lecture in found.events:
        starts(lecture)


def test_dates_are_of_the_event() -> None:
    """A date means the day by the clock of the event's own zone."""
    lecture = only_event(
        event({**at("Asia/Tokyo", "20260907T003000"), "EXDATE;VALUE=DATE": "20260914"})
    )
    assert lecture.series.recurrence.exdates == (date(2026, 9, 14),)
    assert starts(lecture) == ["09-06 15:30", "09-20 15:30", "09-27 15:30"]

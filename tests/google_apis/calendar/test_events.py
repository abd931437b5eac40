"""What an event of a calendar means for a room, and what is changed of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from google_apis.calendar.announcer import MOST_ATTACHMENTS, add_links
from google_apis.calendar.events import calendar_event, course_code
from google_apis.classroom.announcer import is_of
from google_apis.classroom.courses import course_in
from merger.ports.announcer import Link
from merger.timeline.clock import Span

MOSCOW = ZoneInfo("Europe/Moscow")
EVENT: dict[str, Any] = {
    "id": "abc_20261120T070000Z", "status": "confirmed", "summary": "  Linear \n algebra ",
    "start": {"dateTime": "2026-11-20T10:00:00+03:00", "timeZone": "Europe/Moscow"},
    "end": {"dateTime": "2026-11-20T11:20:00+03:00"},
    "organizer": {"email": "lecturer@example.edu"},
}  # fmt: skip
SPAN = Span(datetime(2026, 11, 20, 7, tzinfo=UTC), datetime(2026, 11, 20, 8, 20, tzinfo=UTC))


def meant(**changes: Any) -> Any:
    return calendar_event("room@group.calendar.google.com", {**EVENT, **changes}, MOSCOW)


def test_an_event_is_a_lecture() -> None:
    one = meant(description="Поток: БПМИ231")
    assert one.name == "Linear algebra" and one.span == SPAN and not one.is_off
    assert one.owner == "lecturer@example.edu" and one.course_code == "БПМИ231"
    assert (one.calendar, one.event) == ("room@group.calendar.google.com", EVENT["id"])


def test_a_time_without_an_offset_is_the_rooms() -> None:
    one = meant(start={"dateTime": "2026-11-20T10:00:00"}, end={"dateTime": "2026-11-20T11:20:00"})
    assert one.span == SPAN


@pytest.mark.parametrize(
    "changes",
    [
        {"start": {"date": "2026-11-20"}, "end": {"date": "2026-11-21"}},
        {"start": {}}, {"start": None}, {"end": {"dateTime": "yesterday"}},
        {"end": EVENT["start"]},
    ],
)  # fmt: skip
def test_what_has_no_times_has_no_span(changes: dict[str, Any]) -> None:
    assert meant(**changes).span is None


@pytest.mark.parametrize(
    ("changes", "is_off"),
    [
        ({"status": "cancelled"}, True),
        ({"status": "tentative"}, False),
        ({"attendees": [{"self": True, "responseStatus": "declined"}]}, True),
        ({"attendees": [{"self": True, "responseStatus": "accepted"}]}, False),
        ({"attendees": [{"email": "a@example.edu", "responseStatus": "declined"}]}, False),
    ],
)
def test_what_does_not_take_place(changes: dict[str, Any], is_off: bool) -> None:
    assert meant(**changes).is_off is is_off


@pytest.mark.parametrize(
    "kind", ["outOfOffice", "focusTime", "workingLocation", "birthday", "fromGmail"]
)
def test_what_is_no_meeting(kind: str) -> None:
    assert meant(eventType=kind) is None
    assert meant(eventType="default") == meant() is not None


def test_digits_behind_the_second() -> None:
    start = {"dateTime": "2026-11-20T10:00:00.0000000+03:00"}
    assert meant(start=start).span == SPAN


def test_a_deleted_event_says_nothing_but_its_id() -> None:
    one = calendar_event("c", {"id": "x", "status": "cancelled"}, MOSCOW)
    assert one is not None and one.is_off and one.span is None
    assert calendar_event("c", {"status": "cancelled"}, MOSCOW) is None


def test_a_calendar_is_no_person() -> None:
    room = {"email": "room@group.calendar.google.com", "self": True}
    assert meant(organizer=room).owner == ""
    assert meant(organizer=room, creator={"email": "a@example.edu"}).owner == "a@example.edu"
    seminars = {"email": "c_1a2b@group.calendar.google.com"}  # which invites the room
    assert meant(organizer=seminars, creator={"email": "a@example.edu"}).owner == "a@example.edu"
    assert meant(creator={"email": "secretary@example.edu"}).owner == "lecturer@example.edu"


@pytest.mark.parametrize(
    ("description", "code"),
    [
        ("course: MATH-101", "MATH-101"),
        ("Bring paper.\nCOURSE : MATH 101 \nand pens", "MATH 101"),
        ("Поток: БПМИ231", "БПМИ231"),
        ("<p>Bring paper.</p><p><b>Поток</b>:&nbsp;БПМИ231<br>and pens</p>", "БПМИ231"),
        ("<div>course: A&amp;B</div>", "A&B"),
        ("Intro<ul><li>course: MATH-101</li></ul>", "MATH-101"),
        ("Intro<div>course: MATH-101</div>", "MATH-101"),
        ("Intro<p>Поток: БПМИ231</p>", "БПМИ231"),
        ("Intro<p dir='ltr'>Поток: БПМИ231</p>and pens", "БПМИ231"),
        ("Intro<br class='x'>course: MATH-101<br/>and pens", "MATH-101"),
        ("<H2>Intro</H2>course: MATH-101<ol><li>pens</li></ol>", "MATH-101"),
        ("Intro<blockquote>course: MATH-101</blockquote>", "MATH-101"),
        ("<table><tr><td>course:</td><td>MATH-101</td></tr><tr><td>x</td></tr>", "MATH-101"),
        ("<pre>course: MATH-101</pre>, <big>or not</big>", "MATH-101, or not"),
        ("this course: of events", None),
        ("course:", None),
        ("course:\nBring paper", None),
        ("course:\r\nBring paper", None),
        ("course\n: Bring paper", None),
        ("<p>course: </p><p>Bring paper</p>", None),
        ("course:\nПоток: БПМИ231", "БПМИ231"),
        ("\n \tcourse:\t MATH-101\r\n\r\nBring paper", "MATH-101"),
        ("", None),
    ],
)
def test_the_course_in_a_description(description: str, code: str | None) -> None:
    assert course_code(description) == code


MERGE = Link("drive", "merge", "https://drive.google.com/file/d/1/view", "1")
BACKUP = Link("drive", "backup", "https://drive.google.com/file/d/2/view", "2")


def test_links_are_attached_beside_what_is_there() -> None:
    mine = {"fileUrl": "https://drive.google.com/file/d/9/view", "title": "Slides"}
    change = add_links({"attachments": [mine]}, (MERGE, BACKUP), "Algebra")
    assert change["attachments"][0] == mine
    assert [one["title"] for one in change["attachments"]] == [
        "Slides", "Algebra", "Algebra (backup)",
    ]  # fmt: skip
    assert "description" not in change


def test_what_is_attached_is_not_attached_again() -> None:
    there = [
        {"fileUrl": MERGE.url},
        {"fileUrl": "https://drive.google.com/open?id=2", "fileId": "2"},
    ]
    assert add_links({"attachments": there}, (MERGE, BACKUP), "Algebra") == {}


def test_beyond_the_most_attachments_links_stand_in_the_description() -> None:
    there = [{"fileUrl": f"https://drive.google.com/{n}"} for n in range(MOST_ATTACHMENTS)]
    event = {"attachments": there, "description": "Bring paper."}
    change = add_links(event, (MERGE,), "Algebra")
    assert change == {"description": f"Bring paper.\nAlgebra: {MERGE.url}"}
    assert add_links({**event, **change}, (MERGE,), "Algebra") == {}


def test_a_course_by_its_code() -> None:
    rows = [["БПМИ231", "111"], ["short"], [], [" math-101 ", 222], ["math-101", "333"], ["x", ""]]
    assert course_in(rows, "Math-101") == "222"
    assert course_in(rows, "бпми231") == "111"
    assert course_in(rows, "x") is None and course_in(rows, "short") is None


def test_an_announcement_is_known_by_its_file() -> None:
    ours = {"materials": [{"link": {}}, {"driveFile": {"driveFile": {"id": "1"}}}]}
    assert is_of(ours, "1") and not is_of(ours, "2") and not is_of({}, "1")

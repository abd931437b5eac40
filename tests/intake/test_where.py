"""Where is it? One answer, by number, course, room, day and words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from sqlalchemy import event, insert

from merger.db.engine import writing
from merger.intake import where
from merger.intake.where import Question, understand
from merger.records import requests
from merger.timeline.clock import utc
from models import Event, Offer, Record
from tests.fakes.zoom import NUMBER, zoom_served
from tests.intake.test_matching import HOUR, Campus, local
from tests.support.databases import ON_SQLITE
from tests.support.selection import BOTH_DATABASES
from tests.support.site import Site

NUMBERS = "1234567890", "123-456 7890", "*1234567890*", " 123 456 7890 ", "123 - 4567890"


@pytest.fixture
def campus(site: Site) -> Iterator[Campus]:
    with zoom_served() as zoom:
        made = Campus(site, zoom)
        made.add_room()
        yield made


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_however_it_is_written(text: str) -> None:
    assert understand(text) == Question(number="1234567890")


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("12345678901", Question(number="12345678901")),
        ("123", Question(words="123", is_odd=True)),
        ("123456789012", Question(words="123456789012", is_odd=True)),
        ("abcdefghijk", Question(words="abcdefghijk")),
        ("2026-09-07", Question(day=date(2026, 9, 7))),
        ("2026-13-07", Question(words="2026-13-07", is_odd=True)),
        ("  MATH   101 ", Question(words="MATH 101")),
        ("１２３４５６７８９０", Question(words="１２３４５６７８９０", is_odd=True)),
        ("", Question(words="")),
    ],
)  # fmt: skip
def test_what_a_text_looks_for(text: str, question: Question) -> None:
    assert understand(text) == question


def starts(answer: dict[str, Any]) -> list[list[str]]:
    return [[one["start"][:10] for one in meeting["recordings"]] for meeting in answer["meetings"]]


@BOTH_DATABASES
def test_all_that_is_known_of_a_number(campus: Campus) -> None:
    campus.set(MERGER_UNMATCHED="ignore", MERGER_WEB_ADDRESS="https://lectures.example.edu")
    campus.plan(owners=("ada@example.org",))
    first = campus.meet(local(7, 10))["record"]
    assert campus.meet(local(8, 16))["record"] is None
    campus.meet(local(9, 10), number=999999999)
    answer = where.find(campus.service, str(NUMBER), None)
    (meeting,) = answer["meetings"]
    assert (meeting["number"], meeting["room"], meeting["live"]) == (str(NUMBER), "504", "none")
    ignored, kept = meeting["recordings"]
    assert ignored["offer"]["reason"].startswith("no lecture of room 504") and not ignored["record"]
    assert kept["record"]["id"] == first and kept["record"]["course"] == "MATH-101"
    assert kept["record"]["links"] == [
        {"kind": "page", "link": f"https://lectures.example.edu/records/{first}"}
    ]
    assert kept["history"][0]["text"] == "requested by prof@example.edu"
    (planned,) = meeting["timetable"]
    assert planned["next"] == utc(local(14, 10)).isoformat()
    assert answer["next"] is None and answer["note"] is None


@ON_SQLITE
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("MATH-101", [["2026-09-07"]]), ("Lecture", [["2026-09-07"]]), ("lect", [["2026-09-07"]]),
        ("504", [["2026-09-08", "2026-09-07"]]), ("2026-09-08", [["2026-09-08"]]),
        ("2026-09-06", []), ("Algebra", [["2026-09-08"]]), ("abcdefghijk", []), ("123", []),
        ("1234567890", []), ("100%", []), ("'; --", []), ("", [["2026-09-08", "2026-09-07"]]),
    ],
)  # fmt: skip
def test_what_is_found(campus: Campus, text: str, found: list[list[str]]) -> None:
    campus.plan()
    campus.meet(local(7, 10))
    campus.meet(local(8, 16))
    answer = where.find(campus.service, text, None)
    assert starts(answer) == found
    assert (answer["note"] is None) is bool(found)
    assert ("9 to 11 digits" in (answer["note"] or "")) is (text == "123")


@ON_SQLITE
def test_a_meeting_that_was_never_recorded(campus: Campus) -> None:
    campus.plan()
    for text in (str(NUMBER), "MATH-101"):
        (meeting,) = where.find(campus.service, text, None)["meetings"]
        assert [one["name"] for one in meeting["timetable"]] == ["MATH-101: Lecture"]
        assert meeting["recordings"] == []


@BOTH_DATABASES
def test_page_after_page(campus: Campus) -> None:
    campus.set(MERGER_UNMATCHED="ignore")
    campus.plan()
    for day in (7, 8, 14, 15, 21):  # every other is of no lecture
        campus.meet(local(day, 10))
    seen, cursor = [], None
    for _ in range(5):
        answer = where.find(campus.service, str(NUMBER), None, cursor, limit=1)
        seen += [one for meeting in starts(answer) for one in meeting]
        cursor = answer["next"]
    assert cursor is None
    assert seen == ["2026-09-21", "2026-09-15", "2026-09-14", "2026-09-08", "2026-09-07"]


@ON_SQLITE
def test_however_many_there_are_it_asks_as_often(campus: Campus) -> None:
    campus.plan()
    campus.meet(local(7, 10))
    asked: list[str] = []
    event.listen(campus.site.engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
    where.find(campus.service, str(NUMBER), None)
    few = len(asked)
    add_records(campus, 100)
    asked.clear()
    answer = where.find(campus.service, str(NUMBER), None, limit=100)
    assert len(answer["meetings"][0]["recordings"]) == 100 and len(asked) == few


def add_records(campus: Campus, count: int) -> None:
    """Add records of the meeting, with a history."""
    at = [utc(local(7, 10)) - n * HOUR for n in range(count)]

    def add(session: Any) -> None:
        common = {"zone": "Europe/Moscow", "layout": "side_by_side", "profile": "720p"}
        session.execute(insert(Record), [
            {"id": n + 100, "room_id": 1, "start_at": at[n], "end_at": at[n] + HOUR, **common,
             "event_name": f"Lecture {n}", "created_at": at[n], "updated_at": at[n],
             "run_after": at[n], "status": "delivered", "stage": "deliver"}
            for n in range(count)
        ])  # fmt: skip
        session.execute(insert(Offer), [
            {"kind": "zoom", "origin": f"uuid-{n}", "place": str(NUMBER), "name": "Algebra",
             "state": "record", "record_id": n + 100, "offered_at": at[n], "start_at": at[n],
             "end_at": at[n] + HOUR}
            for n in range(count)
        ])  # fmt: skip
        note = requests.Message("history.requested")
        session.execute(insert(Event), [
            {"record_id": n + 100, "at": at[n], "attempt": 0, "kind": "asked", "message": note}
            for n in range(count) for _ in range(8)
        ])  # fmt: skip

    writing(campus.site.engine, add)

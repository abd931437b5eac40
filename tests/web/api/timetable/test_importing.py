"""Timetables over the API: all of it or nothing, in one answer."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from merger.series.documents import list_series
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web, problem, told

pytestmark = ON_SQLITE
SHEET = "course,title,days,start,end,room\nA-1,Lecture,M,10:00,11:30,504\n"


def load(
    web: Web, text: str = SHEET, query: str = "", who: str = "eve", **more: Any
) -> TestResponse:
    options = {"data": text.encode(), "content_type": "text/csv", **more}
    return web.api(who, "POST", f"/timetable{query}", **options)


def test_a_sheet_is_imported(web: Web) -> None:
    preview = told(load(web, query="?dry_run=true"))
    assert not preview["applied"] and list_series(web.site.engine) == []
    found = told(load(web))
    assert found == {**preview, "applied": True}
    [added] = found["added"]
    assert (added["name"], added["room"], added["when"]) == ("A-1: Lecture", "504", "MO 10:00")
    assert told(load(web))["unchanged"] == 1
    other = SHEET.replace("A-1", "B-2")
    missing = told(load(web, other))
    assert [one["course"] for one in missing["missing"]] == ["A-1"] and missing["notes"]
    ended = told(load(web, other, "?remove=true"))
    assert [one["course"] for one in ended["ended"]] == ["A-1"]


def test_a_calendar_is_imported(web: Web) -> None:
    text = (
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:A-1: Lecture\r\nLOCATION:504\r\n"
        "DTSTART;TZID=Europe/Moscow:20261123T100000\r\nDURATION:PT90M\r\n"
        "RRULE:FREQ=WEEKLY;COUNT=3\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    found = told(load(web, text, content_type="text/calendar"))
    assert [one["name"] for one in found["added"]] == ["A-1: Lecture"]


def test_what_is_wrong_is_said_with_its_line(web: Web) -> None:
    text = f"{SHEET}B-2,,Th,9:00,10:00,504\n"
    [complaint] = told(load(web, text))["complaints"]
    assert (complaint["line"], complaint["field"]) == (3, "days")
    russian = told(load(web, text, headers={"Accept-Language": "ru"}))["complaints"]
    assert "четверг" in russian[0]["text"]


@pytest.mark.parametrize("text", ["", "Course Code\nA\n", "BEGIN:VCALENDAR\n", "\xff"])
def test_what_is_of_no_use_changes_nothing(web: Web, text: str) -> None:
    told(load(web))
    problem(load(web, text, "?remove=true", data=text.encode("latin-1")), 422, "timetable")
    assert [one["state"] for one in list_series(web.site.engine)] == ["active"]


def test_who_may_and_in_which_form(web: Web) -> None:
    problem(load(web, who="ann"), 403)
    problem(load(web, content_type="application/json"), 415)
    problem(load(web, SHEET + "x" * 1_000_000), 422)
    problem(load(web, query="?remove=perhaps"), 422)
    problem(load(web, query="?source=people"), 422, "source")
    problem(web.api("eve", "POST", "/timetable/refresh"), 422, "timetable")
    assert list_series(web.site.engine) == []

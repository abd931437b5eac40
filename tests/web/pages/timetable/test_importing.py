"""The page on which editors import timetables."""

from __future__ import annotations

import io

import pytest

from merger.series.documents import list_series
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web
from tests.web.markup import check_markup
from tests.web.pages.reader import Reader, error_at, reader, text_of

pytestmark = ON_SQLITE
PAGE = "/timetable/import"
SHEET = "course,title,days,start,end,room\nA-1,Lecture,M,10:00,11:30,504\n"


def sent(who: Reader, **fields: object) -> str:
    response = who.send(PAGE, PAGE, {"source": "Autumn", **fields})
    assert response.status_code == 200, response.text
    check_markup(response.text, who.language)
    return text_of(response)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_preview_then_the_import(web: Web, language: str) -> None:
    editor = reader(web, "eve", language)
    text = f"{SHEET}B-2,,Th,9:00,10:00,504\nC-3,,W,9:00,,\n"
    page = sent(editor, text=text, zone="Europe/Moscow")
    assert "A-1: Lecture" in page and "MO 10:00" in page
    assert ("write R for Thursday" if language == "en" else "четверг пишется R") in page
    assert list_series(web.site.engine) == []
    sent(editor, text=text, zone="Europe/Moscow", apply="yes")
    assert [one["source"] for one in list_series(web.site.engine)] == ["Autumn"]


def test_a_file_is_known_by_its_name(web: Web) -> None:
    file = (io.BytesIO(SHEET.encode("utf-8-sig")), "Spring.csv")
    page = sent(reader(web, "eve"), file=file, source="", apply="yes")
    assert "Imported" in page
    assert [one["source"] for one in list_series(web.site.engine)] == ["Spring"]


def test_what_is_gone_is_shown_and_ends_if_that_is_wished(web: Web) -> None:
    editor, other = reader(web, "eve"), SHEET.replace("A-1", "B-2")
    sent(editor, text=SHEET, apply="yes")
    page = sent(editor, text=other)
    assert "End the series that the timetable no longer has" in page
    sent(editor, text=other, apply="yes")
    assert [one["state"] for one in list_series(web.site.engine)] == ["active", "active"]
    sent(editor, text=other, apply="yes", remove="on")
    assert [one["state"] for one in list_series(web.site.engine)] == ["active", "over"]


def test_mistakes_stand_at_their_fields(web: Web) -> None:
    editor = reader(web, "eve")
    for fields, field in (
        ({"text": "Course Code\nA\n"}, "text"),
        ({"text": SHEET, "source": ""}, "source"),
        ({"text": SHEET, "zone": "Moscow"}, "zone"),
        ({"text": SHEET, "last": "soon"}, "last"),
    ):
        page = editor.wrong(PAGE, PAGE, {"source": "Autumn", "apply": "yes", **fields})
        assert error_at(page, field)
    assert list_series(web.site.engine) == []


def test_what_others_write_is_shown_as_text(web: Web) -> None:
    evil = "<script>alert(1)</script>"
    page = sent(
        reader(web, "eve"), text=f'{SHEET}{evil},,M,9:00,10:00,504\nB,,"{evil}",9:00,,504\n'
    )
    assert "alert(1)" in page


def test_a_timetable_of_the_settings_that_is_away(web: Web) -> None:
    web.site.environ["MERGER_TIMETABLE_URL"] = "https://127.0.0.1:1/term.ics"
    web = Web(web.site, web.keys, web.ids)
    editor = reader(web, "eve")
    assert "It was not read yet" in editor.get(PAGE)
    page = editor.wrong(PAGE, "/timetable/refresh", {"source": "url", "apply": "yes"})
    assert "doesn't answer" in page
    assert "can't be read since" in editor.get(PAGE)
    assert "can't be read since" in reader(web, "ada").get("/operations")

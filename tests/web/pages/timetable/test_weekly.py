"""The form that requests weekly recordings: what it shows before anything is requested."""

from __future__ import annotations

import html

import pytest

from merger.series import documents
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web, ask, told
from tests.web.markup import check_markup
from tests.web.pages.reader import Reader, error_at, reader, value_of
from tests.web.pages.timetable.planned import FRIDAY, WEEKLY

pytestmark = ON_SQLITE


@pytest.fixture(autouse=True)
def friday(web: Web) -> None:
    web.site.clock = FRIDAY


def preview(there: Reader, **changes: str) -> str:
    """Send the form, and return the page on which it is to be confirmed."""
    response = there.send("/request", "/request", {**WEEKLY, **changes})
    assert response.status_code == 200, response.text
    check_markup(response.text, there.language)
    return html.unescape(response.text).replace("\u2060", "")


@pytest.mark.parametrize("language", ["en", "ru"])
def test_all_dates_are_shown_first_and_then_requested(web: Web, language: str) -> None:
    ann = reader(web, "ann", language)
    page = preview(ann)
    words = {
        "en": ("Request all 5 lectures", "Mon 21 Dec 2026, 10:00–11:30", "5 lectures requested", "Show in the timetable"),
        "ru": ("Запросить все 5 лекций", "пн 21 декабря 2026, 10:00–11:30", "Запрошено 5 лекций", "Показать в расписании"),
    }[language]  # fmt: skip
    assert words[0] in page and words[1] in page and web.site.count("queued") == 0
    page = ann.done("/request", "/request", {**WEEKLY, "weekly": "all", "users": "bob@example.org"})
    assert words[2] in page and words[3] in page and web.site.count("queued") == 5
    assert web.site.details()["users"] == ["ann@example.org", "bob@example.org"]
    assert (web.site.row(1).event_name, web.site.row(1).layout) == ("Optics", "side_by_side")


def test_what_is_in_the_way_is_left_out(web: Web) -> None:
    told(ask(web, "bob", start="2026-11-30T11:00", end="2026-11-30T12:00", name="Secret"), 201)
    told(web.api("eve", "POST", "/days-off", json={"first": "2026-12-07", "name": "Holidays"}), 201)
    ann = reader(web, "ann")
    page = preview(ann)
    assert "somebody else's recording, 11:00–12:00" in page and "Secret" not in page
    assert "day off (Holidays)" in page and "Request all" not in page
    assert "Request the 3 free lectures" in page
    page = ann.done("/request", "/request", {**WEEKLY, "weekly": "without"})
    assert "3 lectures requested" in page
    rows = documents.list_series(web.site.engine)
    assert rows[0]["exdates"] == ["2026-11-30", "2026-12-07"]
    # Whoever sends the other choice all the same sees what is in the way again.
    assert "Request the" in preview(ann, weekly="all", start="11:30", end="12:30")
    eve = reader(web, "eve")
    assert "Secret" in preview(eve) and "Request all 5 lectures" in preview(eve)


def test_where_nothing_is_free_there_is_nothing_to_request(web: Web) -> None:
    told(ask(web, "bob", start="2026-11-23T11:00", end="2026-11-23T12:00"), 201)
    page = preview(reader(web, "ann"), until="2026-11-24")
    assert "Go back and choose another time" in page and 'name="weekly"' not in page
    assert "/request?room=504" in page and "until=2026-11-24" in page


def test_what_is_wrong_is_said_at_the_field(web: Web) -> None:
    ann = reader(web, "ann")
    for until, words in (
        ("soon", "'soon' isn't a valid date"), ("2026-11-23", "must be after the date"), ("2028-01-01", "within the next year"),
    ):  # fmt: skip
        page = ann.wrong("/request", "/request", {**WEEKLY, "until": until})
        assert words in error_at(page, "until") and value_of(page, "until") == until
        checked = ann.send("/request", "/request/check", {**WEEKLY, "until": until}).get_json()
        assert words in checked["errors"]["until"]
    web.site.clock = FRIDAY.replace(month=12, day=24)
    ann = reader(web, "ann")
    page = ann.wrong("/request", "/request", WEEKLY)
    assert "no lecture is left" in error_at(page, "until")

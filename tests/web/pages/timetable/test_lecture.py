"""The page of a lecture: skipped, held after all, moved, renamed; and by whom."""

from __future__ import annotations

import pytest

from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web, ask, told
from tests.web.pages.reader import error_at, reader, value_of
from tests.web.pages.timetable.planned import FRIDAY, plan

pytestmark = ON_SQLITE
FORM = {
    "act": "change",
    "room": "504",
    "date": "2026-11-23",
    "start": "10:00",
    "end": "11:30",
    "name": "Optics",
}
PAGE = "/timetable/1"


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_lecture_is_skipped_and_held_after_all(web: Web, language: str) -> None:
    plan(web)
    ann = reader(web, "ann", language)
    page = ann.done(PAGE, PAGE, {"act": "skip"})
    assert {
        "en": "Skipped. Nothing is recorded that day.",
        "ru": "В этот день ничего не запишется",
    }[language] in page
    assert web.site.row(1).status == "cancelled" and "ann@example.org" in page
    page = ann.done(PAGE, PAGE, {"act": "on"})
    assert {"en": "It takes place, and is recorded.", "ru": "Лекция будет и запишется."}[
        language
    ] in page
    assert web.site.row(1).status == "queued"


def test_a_lecture_is_moved_and_renamed(web: Web) -> None:
    plan(web)
    web.site.add_room("506", zone="Europe/Berlin")
    ann = reader(web, "ann")
    assert [value_of(ann.get(PAGE), name) for name in ("date", "start", "end")] == [
        "2026-11-23",
        "10:00",
        "11:30",
    ]
    moved = {
        **FORM,
        "date": "2026-11-25",
        "start": "12:00",
        "end": "13:00",
        "room": "506",
        "name": "Lenses",
    }
    page = ann.done(PAGE, PAGE, moved)
    assert "Saved." in page and "Wed 25 Nov 2026, 12:00–13:00" in page and "Lenses" in page
    row = web.site.row(1)
    assert (row.event_name, row.start_at.isoformat()) == ("Lenses", "2026-11-25T11:00:00+00:00")


WRONG = [
    ({"date": ""}, "date", "This field is required"), ({"start": "x"}, "start", "'x' isn't a valid time"),
    ({"end": "09:00"}, "end", "The end must be after the start"), ({"room": "505"}, "room", "There is no room 505"),
    ({"date": "2026-12-23"}, "start", "at most 14 days"), ({"name": "x" * 256}, "name", "At most 255"),
    ({"date": "2026-11-26", "start": "10:00"}, "start", "somebody else has requested this time"),
]  # fmt: skip


def test_what_is_wrong_is_said_at_the_field(web: Web) -> None:
    plan(web)
    told(ask(web, "bob", start="2026-11-26T10:00", end="2026-11-26T11:00"), 201)
    ann = reader(web, "ann")
    for changes, name, words in WRONG:
        page = ann.wrong(PAGE, PAGE, {**FORM, **changes})
        assert words in error_at(page, name), changes
    assert web.site.row(1).event_name == "Optics"


def test_who_may_change_a_lecture_and_until_when(web: Web) -> None:
    plan(web, owners=("ann@example.org", "bob@example.org"))
    bob = reader(web, "bob")
    page = bob.get(PAGE)
    assert "Optics" in page and "Skip this lecture" not in page
    assert bob.send("/account", PAGE, {"act": "skip"}).status_code == 403
    reader(web, "ada").done(PAGE, PAGE, {"act": "skip"})
    web.add("kim", "user")
    reader(web, "kim").get(PAGE, 404)
    web.site.clock = FRIDAY.replace(month=12)
    ann = reader(web, "ann")
    assert "It takes place after all" not in ann.get(PAGE)
    assert ann.send("/account", PAGE, {"act": "on"}).status_code == 409

"""The page of a series, and days off."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import pytest

from merger.timetable.recurrence import Recurrence
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web
from tests.web.pages.reader import error_at, reader
from tests.web.pages.timetable.planned import MONDAYS, plan

pytestmark = ON_SQLITE
PAGE = "/series/1"
WHEN: list[tuple[Recurrence, str, str]] = [
    (MONDAYS, "Mondays 10:00–11:30, until Mon 21 Dec 2026", "по понедельникам 10:00–11:30, до пн 21 декабря 2026"),
    (replace(MONDAYS, rule="FREQ=WEEKLY;BYDAY=WE,MO;INTERVAL=2", until_day=None), "Mondays, Wednesdays, every 2 weeks, 10:00–11:30", "по понедельникам, по средам, раз в 2 недели, 10:00–11:30"),
    (replace(MONDAYS, rule="FREQ=DAILY;COUNT=5", until_day=None), "Every day 10:00–11:30, 5 times", "Каждый день 10:00–11:30, 5 раз"),
    (replace(MONDAYS, rule="FREQ=WEEKLY;UNTIL=20261220T210000Z"), "until Mon 21 Dec 2026", "до пн 21 декабря 2026"),
    (replace(MONDAYS, rule="FREQ=MONTHLY"), "By the rule FREQ=MONTHLY, 10:00–11:30", "По правилу FREQ=MONTHLY, 10:00–11:30"),
    (replace(MONDAYS, rule=None, until_day=None), "Mon 23 Nov 2026 10:00–11:30", "пн 23 ноября 2026 10:00–11:30"),
]  # fmt: skip


@pytest.mark.parametrize(("recurrence", "english", "russian"), WHEN)
def test_when_a_series_takes_place_is_said_in_words(
    web: Web, recurrence: Recurrence, english: str, russian: str
) -> None:
    plan(web, recurrence=recurrence)
    assert english in reader(web, "ann").get(PAGE)
    assert russian in reader(web, "ann", "ru").get(PAGE)


def test_a_series_is_switched_off_and_on_and_ended(web: Web) -> None:
    plan(web)
    ann = reader(web, "ann")
    page = ann.get(PAGE)
    assert "Active" in page and "ann@example.org" in page and "/timetable/1" in page
    assert "say why" in error_at(ann.wrong(PAGE, PAGE, {"act": "off", "reason": " "}), "reason")
    page = ann.done(PAGE, PAGE, {"act": "off", "reason": "on sick leave"})
    assert "Switched off" in page and "on sick leave" in page and web.site.count("queued") == 0
    page = ann.done(PAGE, PAGE, {"act": "on"})
    assert "The coming lectures are recorded." in page and web.site.count("queued") == 5
    page = ann.done(PAGE, PAGE, {"act": "end"})
    assert "Ended" in page and "Switch off" not in page and web.site.count("queued") == 0


def test_a_series_of_an_editor_is_not_ended_by_its_owner(web: Web) -> None:
    plan(web, "eve", owners=("ann@example.org", "bob@example.org"))
    ann = reader(web, "ann")
    assert "End this series" not in ann.get(PAGE)
    assert ann.send(PAGE, PAGE, {"act": "end"}).status_code == 403
    assert "Switch off" not in reader(web, "bob").get(PAGE)
    assert "End this series" in reader(web, "eve").get(PAGE)
    web.add("kim", "user")
    reader(web, "kim").get(PAGE, 404)


def test_editors_add_and_remove_days_off(web: Web) -> None:
    plan(web)
    there = "/timetable/days-off"
    reader(web, "ann").get(there, 403)
    eve = reader(web, "eve")
    form = {"first": "2026-11-30", "last": "2026-12-07", "name": "Holidays", "room": ""}
    for changes, name, words in (
        ({"first": ""}, "first", "This field is required"), ({"last": "x"}, "last", "'x' isn't a valid date"),
        ({"last": "2026-11-01"}, "last", "is before"), ({"room": "505"}, "room", "there is no room"),
    ):  # fmt: skip
        assert words in error_at(eve.wrong(there, there, {**form, **changes}), name)
    page = eve.done(there, there, form)
    assert "Holidays" in page and "Mon 30 Nov 2026 – Mon 7 Dec 2026" in page
    assert "already" in error_at(eve.wrong(there, there, form), "first")
    assert "it is a day off" in reader(web, "ann").get("/timetable?week=2026-11-30")
    page = eve.done(there, f"{there}/1/delete")
    assert "There are no days off yet." in page and web.site.count("queued") == 5


def test_dates_of_the_series_are_those_of_its_own(web: Web) -> None:
    plan(web)
    plan(
        web,
        "bob",
        recurrence=replace(
            MONDAYS, starts_local=datetime(2026, 11, 24, 10), until_day=date(2026, 12, 1)
        ),
    )
    page = reader(web, "bob").get("/series/2")
    assert "/timetable/1" not in page and page.count('class="card"') == 2

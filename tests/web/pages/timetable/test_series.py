"""The page of a series, and days off."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime

import pytest
from sqlalchemy import update

from merger.db.engine import writing
from merger.series import store
from merger.series.store import OccurrenceEdit
from merger.timetable.recurrence import Recurrence
from models import Series
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web
from tests.web.pages.reader import error_at, reader, value_of
from tests.web.pages.timetable.planned import MONDAYS, plan

pytestmark = ON_SQLITE
PAGE, EDIT = "/series/1", "/series/1/edit"
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


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_series_is_changed_once_somebody_has_seen_what_is_in_the_way(
    web: Web, language: str
) -> None:
    plan(web)
    plan(web, "bob", title="Logic", recurrence=replace(
        MONDAYS, starts_local=datetime(2026, 11, 24, 14), until_day=date(2026, 11, 24)
    ))  # fmt: skip
    ann = reader(web, "ann", language)
    store.edit_occurrence(
        web.site.engine, 2, OccurrenceEdit(name="Guest lecture"), web.site.clock, None
    )
    assert EDIT in ann.get(PAGE)
    page = ann.get(EDIT)
    assert value_of(page, "date") == "2026-11-23" and value_of(page, "end") == "11:30"
    assert re.findall(r'value="(\w\w)" checked', page) == ["MO"]
    wanted = {
        "name": "Optics II", "course_code": "", "room": "504", "date": "2026-11-23",
        "start": "14:00", "end": "15:30", "rule": "", "until": "2026-12-21",
        "users": "ann@example.org bob@example.org", "days": ["MO", "TU"],
    }  # fmt: skip
    for changes, field in (
        ({"start": ""}, "start"), ({"until": "2026-11-01"}, "until"), ({"room": "9"}, "room"),
        ({"users": "bob@example.org"}, "users"), ({"rule": "FREQ=SECONDLY", "days": []}, "rule"),
    ):  # fmt: skip
        page = ann.wrong(EDIT, EDIT, {**wanted, **changes})
        assert error_at(page, field) if field != "rule" else "SECONDLY" in page

    response = ann.send(EDIT, EDIT, wanted)  # others have the time of one
    assert response.status_code == 200 and 'value="save"' not in response.text
    assert {"en": "At 1 of these times", "ru": "В 1 случае"}[language] in response.text
    assert ann.send(EDIT, EDIT, {**wanted, "act": "save"}).status_code == 422
    free = {**wanted, "days": ["MO", "WE"]}
    response = ann.send(EDIT, EDIT, free)
    assert response.status_code == 200 and 'value="save"' in response.text
    assert web.site.count("queued") == 6  # nothing is saved yet
    assert 'value="MO" checked' in ann.send(EDIT, EDIT, {**free, "act": "back"}).text

    page = ann.done(EDIT, EDIT, {**free, "act": "save"})
    assert "Optics II" in page and "bob@example.org" in page and "Guest lecture" in page
    rows = {row.start_at.isoformat()[:16]: row for row in map(web.site.row, (1, 2, 3))}
    assert rows["2026-11-23T11:00"].event_name == "Optics II"
    assert rows["2026-11-30T07:00"].event_name == "Guest lecture"  # it keeps its change


def test_who_may_change_a_series(web: Web) -> None:
    plan(web, "eve", owners=("ann@example.org", "bob@example.org"))
    ann, eve = reader(web, "ann"), reader(web, "eve")
    assert EDIT not in ann.get(PAGE)
    ann.get(EDIT, 403)
    assert EDIT in eve.get(PAGE) and eve.get(EDIT)
    change = update(Series).values(source="term.csv")
    writing(web.site.engine, lambda session: session.execute(change))
    assert EDIT not in eve.get(PAGE)
    assert "term.csv" in eve.get(EDIT, 409)


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

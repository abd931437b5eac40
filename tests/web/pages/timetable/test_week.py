"""The page of a week: whose lectures it shows, how they stand, and how little it asks the tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, update

from merger.db.engine import writing
from merger.series import store
from merger.series.store import OccurrenceEdit
from merger.web.pages.timetable import week
from models import Record
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web
from tests.web.pages.reader import reader
from tests.web.pages.timetable.planned import FRIDAY, MONDAYS, plan

pytestmark = ON_SQLITE
NEXT_WEEK = "/timetable?week=2026-11-25"


@pytest.mark.parametrize("language", ["en", "ru"])
def test_how_each_lecture_stands_is_said_in_words(web: Web, language: str) -> None:
    plan(web)
    words = {
        "en": ("Timetable", "Mon 23 Nov", "Planned", "Being recorded", "Being processed", "Ready", "Watch", "Off"),
        "ru": ("Расписание", "пн 23 ноября", "Запланирована", "Идёт запись", "Обрабатывается", "Готова", "Смотреть", "Не будет"),
    }[language]  # fmt: skip
    ann = reader(web, "ann", language)
    page = ann.get(NEXT_WEEK)
    assert all(word in page for word in words[:3]) and "10:00–11:30" in page and "Optics" in page
    web.site.clock = FRIDAY + timedelta(days=3, minutes=5)
    assert words[3] in ann.get(NEXT_WEEK)
    web.site.clock += timedelta(hours=2)
    assert words[4] in ann.get(NEXT_WEEK)

    def put(status: str) -> None:
        writing(
            web.site.engine,
            lambda session: session.execute(
                update(Record).where(Record.id == 1).values(status=status)
            ),
        )

    put("delivered")
    page = ann.get(NEXT_WEEK)
    assert words[5] in page and f'href="/records/1">{words[6]}' in page
    put("failed")
    assert {"en": "Failed", "ru": "Ошибка"}[language] in ann.get(NEXT_WEEK)
    store.edit_occurrence(web.site.engine, 2, OccurrenceEdit(is_off=True), web.site.clock, None)
    page = ann.get("/timetable?week=2026-11-30")
    assert (
        words[7] in page and {"en": "it was skipped", "ru": "занятие пропущено"}[language] in page
    )


def test_a_week_begins_by_the_clock_of_its_room(web: Web) -> None:
    web.site.add_room("Wellington", zone="Pacific/Auckland")
    web.site.clock = datetime.fromisoformat("2026-11-22T12:30+00:00")  # Monday there, Sunday here
    eve = reader(web, "eve")
    assert "Mon 23 Nov 2026 – Sun 29 Nov 2026" in eve.get("/timetable?room=2")
    assert "Mon 16 Nov 2026 – Sun 22 Nov 2026" in eve.get("/timetable?room=1")
    assert "Mon 16 Nov 2026 – Sun 22 Nov 2026" in eve.get("/timetable")
    web.site.environ["MERGER_TIMETABLE_ZONE"] = "Pacific/Auckland"
    assert "Mon 23 Nov 2026" in reader(replace(web), "eve").get("/timetable")


def test_people_see_their_own_lectures_and_editors_all(web: Web) -> None:
    plan(web)
    assert "Optics" in reader(web, "eve").get(NEXT_WEEK)
    bob = reader(web, "bob")
    page = bob.get(NEXT_WEEK)
    assert "Optics" not in page and "You have no lectures this week" in page
    assert "Optics" not in bob.get("/timetable?room=1&week=2026-11-23")
    assert 'href="/timetable"' in bob.get("/records")
    bob.get("/timetable?room=77", 404)


def test_the_weeks_before_and_after_are_linked(web: Web) -> None:
    plan(web)
    page = reader(web, "ann").get("/timetable?week=2026-11-29&room=1")
    assert "Mon 23 Nov 2026 – Sun 29 Nov 2026" in page
    assert "/timetable?week=2026-11-16&amp;room=1" in page.replace("&room", "&amp;room")
    assert "week=2026-11-30" in page and "This week" in page
    for odd in ("soon", "0001-01-01", "9999-12-31", ""):
        page = reader(web, "ann").get(f"/timetable?week={odd}")
        assert "Mon 16 Nov 2026 – Sun 22 Nov 2026" in page and "This week" not in page


def test_a_lecture_stands_on_its_day_by_the_clock_of_its_room(web: Web) -> None:
    web.site.add_room("Kamchatka", zone="Asia/Kamchatka")
    late = replace(MONDAYS, zone="Asia/Kamchatka", starts_local=datetime(2026, 11, 23, 0, 30))
    plan(web, room="Kamchatka", recurrence=late)
    page = reader(web, "ann").get(NEXT_WEEK)
    monday = page.partition("Mon 23 Nov</h3>")[2].partition("</li>")[0]
    assert "00:30–02:00" in monday
    assert "Optics" not in reader(web, "ann").get("/timetable?week=2026-11-22")


def test_many_rooms_are_shown_a_page_at_a_time(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(week, "PAGE", 2)
    for name in ("505", "506"):
        web.site.add_room(name)
    for room in ("504", "505", "506"):
        plan(web, "eve", room=room, title=f"in {room}")
    eve = reader(web, "eve")
    page = eve.get(NEXT_WEEK)
    assert "in 504" in page and "in 505" in page and "in 506" not in page
    page = eve.get(f"{NEXT_WEEK}&after=505")
    assert "in 506" in page and "in 505" not in page


def test_a_week_of_many_lectures_takes_few_queries(web: Web) -> None:
    for room in ("505", "506", "507"):
        web.site.add_room(room)
    counts = []
    for rooms in (("504",), ("505", "506", "507")):
        for room in rooms:
            for hour in (8, 10, 12):
                at = datetime(2026, 11, 23, hour)
                plan(web, "eve", room=room, recurrence=replace(MONDAYS, starts_local=at))
        eve = reader(web, "eve")
        statements: list[str] = []

        def listen(*arguments: Any, heard: list[str] = statements) -> None:
            heard.append(str(arguments[2]))

        event.listen(web.site.engine, "before_cursor_execute", listen)
        page = eve.get(NEXT_WEEK)
        event.remove(web.site.engine, "before_cursor_execute", listen)
        assert page.count(">Optics</a>") == (3 if len(rooms) == 1 else 12)
        counts.append(len([text for text in statements if text.startswith("SELECT")]))
    assert counts[0] == counts[1] <= 6

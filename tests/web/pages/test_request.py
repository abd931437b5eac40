"""The form that asks for a video: what it proposes, and what it says at its fields."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

import pytest

from merger.rooms import store
from merger.timeline.clock import utc
from tests.conftest import START
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web, ask, told
from tests.web.pages.reader import LECTURE, error_at, reader, value_of

pytestmark = ON_SQLITE


def test_the_half_hour_that_is_over_is_proposed_by_the_clock_of_the_room(web: Web) -> None:
    web.site.add_room("Екатеринбург", zone="Asia/Yekaterinburg")
    web.site.clock = utc(START.replace(hour=12, minute=47))
    ann = reader(web, "ann")
    page = ann.get("/request")
    assert [value_of(page, name) for name in ("date", "start", "end")] == [
        "2026-11-20",
        "12:00",
        "12:30",
    ]
    assert (
        ">504 (Europe/Moscow)</option>" in page and "Times are in the time zone of the room" in page
    )
    assert '<option value="504" data-date="2026-11-20" data-start="12:00"' in page
    assert re.search(r'data-start="14:00" data-end="14:30"[^>]*>Екатеринбург \(Asia/Yek', page)
    page = ann.get("/request?room=Екатеринбург")
    assert [value_of(page, name) for name in ("start", "end")] == ["14:00", "14:30"]
    web.site.clock = utc(START.replace(hour=0, minute=10))
    page = ann.get("/request")
    assert [value_of(page, name) for name in ("date", "start", "end")] == [
        "2026-11-19",
        "23:30",
        "00:00",
    ]
    page = ann.get("/request?room=504&date=2026-11-18&start=10:05&end=11:20&name=Матан")
    values = [value_of(page, name) for name in ("date", "start", "end", "name")]
    assert values == ["2026-11-18", "10:05", "11:20", "Матан"]


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_record_is_asked_for_cancelled_and_tried_again(web: Web, language: str) -> None:
    ann = reader(web, "ann", language)
    said = {
        "en": ("Recording requested.", "Recording cancelled.", "Trying again now.", "Waiting"),
        "ru": ("Запись запрошена.", "Запрос отменён.", "Пробуем ещё раз.", "Ожидает"),
    }[language]
    asked = {**LECTURE, "course_code": "M1", "users": "bob@example.org, Eve@Example.org"}
    page = ann.done("/request", "/request", asked)
    assert said[0] in page and said[3] in page and "Матан" in page and "10:05–11:20" in page
    details = web.site.details()
    assert details["users"] == ["ann@example.org", "bob@example.org", "eve@example.org"]
    assert (details["start"], details["course_code"]) == ("2026-11-20T10:05:00+03:00", "M1")
    page = ann.done("/records/1", "/records/1/cancel")
    assert said[1] in page and web.site.count("cancelled") == 1
    page = ann.done("/records", "/records/1/retry")
    assert said[2] in page and web.site.count("queued") == 1
    assert web.site.events() == ["asked", "cancelled", "retried"]
    page = ann.get("/records/1")
    words = {"en": "queued again by ann@", "ru": "снова поставлено в очередь: ann@"}
    assert words[language] in page


def test_midnight_is_the_end_of_the_day(web: Web) -> None:
    ann = reader(web, "ann")
    ann.done("/request", "/request", {**LECTURE, "start": "23:30", "end": "00:00"})
    assert web.site.details()["end"] == "2026-11-21T00:00:00+03:00"


def test_who_asks_for_what_somebody_has_asked_for_shares_it(web: Web) -> None:
    reader(web, "ann").done("/request", "/request", LECTURE)
    bob = reader(web, "bob")
    assert "Already requested" in bob.done("/request", "/request", LECTURE)
    page = bob.done("/records/1", "/records/1/delete")
    assert "Other people still have it" in page and "Матан" not in page
    ann = reader(web, "ann")
    assert "Recording deleted" in ann.done("/records/1", "/records/1/delete")
    ann.get("/records/1", 404)


WRONG = [
    ({"date": ""}, "date", "This field is required", "Заполните это поле"),
    ({"date": "2026-02-30"}, "date", "'2026-02-30' isn't a valid date", "«2026-02-30» — не дата"),
    ({"start": ""}, "start", "This field is required", "Заполните это поле"),
    ({"start": "soon"}, "start", "'soon' isn't a valid time", "«soon» — не время суток"),
    ({"start": "25:00"}, "start", "'25:00' isn't a valid time", "«25:00» — не время суток"),
    ({"end": "10:05"}, "end", "The end must be after the start", "Конец должен быть позже начала"),
    ({"end": "09:00"}, "end", "The end must be after the start", "Конец должен быть позже начала"),
    ({"date": "2028-01-10"}, "start", "more than a year", "До начала больше года"),
    ({"date": "1900-01-10"}, "date", "'1900-01-10' isn't a valid date", "«1900-01-10» — не дата"),
    ({"room": "505"}, "room", "There is no room 505", "Аудитории 505 нет"),
    ({"room": ""}, "room", "This field is required", "Заполните это поле"),
    ({"name": "x" * 256}, "name", "At most 255 characters", "Не больше 255 знаков"),
    ({"course_code": "x" * 256}, "course_code", "At most 255", "Не больше 255 знаков"),
    ({"layout": "pyramid"}, "layout", "Choose one of the options", "Выберите один"),
    ({"profile": "8k"}, "profile", "Choose one of the options", "Выберите один"),
    ({"users": "a@x.org " * 101}, "users", "At most 100 addresses", "Не больше 100 адресов"),
    ({"users": "bob@x.org, nobody"}, "users", "'nobody' isn't a valid email", "«nobody» — не адрес"),
    ({"users": "nobody, none"}, "users", "email addresses: nobody, none", "не адреса электронной почты: nobody, none"),
]  # fmt: skip


@pytest.mark.parametrize("language", ["en", "ru"])
def test_what_is_wrong_is_said_at_the_field(web: Web, language: str) -> None:
    there = reader(web, "ann", language)
    for changes, name, english, russian in WRONG:
        words = {"en": english, "ru": russian}[language]
        page = there.wrong("/request", "/request", {**LECTURE, **changes})
        assert words in error_at(page, name), changes
        assert "Матан" in page or "name" in changes  # what was typed is kept
        checked = there.send("/request", "/request/check", {**LECTURE, **changes}).get_json()
        assert list(checked["errors"]) == [name] and words in checked["errors"][name]
    assert web.site.count("queued") == 0


def test_several_mistakes_are_said_at_once(web: Web) -> None:
    there = reader(web, "ann")
    page = there.wrong("/request", "/request", {**LECTURE, "date": "", "end": "x", "users": "?"})
    for name in ("date", "end", "users"):
        assert error_at(page, name)
    assert value_of(page, "end") == "x" and "<title>Error: " in page
    right = there.send("/request", "/request/check", LECTURE)
    assert right.get_json() == {"errors": {}, "choices": {}} and web.site.count("queued") == 0


@pytest.mark.parametrize(
    ("day", "clock", "words", "russian"),
    [
        ("2026-03-29", "02:30", "does not exist in Europe/Berlin", "не было"),
        ("2026-10-25", "02:30", "happens twice in Europe/Berlin", "наступает дважды"),
    ],
)
def test_the_nights_of_the_clock_change(
    web: Web, day: str, clock: str, words: str, russian: str
) -> None:
    web.site.add_room("Berlin", zone="Europe/Berlin")
    asked = {**LECTURE, "room": "Berlin", "date": day, "start": clock, "end": "05:00"}
    assert words in error_at(reader(web, "ann").wrong("/request", "/request", asked), "start")
    page = reader(web, "ann", "ru").wrong("/request", "/request", asked)
    assert russian in error_at(page, "start")


def fields_of(page: str) -> dict[str, str]:
    """Return when the form asks for, as it would be sent."""
    values = {name: value_of(page, name) for name in ("date", "start", "end")}
    return {**values, **{f"{name}_which": which_of(page, name) for name in ("start", "end")}}


def which_of(page: str, name: str) -> str:
    """Return which of two alike times is chosen."""
    found = re.search(rf'<select id="f-{name}_which".*?</select>', page, re.DOTALL)
    assert found
    chosen = re.search(r'<option value="(\w*)" selected>', found[0])
    return chosen[1] if chosen else ""


def is_choice_shown(page: str, name: str) -> bool:
    return f'data-which="{name}">' in page


BERLIN_NIGHTS = [
    ("2026-03-29T01:10Z", "01:30", "03:00", "2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00"),
    ("2026-10-25T00:40Z", "02:00", "02:30", "2026-10-25T02:00:00+02:00", "2026-10-25T02:30:00+02:00"),
    ("2026-10-25T01:10Z", "02:30", "02:00", "2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00"),
    ("2026-10-25T02:10Z", "02:30", "03:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:00:00+01:00"),
]  # fmt: skip


@pytest.mark.parametrize(("now", "shown_start", "shown_end", "start", "end"), BERLIN_NIGHTS)
def test_what_is_proposed_in_the_nights_of_the_clock_change_can_be_asked_for(
    web: Web, now: str, shown_start: str, shown_end: str, start: str, end: str
) -> None:
    web.site.add_room("Berlin", zone="Europe/Berlin")
    web.site.clock = datetime.fromisoformat(now)
    ann = reader(web, "ann")
    proposed = fields_of(ann.get("/request?room=Berlin"))
    assert (proposed["start"], proposed["end"]) == (shown_start, shown_end)
    ann.done("/request", "/request", {**LECTURE, "room": "Berlin", **proposed})
    assert (web.site.details()["start"], web.site.details()["end"]) == (start, end)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_which_of_two_times_is_meant_can_be_chosen(web: Web, language: str) -> None:
    web.site.add_room("Berlin", zone="Europe/Berlin")
    ann = reader(web, "ann", language)
    asked = {**LECTURE, "room": "Berlin", "date": "2026-10-25", "start": "02:30", "end": "02:45"}
    page = ann.wrong("/request", "/request", {**asked, "start_which": "second", "end_which": "?"})
    assert 'data-error="start" aria-live="polite" hidden' in page and error_at(page, "end")
    assert is_choice_shown(page, "start") and is_choice_shown(page, "end")
    assert (which_of(page, "start"), which_of(page, "end")) == ("second", "")
    words = {
        "en": ["UTC+02:00, before the clocks go back", "UTC+01:00, after the clocks go back"],
        "ru": ["UTC+02:00, до перевода часов назад", "UTC+01:00, после перевода часов назад"],
    }[language]  # fmt: skip
    assert all(f">{one}</option>" in page for one in words)
    checked = ann.send("/request", "/request/check", asked).get_json()
    assert checked["choices"] == {"start": words, "end": words}
    assert set(checked["errors"]) == {"start", "end"}
    ann.done("/request", "/request", {**asked, "start_which": "first", "end_which": "second"})
    assert web.site.details()["start"] == "2026-10-25T02:30:00+02:00"
    assert web.site.details()["end"] == "2026-10-25T02:45:00+01:00"
    # Where the time happens once, nothing is to be chosen.
    page = ann.wrong("/request", "/request", {**asked, "date": "2026-10-26", "end": "01:00"})
    assert not is_choice_shown(page, "start") and not is_choice_shown(page, "end")
    ann.done("/request", "/request", {**asked, "date": "2026-10-26", "start_which": "second"})
    assert web.site.details(2)["start"] == "2026-10-26T02:30:00+01:00"


def test_without_rooms_nothing_can_be_asked_for(web: Web) -> None:
    store.delete_room(web.site.engine, 1)
    assert "There are no rooms yet." in reader(web, "ann").get("/request")
    assert "Add a room" in reader(web, "eve").get("/request")
    assert "There are no rooms yet." in reader(web, "ann").get("/rooms")


def test_a_recording_is_shared_from_its_page(web: Web) -> None:
    ask(web, users=["bob@example.org"])
    ann = reader(web, "ann")
    found = re.search(r'href="(/request\?[^"#]+)', ann.get("/records/1"))
    assert found and value_of(ann.get(found[1]), "start") == "10:05"
    asked = {**dict(parse_qsl(urlsplit(found[1]).query)), "users": "kim@example.org"}
    assert "kim@example.org" in ann.done(found[1], "/request", asked)
    assert len(told(web.api("eve", "GET", "/records"))["records"]) == 1
    assert "/request?room=" not in reader(web, "bob").get("/records/1")


def test_people_from_outside_are_marked_and_limited(web: Web) -> None:
    ann = reader(web, "ann")
    page = ann.done("/request", "/request", {**LECTURE, "users": "b@x.org, c@x.org"})
    assert "b@x.org (has not confirmed the address yet)" in page
    assert "ann@example.org," in page
    many = {**LECTURE, "users": " ".join(f"{n}@x.org" for n in range(19)), "end": "11:30"}
    assert "(18 left today)" in error_at(ann.wrong("/request", "/request", many), "users")
    odd = {**LECTURE, "users": "\u212aate@x.org nobody"}
    assert "only look like ordinary ones" in error_at(
        ann.wrong("/request", "/request", odd), "users"
    )
    assert "This address isn't confirmed yet" in reader(web, "ada").get("/people")

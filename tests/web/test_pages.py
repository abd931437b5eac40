"""The pages without JavaScript: what they show, what is done with them, and to whom."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from merger import people, queue, rooms
from merger.database import writing
from merger.errors import Temporary
from merger.timeline import utc
from models import Delivery
from tests.conftest import START, seconds
from tests.databases import ON_SQLITE
from tests.web.conftest import PASSWORD, Web
from tests.web.markup import check_markup

pytestmark = ON_SQLITE

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
LECTURE = {
    "room": "504", "date": "2026-11-20", "start": "10:05", "end": "11:20", "name": "Матан",
    "layout": "side_by_side", "profile": "720p", "course_code": "", "users": "",
}  # fmt: skip


@dataclass
class Reader:
    """Somebody with a browser that runs no scripts."""

    client: FlaskClient
    language: str = "en"

    def get(self, path: str, status: int = 200) -> str:
        """Load a page, which must be what pages must be."""
        response = self.client.get(path, headers={"Accept-Language": self.language})
        assert response.status_code == status, response.text
        if "<html" in response.text:
            check_markup(response.text, self.language)
            assert response.headers["Content-Language"] == self.language
            assert "Accept-Language" in response.headers["Vary"]
        return text_of(response)

    def send(self, on: str, action: str, fields: Mapping[str, Any] | None = None) -> TestResponse:
        """Send a form that stands on a page."""
        token = TOKEN.search(self.client.get(on).text)
        assert token, f"there is no form on {on}"
        return self.client.post(
            action,
            data={**(fields or {}), "csrf_token": token[1]},
            headers={"Accept-Language": self.language, "Referer": f"http://localhost{on}"},
        )

    def done(self, on: str, action: str, fields: Mapping[str, Any] | None = None) -> str:
        """Send a form that is right, and load the page that it leads to."""
        response = self.send(on, action, fields)
        assert response.status_code == 303, response.text
        return self.get(response.headers["Location"])

    def wrong(self, on: str, action: str, fields: Mapping[str, Any]) -> str:
        """Send a form with something wrong in it."""
        response = self.send(on, action, fields)
        assert response.status_code == 422, response.text
        check_markup(response.text, self.language)
        return text_of(response)


def text_of(response: TestResponse) -> str:
    return html.unescape(response.text).replace("\u2060", "")


def reader(web: Web, who: str, language: str = "en") -> Reader:
    return Reader(web.signed_in(who), language)


def value_of(page: str, name: str) -> str:
    found = re.search(rf'<input [^>]*value="([^"]*)" id="f-{name}"', page)
    assert found, f"no field {name}"
    return found[1]


def error_at(page: str, name: str) -> str:
    """Return what is said at a field, which must be marked, and linked from the top."""
    found = re.search(rf'id="f-{name}-error"[^>]*>(.*?)</p>', page, re.DOTALL)
    assert found and f'href="#f-{name}"' in page
    if name != "layout":
        control = re.search(rf'<(?:input|select|textarea)[^>]* id="f-{name}"[^>]*>', page)
        assert control and 'aria-invalid="true"' in control[0]
        assert f"f-{name}-error" in control[0]
    return re.sub(r"<[^>]+>", "", found[1]).strip()


# --- who reads ------------------------------------------------------------------------------------

PATHS = ("/records", "/request", "/rooms", "/keys")


def test_who_is_not_signed_in_is_sent_to_do_so(web: Web) -> None:
    stranger = web.app.test_client()
    for path in (*PATHS, "/people", "/records/1", "/rooms/new", "/rooms/1/edit"):
        response = stranger.get(f"{path}?a=b&c=d")
        assert response.status_code == 303
        assert response.headers["Location"] == f"/login?next={path}%3Fa%3Db%26c%3Dd"


def test_signing_in_leads_back(web: Web) -> None:
    stranger = Reader(web.app.test_client())
    page = stranger.get("/login?next=/records?status%3Dfailed")
    assert "Sign in" in page and "API" in page
    form = {"email": "ann@example.org", "password": "wrong", "next": "/rooms"}
    refused = stranger.send("/login", "/login", form)
    assert refused.status_code == 403 and "the address or the password is wrong" in refused.text
    assert "Rooms" in stranger.done("/login", "/login", {**form, "password": PASSWORD})
    assert "Sign in" in stranger.done("/records", "/logout")


@pytest.mark.parametrize("language", ["en", "ru"])
def test_pages_are_what_pages_must_be(web: Web, language: str) -> None:
    web.site.ask(users=("ann@example.org",))
    may: dict[str, tuple[str, ...]] = {"ann": (), "eve": ("/rooms/new", "/rooms/1/edit")}
    may["ada"] = (*may["eve"], "/people")
    for who, more in may.items():
        there = reader(web, who, language)
        for path in (*PATHS, "/records/1", *more):
            there.get(path)
        there.get("/records/99", 404)
        assert there.client.get("/").headers["Location"] == "/records"


def test_who_may_not_is_told_so(web: Web) -> None:
    ann, eve = reader(web, "ann", "ru"), reader(web, "eve")
    assert "Это не для вас" in ann.get("/rooms/new", 403)
    assert "This is not for you" in eve.get("/people", 403)
    assert "/rooms/new" not in ann.get("/rooms") and "/people" not in eve.get("/records")


FORMS = (
    "/request", "/request/check", "/records/1/cancel", "/records/1/retry", "/records/1/remerge",
    "/records/1/delete", "/rooms/new", "/rooms/1/edit", "/rooms/1/delete", "/people", "/people/1",
    "/people/1/delete", "/keys", "/keys/1/revoke", "/keys/password",
)  # fmt: skip


def test_nothing_happens_without_the_token_of_a_form(web: Web) -> None:
    web.site.ask(users=("ann@example.org",))
    ada = reader(web, "ada")
    ada.get("/request")  # a token is known by now
    for path in FORMS:
        refused = ada.client.post(path, data=LECTURE)
        assert refused.status_code == 400, path
        check_markup(refused.text, "en")
    assert web.site.events() == ["asked"] and web.site.count("queued") == 1


def test_the_token_is_asked_for_by_every_form(web: Web) -> None:
    rules = [rule for rule in web.app.url_map.iter_rules() if rule.endpoint.startswith("pages.")]
    posting = {re.sub("<int:[a-z]+>", "1", r.rule) for r in rules if "POST" in (r.methods or ())}
    assert posting == set(FORMS)


# --- asking ---------------------------------------------------------------------------------------


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
    assert '<b data-zone-of="room">Europe/Moscow</b>' in page
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
        "en": ("The video is asked for.", "Cancelled.", "It is tried again now.", "Waiting"),
        "ru": ("Видео запрошено.", "Отменено.", "Новая попытка началась.", "Ожидает"),
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
    assert {"en": "queued again by hand", "ru": "поставлено в очередь вручную"}[language] in page


def test_midnight_is_the_end_of_the_day(web: Web) -> None:
    ann = reader(web, "ann")
    ann.done("/request", "/request", {**LECTURE, "start": "23:30", "end": "00:00"})
    assert web.site.details()["end"] == "2026-11-21T00:00:00+03:00"


def test_who_asks_for_what_somebody_has_asked_for_shares_it(web: Web) -> None:
    reader(web, "ann").done("/request", "/request", LECTURE)
    bob = reader(web, "bob")
    assert "it is yours, too" in bob.done("/request", "/request", LECTURE)
    page = bob.done("/records/1", "/records/1/delete")
    assert "Others still want it" in page and "Матан" not in page
    ann = reader(web, "ann")
    assert "The record is deleted" in ann.done("/records/1", "/records/1/delete")
    ann.get("/records/1", 404)


WRONG = [
    ({"date": ""}, "date", "Fill this in", "Заполните это поле"),
    ({"date": "2026-02-30"}, "date", "2026-02-30 is no date", "2026-02-30 — не дата"),
    ({"start": ""}, "start", "Fill this in", "Заполните это поле"),
    ({"start": "soon"}, "start", "soon is no time of day", "soon — не время суток"),
    ({"start": "25:00"}, "start", "25:00 is no time of day", "25:00 — не время суток"),
    ({"end": "10:05"}, "end", "The end is before the start", "Конец раньше начала"),
    ({"end": "09:00"}, "end", "The end is before the start", "Конец раньше начала"),
    ({"date": "2028-01-10"}, "start", "more than a year", "До начала больше года"),
    ({"date": "1900-01-10"}, "date", "1900-01-10 is no date", "1900-01-10 — не дата"),
    ({"room": "505"}, "room", "There is no room 505", "Помещения 505 нет"),
    ({"room": ""}, "room", "Fill this in", "Заполните это поле"),
    ({"name": "x" * 256}, "name", "At most 255 characters", "Не больше 255 знаков"),
    ({"course_code": "x" * 256}, "course_code", "At most 255", "Не больше 255 знаков"),
    ({"layout": "pyramid"}, "layout", "Choose one of these", "Выберите один"),
    ({"profile": "8k"}, "profile", "Choose one of these", "Выберите один"),
    ({"users": "bob@x.org, nobody"}, "users", "No mail address: nobody", "не почтовый адрес: nobody"),
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
    assert right.get_json() == {"errors": {}} and web.site.count("queued") == 0


@pytest.mark.parametrize(
    ("day", "clock", "words", "russian"),
    [
        ("2026-03-29", "02:30", "does not exist in Europe/Berlin", "не было"),
        ("2026-10-25", "02:30", "happened twice in Europe/Berlin", "было дважды"),
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


def test_without_rooms_nothing_can_be_asked_for(web: Web) -> None:
    rooms.delete(web.site.engine, 1)
    assert "There are no rooms yet." in reader(web, "ann").get("/request")
    assert "Add a room" in reader(web, "eve").get("/request")
    assert "There are no rooms yet." in reader(web, "ann").get("/rooms")


# --- records --------------------------------------------------------------------------------------


def test_records_of_others_do_not_exist(web: Web) -> None:
    web.site.ask(users=("ann@example.org",), name="Of Ann")
    bob, eve = reader(web, "bob"), reader(web, "eve")
    assert "There is nothing here" in bob.get("/records/1", 404)
    for part in ("row", "status"):
        bob.get(f"/records/1/{part}", 404)
    for action in ("cancel", "retry", "remerge", "delete"):
        assert bob.send("/records", f"/records/1/{action}").status_code == 404
    for path in ("/records", "/records?whose=all", "/records?q=Ann", "/rooms"):
        assert "Of Ann" not in bob.get(path)
    assert "Of Ann" not in eve.get("/records") and "Of Ann" in eve.get("/records?whose=all")
    assert "Of Ann" in eve.get("/records/1")
    assert web.site.events() == ["asked"]


def test_records_are_searched(web: Web) -> None:
    web.site.add_room("Aula")
    for n, (name, room) in enumerate((("Algebra", "504"), ("Calculus", "Aula"))):
        web.site.ask(
            6 + 86400 * n, 86400 * n, name=name, room=room, users=("ann@example.org",)
        )  # fmt: skip
    ann = reader(web, "ann")
    ann.done("/records/2", "/records/2/cancel")

    def found(query: str) -> list[str]:
        return [name for name in ("Algebra", "Calculus") if name in ann.get(f"/records?{query}")]

    assert found("") == ["Algebra", "Calculus"]
    assert found("q=alg") == ["Algebra"]
    assert found("room=Aula") == ["Calculus"]
    assert found("status=queued") == ["Algebra"]
    assert found("day=2026-11-21") == ["Calculus"]
    assert found("q=alg&room=Aula") == []
    assert "No record is like that." in ann.get("/records?q=nothing")
    assert "soon is no date" in ann.get("/records?day=soon", 422)
    ann.get("/records?room=Nowhere", 422)
    ann.get("/records?cursor=nonsense", 422)


def test_many_records_have_pages(web: Web) -> None:
    for n in range(30):
        web.site.ask(6 + 60 * n, 60 * n, name=f"Lecture <{n}>", users=("ann@example.org",))
    ann = reader(web, "ann")
    page = ann.get("/records?q=Lecture")
    assert page.count('class="record"') == 25 and "Lecture <29>" in page
    following = re.search(r'rel="next" href="([^"]+)"', page)
    assert following and "q=Lecture" in following[1]
    page = ann.get(following[1])
    assert page.count('class="record"') == 5 and "Lecture <0>" in page
    assert 'rel="next"' not in page and 'href="/records?q=Lecture"' in page


def test_a_record_leads_back_to_the_search_that_it_was_found_by(web: Web) -> None:
    web.site.ask(users=("ann@example.org",))
    ann = reader(web, "ann")
    answer = ann.send("/records?status=queued", "/records/1/cancel")
    assert answer.headers["Location"] == "/records?status=queued"
    assert ann.send("/records/1", "/records/1/retry").headers["Location"] == "/records/1"


def held(web: Web) -> queue.Claim:
    claim = web.site.claim()
    assert claim is not None
    return claim


def progress(web: Web, claim: queue.Claim, stage: str, share: float, after_s: float) -> None:
    web.site.clock += seconds(after_s)
    queue.enter(web.site.engine, claim, stage, web.site.clock)
    queue.renew(web.site.engine, claim, web.site.clock, timedelta(minutes=1), share)


def test_a_record_that_is_made_says_how_far_it_is(web: Web) -> None:
    web.site.ask(users=("ann@example.org",))
    ann, russian = reader(web, "ann"), reader(web, "ann", "ru")
    claim = held(web)
    progress(web, claim, "analyse", 0.5, 10)
    row = ann.get("/records/1/row")
    assert '<progress max="100" value="50"' in row and "Looking at the screen" in row
    assert "left" not in row and "step 2 of 5" in row  # too early to say
    assert 'data-refresh="/records/1/row" data-every="3"' in row
    progress(web, claim, "encode", 0.25, 50)
    assert "25 %, about 3 min left" in ann.get("/records/1/status")
    assert "25 %, осталось около 3 мин" in russian.get("/records/1/status")
    assert "осталось около 3 мин" in russian.get("/records")
    page = ann.done("/records/1", "/records/1/cancel")
    assert "It stops within a few seconds." in page
    queue.cancelled(web.site.engine, claim, web.site.clock)
    row = ann.get("/records/1/row")
    assert "Cancelled" in row and "data-refresh" not in row and "/records/1/retry" in row


def test_a_record_that_waits_says_for_what(web: Web) -> None:
    web.site.clock = utc(START)
    web.site.ask(users=("ann@example.org",), until_s=600)
    ann = reader(web, "ann")
    row = ann.get("/records/1/row")
    assert "Made after the lecture" in row and 'data-every="30"' in row
    web.site.clock += seconds(700)
    assert "As soon as it is its turn" in ann.get("/records/1/row")
    queue.wait(web.site.engine, held(web), web.site.clock, web.site.clock + seconds(3600), "waits")
    assert "Looks for media again on Fri 20 Nov 2026, 11:11" in ann.get("/records/1/row")
    web.site.clock += seconds(3600)
    error = Temporary("source_away", "the share is away")
    again = web.site.clock + seconds(60)
    queue.put_off(web.site.engine, held(web), web.site.clock, again, error)
    page = ann.get("/records/1")
    assert "tried again on Fri 20 Nov 2026, 11:12" in page
    assert "the share is away" in page and "What to do:" in page
    assert "/records/1/retry" in page and "/records/1/cancel" in page


def test_a_failed_record_says_why_and_what_to_do(web: Web) -> None:
    web.site.ask(users=("ann@example.org",))
    web.site.clock += timedelta(days=3)
    assert web.site.work() == "failed"
    page = reader(web, "ann").get("/records/1")
    assert "Failed" in page and "no media of speaker, screen" in page
    assert "Check the time and the room." in page
    page = reader(web, "ann", "ru").get("/records/1")
    assert "среди собранного нет материала" in page and "Проверьте время и помещение." in page


@pytest.fixture
def merged(web: Web) -> Web:
    """A record that is delivered, with a gap."""
    web.site.film("speaker", 0, 12)
    web.site.film("screen", 0, 20)
    web.site.ask(20, users=("ann@example.org",), name="Databases")
    assert web.site.work() == "delivered"
    return web


def test_a_delivered_record_is_shown_with_all_that_is_known_of_it(merged: Web) -> None:
    page = reader(merged, "ann").get("/records/1")
    assert '<video controls preload="metadata" src="/api/v1/records/1/renditions/merge"' in page
    assert 'href="/api/v1/records/1/renditions/backup?download=true"' in page
    assert "1 warning" in page and "speaker has no pictures from 10:00:12 to 10:00:20" in page
    # The timeline: the gap is the last 40 %, as a picture and in words.
    assert 'x="60.0%"' in page and 'class="bar gap"' in page
    assert "<td>10:00:12</td><td>10:00:20</td><td>speaker</td>" in page
    assert page.count('class="chunk"') == 2 and "presentation" in page
    for chunk in merged.site.details()["chunks"]:
        for picture in chunk.get("pictures", []):
            assert f"{picture['at'][11:19]}: presentation" in page
    assert str(merged.site.merged) in page and f'href="{merged.site.merged}' not in page
    assert "taken up by tests" in page and "Merge again" in page
    russian = reader(merged, "ann", "ru").get("/records/1")
    assert "1 предупреждение" in russian
    assert "speaker: нет картинки с 10:00:12 до 10:00:20" in russian


def test_only_addresses_of_the_web_become_links(merged: Web) -> None:
    def give(link: str) -> str:
        def write(session: Session) -> None:
            session.execute(update(Delivery).values(link=link))

        writing(merged.site.engine, write)
        return reader(merged, "ann").get("/records/1")

    assert '<a href="https://drive.example.org/x"' in give("https://drive.example.org/x")
    page = give("javascript:alert(1)")
    assert 'href="javascript' not in page and "javascript:alert(1)" in page


def test_a_record_is_merged_again(merged: Web) -> None:
    ann = reader(merged, "ann")
    page = ann.get("/records/1")
    assert value_of(page, "start") == "2026-11-20T10:00"
    assert value_of(page, "end") == "2026-11-20T10:00:20"
    again = {
        "start": "2026-11-20T10:00", "end": "2026-11-20T10:00:20", "layout": "side_by_side",
        "profile": "tiny",
    }  # fmt: skip

    def wrong(**changes: str) -> str:
        return ann.wrong("/records/1", "/records/1/remerge", {**again, **changes})

    assert "The end is before the start" in error_at(wrong(end="2026-11-20T09:00"), "end")
    assert "at most 24 hours" in error_at(wrong(end="2026-11-22T09:00"), "end")
    assert "write it like" in error_at(wrong(start="soon"), "start")
    assert "Choose one" in wrong(layout="pyramid")
    assert merged.site.row().version == 1
    new = {**again, "layout": "speaker_only", "end": "2026-11-20T10:00:10"}
    page = ann.done("/records/1", "/records/1/remerge", new)
    assert "Another version is asked for." in page and "<video" in page
    row = merged.site.row()
    assert (row.version, row.layout, row.profile) == (2, "speaker_only", "tiny")
    assert row.end_at == utc(START + seconds(10)) and row.start_at == utc(START)
    assert merged.site.work() == "delivered"
    assert "Ready" in ann.get("/records/1")


def test_what_cannot_be_done_now_is_refused(web: Web) -> None:
    web.site.ask(users=("ann@example.org",))
    ann = reader(web, "ann")
    as_it_is = {
        "start": "2026-11-20T10:00", "end": "2026-11-20T10:00:06", "layout": "speaker_only",
        "profile": "tiny",
    }  # fmt: skip
    assert ann.send("/records/1", "/records/1/remerge", as_it_is).status_code == 409
    ann.done("/records/1", "/records/1/cancel")
    refused = ann.send("/records/1", "/records/1/cancel")
    assert refused.status_code == 409 and "Not possible now" in refused.text
    check_markup(refused.text, "en")


# --- rooms ----------------------------------------------------------------------------------------


def source(n: int, **fields: str) -> dict[str, str]:
    values = {"name": "", "role": "", "kind": "folder", "address": "", "credentials": "", **fields}
    return {f"sources-{n}-{name}": value for name, value in values.items()}


class Contented:
    """A recorder to which every source is right."""

    settle = timedelta(0)

    def check(self, source: object) -> None:
        pass


def test_rooms_are_shown_with_what_is_made_in_them(web: Web) -> None:
    web.site.ask(users=("ann@example.org",), name="Of Ann")
    page = reader(web, "ann").get("/rooms")
    assert "504" in page and "Europe/Moscow" in page and "Of Ann" in page
    assert page.count("No picture yet") == 2
    assert "Of Ann" not in reader(web, "bob").get("/rooms")


def test_a_room_is_added_changed_and_removed(web: Web) -> None:
    service = web.app.extensions["merger"]
    web.app.extensions["merger"] = replace(service, recorder_of=lambda kind: Contented())
    eve, folder = reader(web, "eve"), str(web.site.folder)
    room = {
        "name": "Aula", "zone": "Europe/Berlin", "chunk": "30m", "sound_source": "",
        "drive_folder": "", "calendar_id": "",
        **source(0, name="camera", role="speaker", address=folder, credentials="s3cret"),
        **source(1, name="slides", role="screen", address=folder), **source(2, kind=""),
    }  # fmt: skip
    page = eve.done("/rooms/new", "/rooms/new", room)
    assert "Room Aula is added." in page
    page = eve.get("/rooms/2/edit")
    assert value_of(page, "chunk") == "30m" and "s3cret" not in page
    assert "Some are kept. Leave it empty to keep them." in page

    known = {"sources-0-is_known": "1", "sources-1-is_known": "1", "sources-0-has_credentials": "1"}
    changed = {**room, **known, "chunk": "10m", "sources-0-credentials": ""}
    changed |= {"sources-1-is_removed": "on"}
    changed |= source(2, name="board", role="board", address=folder)
    assert "Room Aula is changed." in eve.done("/rooms/2/edit", "/rooms/2/edit", changed)
    spec = next(spec for spec in rooms.stored(web.site.engine) if spec.name == "Aula")
    assert spec.chunk_s == 600
    assert [one.name for one in spec.sources] == ["camera", "board"]
    assert spec.sources[0].credentials == "s3cret"

    forgets = {**room, **known, "sources-0-credentials": "", "sources-0-forgets": "on"}
    del forgets["sources-1-name"]
    eve.done("/rooms/2/edit", "/rooms/2/edit", forgets)
    spec = next(spec for spec in rooms.stored(web.site.engine) if spec.name == "Aula")
    assert spec.sources[0].credentials is None
    assert [one.name for one in spec.sources] == ["camera", "board"]  # not in the form: it stays
    assert "The room is deleted." in eve.done("/rooms/2/edit", "/rooms/2/delete")
    assert [spec.name for spec in rooms.stored(web.site.engine)] == ["504"]


def test_a_password_in_an_address_is_neither_shown_nor_lost(web: Web) -> None:
    hidden = rooms.stored(web.site.engine)[0]
    assert hidden.sources[0].address
    eve = reader(web, "eve")
    page = eve.get("/rooms/1/edit")
    address = html.unescape(hidden.sources[0].address)
    assert address in page
    same = {
        "name": "504", "zone": "Europe/Moscow", "chunk": "10s", "sound_source": "speaker",
        **source(0, name="speaker", role="speaker", address=address, is_known="1"),
        **source(1, name="screen", role="screen", address=hidden.sources[1].address, is_known="1"),
    }  # fmt: skip
    eve.done("/rooms/1/edit", "/rooms/1/edit", same)
    after = rooms.stored(web.site.engine)[0]
    assert after.sources == hidden.sources and after.sound_source == "speaker"


def test_a_form_of_a_room_has_room_for_another_source(web: Web) -> None:
    answer = reader(web, "eve").send("/rooms/1/edit", "/rooms/1/edit", {
        "name": "505", "zone": "?", "chunk": "10s", "another": "1",
        **source(0, name="speaker", role="speaker", address="/x", is_known="1"),
    })  # fmt: skip
    assert answer.status_code == 200
    check_markup(answer.text, "en")
    assert 'name="sources-1-name"' in answer.text and value_of(answer.text, "name") == "505"
    assert rooms.stored(web.site.engine)[0].name == "504"


WRONG_ROOMS: list[tuple[dict[str, str], str, str]] = [
    ({"name": ""}, "name", "Fill this in"),
    ({"name": "504"}, "name", "there is a room '504' already"),
    ({"name": "a/b"}, "name", "cannot be part of a file name"),
    ({"zone": "Moscow"}, "zone", "Moscow is no time zone"),
    ({"chunk": "long"}, "chunk", "long is no length"),
    ({"sound_source": "ear"}, "sound_source", "there is no source 'ear'"),
    ({"sources-1-role": "speaker"}, "sources-1-role", "one of each"),
    ({"sources-1-name": "camera"}, "sources-1-name", "listed twice"),
    ({"sources-1-kind": "carrier"}, "sources-1-kind", "there is no kind 'carrier'"),
    ({"sources-1-address": "here"}, "sources-1-address", "here"),
    ({"sources-0-credentials": "s3cret"}, "sources-0-credentials", "no credentials"),
]


def test_what_is_wrong_with_a_room_is_said_at_the_field(web: Web) -> None:
    room = {
        "name": "Aula", "zone": "Europe/Berlin", "chunk": "30m",
        **source(0, name="camera", role="speaker", address="/srv"),
        **source(1, name="slides", role="screen", address="/srv"),
    }  # fmt: skip
    eve = reader(web, "eve")
    for changes, name, words in WRONG_ROOMS:
        page = eve.wrong("/rooms/new", "/rooms/new", {**room, **changes})
        assert words in error_at(page, name), changes
        assert "s3cret" not in page
    assert len(rooms.stored(web.site.engine)) == 1


def test_a_room_that_records_wait_for_stays(web: Web) -> None:
    web.site.ask()
    refused = reader(web, "eve", "ru").send("/rooms/1/edit", "/rooms/1/delete")
    assert refused.status_code == 409 and "Сейчас нельзя" in refused.text
    assert "сначала отмените их" in refused.text


# --- people, keys, passwords ----------------------------------------------------------------------


def test_people_are_invited_changed_and_removed(web: Web) -> None:
    ada = reader(web, "ada")
    invited = {"email": "New@example.org", "name": "New", "role": "user"}
    assert "new@example.org may sign in now." in ada.done("/people", "/people", invited)
    assert "may sign in already" in ada.done("/people", "/people", invited)
    page = ada.wrong("/people", "/people", {**invited, "email": "nobody"})
    assert "No mail address: nobody" in error_at(page, "email")
    new = people.of_address(web.site.engine, "new@example.org")
    assert new is not None
    ada.done("/people", f"/people/{new['id']}", {"role": "editor"})
    told = people.user(web.site.engine, new["id"])
    assert (told["role"], told["invited"]) == ("editor", False)
    assert "Deleted." in ada.done("/people", f"/people/{new['id']}/delete")
    assert people.of_address(web.site.engine, "new@example.org") is None


def test_the_last_administrator_stays_one(web: Web) -> None:
    ada, number = reader(web, "ada", "ru"), web.ids["ada"]
    page = ada.wrong("/people", f"/people/{number}", {"role": "user", "invited": "on"})
    assert "последний администратор" in error_at(page, f"role-{number}")
    assert ada.send("/people", f"/people/{number}/delete").status_code == 409


def test_many_people_have_pages(web: Web) -> None:
    for n in range(120):
        people.invite(web.site.engine, f"{n}@example.org", None, "user")
    ada = reader(web, "ada")
    following = re.search(r'rel="next" href="([^"]+)"', ada.get("/people"))
    assert following and "119@example.org" in ada.get(following[1])


def test_a_key_is_shown_once_and_works_until_it_is_revoked(web: Web) -> None:
    ann = reader(web, "ann")
    made = ann.send("/keys", "/keys", {"name": "timetable", "scopes": ["read", "people"]})
    assert made.status_code == 200 and made.headers["Cache-Control"] == "no-store"
    check_markup(made.text, "en")
    key = re.search(r'value="(lm_[^"]+)"', made.text)
    assert key
    headers = {"Authorization": f"Bearer {key[1]}"}
    stranger = web.app.test_client()
    assert stranger.get("/api/v1/records", headers=headers).status_code == 200
    page = ann.get("/keys")
    assert key[1] not in page and "timetable" in page and "last used" in page
    told = people.keys(web.site.engine, web.ids["ann"])[0]
    assert told["scopes"] == ["read"]  # she may not do more herself
    assert "The key is revoked." in ann.done("/keys", f"/keys/{told['id']}/revoke")
    assert stranger.get("/api/v1/records", headers=headers).status_code == 401
    of_bob = people.keys(web.site.engine, web.ids["bob"])[0]["id"]
    assert ann.send("/keys", f"/keys/{of_bob}/revoke").status_code == 404


def test_a_key_needs_a_name_and_something_that_it_may(web: Web) -> None:
    ann = reader(web, "ann", "ru")
    page = ann.wrong("/keys", "/keys", {"name": " ", "scopes": ["read"]})
    assert "Дайте имя" in error_at(page, "name")
    assert "хотя бы одно право" in ann.wrong("/keys", "/keys", {"name": "x"})


def test_a_password_is_changed_by_who_knows_it(web: Web) -> None:
    ann, elsewhere = reader(web, "ann"), reader(web, "ann")
    new = {"current": PASSWORD, "password": "another one, longer"}
    page = ann.wrong("/keys", "/keys/password", {**new, "current": "guess"})
    assert "The password is wrong" in error_at(page, "current")
    page = ann.wrong("/keys", "/keys/password", {**new, "password": "short"})
    assert "at least 10 characters" in error_at(page, "password")
    assert "The password is changed." in ann.done("/keys", "/keys/password", new)
    assert elsewhere.client.get("/keys").status_code == 303  # signed out everywhere else
    engine = web.site.engine
    assert people.with_password(engine, "ann@example.org", PASSWORD) is None
    assert people.with_password(engine, "ann@example.org", new["password"]) is not None


def test_guessing_a_password_ends(web: Web) -> None:
    ann = reader(web, "ann")
    guess = {"current": "guess", "password": "another one, longer"}
    for _ in range(10):
        ann.wrong("/keys", "/keys/password", guess)
    answer = ann.send("/keys", "/keys/password", {**guess, "current": PASSWORD})
    assert answer.status_code == 429 and "Too often" in answer.text


def test_what_people_type_is_shown_as_they_typed_it(web: Web) -> None:
    name = "<script>alert('x')</script> & \"Матан\""
    ann = reader(web, "ann")
    ann.done("/request", "/request", {**LECTURE, "name": name})
    for path in ("/records", "/records/1", "/records/1/row"):
        assert "<script>alert" not in ann.client.get(path).text
        assert name in ann.get(path)


def test_local_time_is_that_of_the_room(web: Web) -> None:
    web.site.add_room("Aula", zone="America/New_York")
    asked = {**LECTURE, "room": "Aula"}
    page = reader(web, "ann").done("/request", "/request", asked)
    assert "Fri 20 Nov 2026, 10:05–11:20 (America/New_York)" in re.sub(r"<[^>]+>", "", page)
    start = web.site.row().start_at
    assert start.astimezone(ZoneInfo("America/New_York")).hour == 10

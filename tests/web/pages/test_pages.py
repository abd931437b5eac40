"""The pages without JavaScript: who may see them, and do what; what they all are."""

from __future__ import annotations

import re

import pytest

from merger.errors import Refused
from merger.i18n import render, say
from merger.records.browse import lists
from tests.support.databases import ON_SQLITE
from tests.web.conftest import PASSWORD, Web
from tests.web.markup import check_markup
from tests.web.pages.reader import LECTURE, Reader, error_at, reader

pytestmark = ON_SQLITE


PATHS = ("/records", "/request", "/timetable", "/rooms", "/account")


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
    assert (
        refused.status_code == 403 and "the email address or the password is wrong" in refused.text
    )
    assert "Rooms" in stranger.done("/login", "/login", {**form, "password": PASSWORD})
    assert "Sign in" in stranger.done("/records", "/logout")


@pytest.mark.parametrize("language", ["en", "ru"])
def test_pages_are_what_pages_must_be(web: Web, language: str) -> None:
    web.site.ask(users=("ann@example.org",))
    may: dict[str, tuple[str, ...]] = {"ann": (), "eve": ("/rooms/new", "/rooms/1/edit", "/stills")}
    may["ada"] = (*may["eve"], "/people")
    for who, more in may.items():
        there = reader(web, who, language)
        for path in (*PATHS, "/records/1", *more):
            there.get(path)
        there.get("/records/99", 404)
        assert there.client.get("/").headers["Location"] == "/records"


def test_who_may_not_is_told_so(web: Web) -> None:
    ann, eve = reader(web, "ann", "ru"), reader(web, "eve")
    assert "У вас нет доступа" in ann.get("/rooms/new", 403)
    assert "You don't have access" in eve.get("/people", 403)
    assert "/rooms/new" not in ann.get("/rooms") and "/people" not in eve.get("/records")


@pytest.mark.parametrize("language", ["en", "ru"])
def test_what_is_not_there_is_told_in_the_language_of_the_reader(web: Web, language: str) -> None:
    ann = reader(web, "ann", language)
    page = ann.get("/nowhere", 404)
    assert {"en": "The address is wrong", "ru": "В адресе ошибка"}[language] in page
    page = ann.get("/records/1/retry", 405)
    assert {"en": "start from there", "ru": "начните оттуда"}[language] in page
    page = ann.get("/records?cursor=x", 422)
    with pytest.raises(Refused) as refused:
        lists.page_of_records(web.site.engine, lists.Filter(), "x")
    assert render(language, refused.value.message) in page
    with pytest.raises(Refused) as refused:
        lists.page_of_records(web.site.engine, lists.Filter(room="50"))
    for query, name, words in (
        ("room=50", "room", render(language, refused.value.message)),
        ("status=done", "status", say(language, "wrong.choose")),
    ):
        page = ann.get(f"/records?{query}", 422)
        assert words in error_at(page, name)
        assert 'lang="en">' not in page.partition("<body>")[2] or language == "en"


def test_the_reference_says_what_is_in_english(web: Web) -> None:
    page = Reader(web.app.test_client(), "ru").get("/api/docs")
    assert '<span lang="en">List records, latest start first.</span>' in page
    assert '<td lang="en">Part of the name.</td>' in page


@pytest.mark.parametrize("far", [str(2**63), "9" * 19, "9" * 5000], ids=len)
def test_at_numbers_that_no_database_holds_there_is_nothing(web: Web, far: str) -> None:
    ada = reader(web, "ada")
    for path in ("records/{}", "records/{}/row", "records/{}/status", "rooms/{}/edit"):
        assert "Page not found" in ada.get("/" + path.format(far), 404), path
    for form in (
        "records/{}/cancel", "records/{}/remerge", "rooms/{}/edit", "rooms/{}/delete", "people/{}",
        "people/{}/delete", "people/{}/release", "people/{}/password-link", "account/keys/{}/revoke",
    ):  # fmt: skip
        assert ada.send("/account", "/" + form.format(far)).status_code == 404, form


def test_people_after_a_number_that_no_database_holds(web: Web) -> None:
    for number in (2**63, -(2**64), 10**100):
        reader(web, "ada").get(f"/people?after={number}", 404)
    reader(web, "ada").get(f"/people?after={10**18 - 1}")


FORMS = (
    "/request", "/request/check", "/records/selected", "/records/1/cancel", "/records/1/retry", "/records/1/remerge", "/records/1/overrule",
    "/records/1/delete", "/records/1/edit", "/rooms/new", "/rooms/1/edit", "/rooms/1/delete", "/people", "/people/1",
    "/people/1/delete", "/people/1/release", "/people/1/password-link", "/account", "/account/keys",
    "/account/keys/1/revoke", "/account/password", "/language", "/confirm", "/access/1",
    "/access/1/withdraw", "/timetable/1", "/timetable/days-off", "/timetable/days-off/1/delete",
    "/series/1", "/series/1/edit", "/account/calendar", "/rooms/1/calendar", "/timetable/import", "/timetable/refresh",
    "/stills/1", "/stills/1/remake",
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

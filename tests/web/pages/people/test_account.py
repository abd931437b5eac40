"""The page of one's own account: language, time zone, mails, password and keys."""

from __future__ import annotations

import re

import pytest

from merger.accounts import profile, users
from tests.support.databases import ON_SQLITE
from tests.web.conftest import PASSWORD, Web
from tests.web.markup import check_markup
from tests.web.pages.reader import LECTURE, Reader, error_at, reader, text_of, value_of

pytestmark = ON_SQLITE

CHOSEN = {"language": "", "zone": "", "mails": ["ready", "failed", "access"]}


def profile_of(web: Web, who: str) -> profile.Profile:
    return profile.get_profile(web.site.engine, web.ids[who])


def test_the_head_of_each_page_leads_there(web: Web) -> None:
    ann = reader(web, "ann")
    page = ann.get("/records")
    assert re.search(r'<a class="who" href="/account"[^>]*>.*ann@example\.org</span></a>', page)
    old = ann.client.get("/keys")
    assert (old.status_code, old.headers["Location"]) == (303, "/account#keys")


def test_language_zone_and_mails(web: Web) -> None:
    ann = reader(web, "ann")
    response = ann.send("/account", "/account", {**CHOSEN, "language": "ru", "zone": "Asia/Tokyo"})
    assert response.status_code == 303
    ann.language = "ru"  # whatever the browser says
    page = text_of(ann.client.get("/account", headers={"Accept-Language": "en"}))
    assert "Сохранено." in page and value_of(page, "zone") == "Asia/Tokyo"
    assert profile_of(web, "ann") == {
        "language": "ru", "zone": "Asia/Tokyo",
        "notifications": {"ready": True, "failed": True, "access": True},
    }  # fmt: skip
    ann.done("/account", "/account", {**CHOSEN, "language": "ru", "mails": ["failed"]})
    assert profile_of(web, "ann") == {
        "language": "ru", "zone": None,
        "notifications": {"ready": False, "failed": True, "access": False},
    }  # fmt: skip


def test_what_is_wrong_loses_nothing(web: Web) -> None:
    ann = reader(web, "ann")
    typed = {"language": "ru", "zone": "Mars/Olympus", "mails": ["failed"]}
    page = ann.wrong("/account", "/account", typed)
    assert "'Mars/Olympus' isn't a time zone" in error_at(page, "zone")
    assert value_of(page, "zone") == "Mars/Olympus"
    assert re.search(r'value="failed" checked', page) and 'value="ready" checked' not in page
    assert re.search(r'value="ru" lang="ru" selected', page)
    assert profile_of(web, "ann")["language"] is None
    assert ann.send("/account", "/account", {**CHOSEN, "language": "tlh"}).status_code == 422


def test_mails_that_only_editors_get_are_offered_to_them(web: Web) -> None:
    assert 'value="silent"' not in reader(web, "ann").get("/account")
    assert 'value="silent"' in reader(web, "eve").get("/account")


# --- language -------------------------------------------------------------------------------------


def language_of(page: Reader, path: str = "/account") -> str:
    response = page.client.get(path, headers={"Accept-Language": page.language})
    return response.headers["Content-Language"]


def test_a_person_keeps_the_language_in_every_browser(web: Web) -> None:
    ann, elsewhere = reader(web, "ann"), reader(web, "ann")
    response = ann.send("/records", "/language", {"language": "ru", "next": "/records?q=x"})
    assert (response.status_code, response.headers["Location"]) == (303, "/records?q=x")
    assert language_of(ann) == language_of(elsewhere) == "ru"
    assert profile_of(web, "ann")["language"] == "ru"
    # Programs that act for her get what they ask for.
    got = web.api("ann", "GET", "/records/99", headers={"Accept-Language": "en"})
    assert got.get_json()["title"] == "Not found"
    # As the browser prefers, from now on.
    ann.send("/account", "/account", CHOSEN)
    assert language_of(ann) == language_of(elsewhere) == "en"


def test_a_stranger_keeps_the_language_in_this_browser(web: Web) -> None:
    stranger, other = Reader(web.app.test_client()), Reader(web.app.test_client())
    page = stranger.get("/login?next=/rooms")
    assert '<button lang="ru" class="plain" name="language" value="ru">Русский</button>' in page
    assert 'name="next" value="/login?next=/rooms"' in page  # to where one is
    response = stranger.send(
        "/login", "/language", {"language": "ru", "next": "/login?next=/rooms"}
    )
    assert response.headers["Location"] == "/login?next=/rooms"
    assert (language_of(stranger, "/login"), language_of(other, "/login")) == ("ru", "en")
    for value in ("tlh", "", "ru; path=/x"):
        other.send("/login", "/language", {"language": value, "next": "//evil.example"})
        assert language_of(other, "/login") == "en"
    response = other.send("/login", "/language", {"language": "ru", "next": "//evil.example"})
    assert response.headers["Location"] == "/"


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        (None, None), ("Europe/Moscow", None), ("Europe/Minsk", None),  # the same clock
        ("Europe/Berlin", "08:05–09:20 by your clock"),
        ("Pacific/Auckland", "20:05–21:20 by your clock"),
        ("Pacific/Honolulu", "Thu 19 Nov 2026, 21:05–22:20 by your clock"),
    ],
)  # fmt: skip
def test_ones_own_clock_is_shown_beside_the_rooms(
    web: Web, zone: str | None, shown: str | None
) -> None:
    """Requested for 10:05 to 11:20 in Moscow."""
    ann = reader(web, "ann")
    record = ann.send("/request", "/request", LECTURE).headers["Location"]
    profile.change_profile(web.site.engine, web.ids["ann"], {"zone": zone})
    for path in ("/records", record):
        page = ann.get(path)
        assert "Fri 20 Nov 2026, 10:05–11:20" in page
        assert (shown in page) if shown else ("by your clock" not in page)


# --- password and keys ----------------------------------------------------------------------------


def test_a_key_is_shown_once_and_works_until_it_is_revoked(web: Web) -> None:
    ann = reader(web, "ann")
    made = ann.send(
        "/account", "/account/keys", {"name": "timetable", "scopes": ["read", "people"]}
    )
    assert made.status_code == 200 and made.headers["Cache-Control"] == "no-store"
    check_markup(made.text, "en")
    key = re.search(r'value="(lm_[^"]+)"', made.text)
    assert key
    headers = {"Authorization": f"Bearer {key[1]}"}
    stranger = web.app.test_client()
    assert stranger.get("/api/v1/records", headers=headers).status_code == 200
    page = ann.get("/account")
    assert key[1] not in page and "timetable" in page and "last used" in page
    told = users.list_keys(web.site.engine, web.ids["ann"])[0]
    assert told["scopes"] == ["read"]  # she may not do more herself
    assert "API key revoked." in ann.done("/account", f"/account/keys/{told['id']}/revoke")
    assert stranger.get("/api/v1/records", headers=headers).status_code == 401
    of_bob = users.list_keys(web.site.engine, web.ids["bob"])[0]["id"]
    assert ann.send("/account", f"/account/keys/{of_bob}/revoke").status_code == 404


def test_a_key_needs_a_name_and_something_that_it_may(web: Web) -> None:
    ann = reader(web, "ann", "ru")
    page = ann.wrong("/account", "/account/keys", {"name": " ", "scopes": ["read"]})
    assert "Введите название" in error_at(page, "name")
    assert "хотя бы одно право" in ann.wrong("/account", "/account/keys", {"name": "x"})


def test_a_password_is_changed_by_who_knows_it(web: Web) -> None:
    ann, elsewhere = reader(web, "ann"), reader(web, "ann")
    new = {"current": PASSWORD, "password": "another one, longer"}
    page = ann.wrong("/account", "/account/password", {**new, "current": "guess"})
    assert "The current password is wrong" in error_at(page, "current")
    page = ann.wrong("/account", "/account/password", {**new, "password": "short"})
    assert "at least 10 characters" in error_at(page, "password")
    assert "Password changed." in ann.done("/account", "/account/password", new)
    assert elsewhere.client.get("/account").status_code == 303  # signed out everywhere else
    engine = web.site.engine
    assert users.authenticate(engine, "ann@example.org", PASSWORD) is None
    assert users.authenticate(engine, "ann@example.org", new["password"]) is not None


def test_guessing_a_password_ends(web: Web) -> None:
    ann = reader(web, "ann")
    guess = {"current": "guess", "password": "another one, longer"}
    for _ in range(10):
        ann.wrong("/account", "/account/password", guess)
    answer = ann.send("/account", "/account/password", {**guess, "current": PASSWORD})
    assert answer.status_code == 429 and "Too many attempts" in answer.text

"""Signing in and out with a password, and what is limited and remembered."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

import pytest

from merger.accounts import users
from merger.web.auth import SESSION_LASTS
from merger.web.guessing import MOST_GUESSES
from merger.web.login import local_path
from tests.support.databases import ON_SQLITE
from tests.support.site import Site
from tests.web.browsing import ANN, ELSEWHERE, Browser, ann, new_browser, said
from tests.web.conftest import PASSWORD


@pytest.fixture
def browser(site: Site) -> Browser:
    return new_browser(site)


def test_a_password(browser: Browser) -> None:
    user = ann(browser.site.engine)
    assert browser.who is None
    assert browser.get("/login").status_code == 200
    answer = browser.sign_in(f" {ANN.upper()} ", next="/records?room=504")
    assert (answer.status_code, answer.location) == (303, "/records?room=504")
    assert browser.who == user
    # Who is signed in is not asked again.
    answer = browser.get("/login?next=/rooms")
    assert (answer.status_code, answer.location) == (303, "/rooms")


@ON_SQLITE
def test_wrong_passwords(browser: Browser) -> None:
    ann(browser.site.engine)
    users.invite_user(browser.site.engine, "guest@example.org", None, "user")  # has none
    for email, password in (
        (ANN, "wrong"), (ANN, ""), ("nobody@example.org", PASSWORD), ("guest@example.org", ""),
        ("", ""), ("\0", "\0"), (ANN, "x" * 10_000),
    ):  # fmt: skip
        text = said(browser.sign_in(email, password, next="/rooms"))
        assert "the email address or the password is wrong" in text  # and not which of them
        assert 'value="/rooms"' in text
        assert "x" * 10_000 not in text and PASSWORD not in text
    assert f'value="{ANN}"' in said(browser.sign_in(password="wrong"))  # need not be typed again
    assert browser.who is None


@ON_SQLITE
def test_an_address_that_only_looks_like_somebodys(browser: Browser) -> None:
    user, _ = users.invite_user(browser.site.engine, "kate@example.org", None, "user")
    users.set_password(browser.site.engine, user["id"], PASSWORD)
    text = said(browser.sign_in("\u212aate@example.org"))
    assert "has characters that only look like ordinary ones (\u212a)" in text
    assert browser.who is None
    engine = browser.site.engine
    assert users.authenticate(engine, "\u212aate@example.org", PASSWORD) is None
    assert browser.sign_in("KATE@example.org").status_code == 303


@ON_SQLITE
def test_guessing_ends_soon(browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    ann(browser.site.engine)
    for _ in range(MOST_GUESSES):
        assert browser.sign_in(password="guessed-wrong").status_code == 403
    answer = browser.sign_in()  # even the right one: or guessing went on behind the answers
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 300
    other = Browser(browser.site)
    other.client.environ_base["REMOTE_ADDR"] = "192.0.2.9"
    assert other.sign_in().status_code == 303
    assert "guessed-wrong" not in caplog.text and PASSWORD not in caplog.text


@ON_SQLITE
def test_a_form_of_another_site_signs_nobody_in(browser: Browser) -> None:
    ann(browser.site.engine)
    form = {"email": ANN, "password": PASSWORD}
    assert browser.client.post("/login", data=form).status_code == 400
    assert browser.sign_in().status_code == 303
    assert browser.client.post("/logout").status_code == 400
    assert browser.get("/logout").status_code == 405
    assert browser.who is not None


@ON_SQLITE
def test_nobody_is_sent_elsewhere(browser: Browser) -> None:
    ann(browser.site.engine)
    for path in ELSEWHERE:
        assert local_path(path) == "/", path
        assert browser.sign_in(next=path).location == "/"
        assert browser.get(f"/login?next={quote(path)}").location == "/"
        browser.post("/logout")
    assert local_path(None) == "/"
    for path in ("/", "/records", "/records?room=5%2004&page=2", "/records/1#top", "/комната"):
        assert local_path(path) == path


@ON_SQLITE
def test_a_planted_session_does_not_become_somebodys(browser: Browser) -> None:
    user = ann(browser.site.engine)
    with browser.client.session_transaction() as session:
        session["planted"] = "here"
    before = browser.cookie
    browser.sign_in()
    assert browser.cookie and browser.cookie != before
    with browser.client.session_transaction() as session:
        assert "planted" not in session and session["user"] == user
    thief = Browser(browser.site)
    thief.client.set_cookie("merger", before)
    assert thief.who is None


def test_signing_out_ends_the_session(browser: Browser) -> None:
    ann(browser.site.engine)
    browser.sign_in()
    copied = browser.cookie
    answer = browser.post("/logout")
    assert (answer.status_code, answer.location) == (303, "/login")
    assert browser.who is None
    thief = Browser(browser.site)
    thief.client.set_cookie("merger", copied)
    assert thief.who is None
    assert browser.post("/logout").status_code == 303  # again is as good


@ON_SQLITE
def test_another_password_ends_sessions(browser: Browser) -> None:
    user = ann(browser.site.engine)
    browser.sign_in()
    users.set_password(browser.site.engine, user, "another password")
    assert browser.who is None
    said(browser.sign_in())
    assert browser.sign_in(password="another password").status_code == 303
    users.delete_user(browser.site.engine, user)
    assert browser.who is None


@ON_SQLITE
def test_a_session_lasts_two_weeks_however_it_is_used(browser: Browser) -> None:
    ann(browser.site.engine)
    browser.sign_in()
    browser.get("/records")  # which puts the token of its forms in
    assert "Set-Cookie" not in browser.get("/records").headers  # it is not made younger
    browser.site.clock += SESSION_LASTS - timedelta(seconds=1)
    assert browser.who is not None
    browser.site.clock += timedelta(seconds=2)
    assert browser.who is None


@ON_SQLITE
@pytest.mark.parametrize("is_secure", [False, True])
def test_the_cookies(site: Site, is_secure: bool) -> None:
    settings = {"MERGER_WEB_ADDRESS": "https://lectures.example.edu"} if is_secure else {}
    browser = Browser(site, settings)
    ann(site.engine)
    if is_secure:
        browser.client.environ_base["wsgi.url_scheme"] = "https"
        browser.client.environ_base["HTTP_REFERER"] = "https://localhost/login"
    answer = browser.sign_in()
    assert answer.status_code == 303, answer.text
    paths = set()
    for cookie in answer.headers.getlist("Set-Cookie"):
        parts = [part.strip() for part in cookie.split(";")]
        assert "HttpOnly" in parts and "SameSite=Lax" in parts
        assert ("Secure" in parts) == is_secure
        assert any(part.startswith("Expires=") for part in parts)
        paths |= {(parts[0].partition("=")[0], part) for part in parts if part.startswith("Path=")}
    assert paths == {("merger", "Path=/"), ("merger-known", "Path=/login")}

"""Links that set a password, in a browser: asked for, mailed, handed over, used once."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from sqlalchemy import event, select
from werkzeug.test import TestResponse

from merger.accounts import password_links, profile, users
from merger.db.engine import reading
from merger.notifications.sender import send_due
from merger.web import guessing
from merger.web.guessing import Guesses
from models import Notification
from tests.fakes.mail_server import MailServer, mail_served
from tests.support.databases import ON_SQLITE
from tests.support.site import Site
from tests.web.browsing import ANN, Browser, ann
from tests.web.conftest import PASSWORD, Web, problem, told
from tests.web.markup import check_markup
from tests.web.pages.reader import reader

pytestmark = ON_SQLITE

WEB = "https://lectures.example.edu"
NEW = "another one, longer"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def mails() -> Iterator[MailServer]:
    with mail_served() as server:
        yield server


@pytest.fixture
def browser(site: Site, mails: MailServer) -> Browser:
    """At a service that sends mails, over https."""
    settings = {
        "MERGER_MAIL_SERVER": f"smtp://127.0.0.1:{mails.port}",
        "MERGER_MAIL_FROM": "lectures@example.edu", "MERGER_WEB_ADDRESS": WEB,
    }  # fmt: skip
    return secure(Browser(site, settings))


def secure(browser: Browser, referrer: str = "https://localhost/login") -> Browser:
    browser.client.environ_base |= {"wsgi.url_scheme": "https", "HTTP_REFERER": referrer}
    return browser


def ask(browser: Browser, email: str = ANN) -> TestResponse:
    return browser.post("/login/forgotten", email=email)


def send(browser: Browser) -> int:
    return send_due(browser.site.service, browser.site.clock)


def link_in(text: str) -> str:
    """Return the path and query of the link in a mail."""
    found = re.search(rf"{WEB}(/login/password\?token=[\w-]{{43}})\s", text)
    assert found, text
    return found[1]


def text_of(mails: MailServer) -> str:
    body = mails.mails[-1].get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def use(browser: Browser, path: str, password: str = NEW, again: str | None = None) -> TestResponse:
    """Set a password as a browser does that names no referrer, because the page says so."""
    page = browser.get(path)
    assert page.status_code == 200, page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    check_markup(page.text, "en")
    fields = dict(re.findall(r'name="(csrf_token|token)" value="([^"]+)"', page.text))
    form = {**fields, "password": password, "again": password if again is None else again}
    del browser.client.environ_base["HTTP_REFERER"]
    return browser.client.post("/login/password", data=form)


def test_from_the_forgotten_password_to_the_new_one(browser: Browser, mails: MailServer) -> None:
    user = ann(browser.site.engine)
    assert 'href="/login/forgotten"' in browser.get("/login").text
    check_markup(browser.get("/login/forgotten").text, "en")
    answer = ask(browser, f" {ANN.upper()} ")
    assert answer.status_code == 200 and "a link is on its way" in answer.text
    assert send(browser) == 1
    [mail] = mails.mails
    assert (mail["To"], mail["Subject"]) == (ANN, "Set a new password")
    path = link_in(text_of(mails))
    # To look at it changes nothing: some mail programs open each link.
    for _ in range(2):
        assert ANN in browser.get(path).text
    assert browser.who is None and users.authenticate(browser.site.engine, ANN, PASSWORD)
    answer = use(browser, path)
    assert (answer.status_code, answer.location) == (303, "/")
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert browser.who == user
    assert "Your password is set" in browser.get("/records").text
    assert users.authenticate(browser.site.engine, ANN, PASSWORD) is None
    assert users.authenticate(browser.site.engine, ANN, NEW) is not None
    used = browser.get(path)
    assert used.status_code == 404 and "no longer valid" in html.unescape(used.text)
    assert used.headers["Referrer-Policy"] == "no-referrer"


def test_a_mail_in_the_language_of_its_reader(browser: Browser, mails: MailServer) -> None:
    profile.change_profile(browser.site.engine, ann(browser.site.engine), {"language": "ru"})
    ask(browser)
    send(browser)
    assert mails.mails[0]["Subject"] == "Задайте новый пароль"
    assert "Если это были не вы" in text_of(mails) and link_in(text_of(mails))


def test_what_is_wrong_does_not_use_it_up(browser: Browser) -> None:
    user = ann(browser.site.engine)
    token = password_links.create_token(browser.site.engine, user, browser.site.clock)
    path = f"/login/password?token={token}"
    for password, again, words in (
        ("short", "short", "at least 10 characters"), (NEW, "a typo", "The two passwords differ"),
    ):  # fmt: skip
        answer = use(secure(browser), path, password, again)
        assert answer.status_code == 422 and words in answer.text
        assert f'name="token" value="{token}"' in answer.text
    assert use(secure(browser), path).status_code == 303


def test_a_form_of_another_site_sets_nothing(browser: Browser) -> None:
    user = ann(browser.site.engine)
    token = password_links.create_token(browser.site.engine, user, browser.site.clock)
    browser.get(f"/login/password?token={token}")
    form = {"token": token, "password": NEW, "again": NEW}
    for csrf in ({}, {"csrf_token": "x"}):
        assert browser.client.post("/login/password", data={**form, **csrf}).status_code == 400
    assert users.authenticate(browser.site.engine, ANN, PASSWORD) is not None


def test_strangers_and_friends_are_answered_alike(browser: Browser, mails: MailServer) -> None:
    """By the same words, and after the same work: what is asked of the database is the same."""
    engine = browser.site.engine
    ann(engine)
    statements: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def listen(_c: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    seen = []
    for email in (ANN, "xyz@example.org"):
        fresh = secure(Browser(browser.site))
        fresh.get("/login/forgotten")
        statements.clear()
        answer = ask(fresh, email)
        text = re.sub(r'value="[^"]+"', "", answer.text).replace(email, "")
        seen.append((answer.status_code, text, list(statements)))
    assert seen[0] == seen[1]
    assert send(browser) == 1
    assert [mail["To"] for mail in mails.mails] == [ANN]
    with reading(engine) as session:  # nothing is kept of the stranger
        assert session.scalars(select(Notification.recipient)).all() == [ANN]


@pytest.mark.parametrize("email", ["", "nobody", "a@b@c", "\u212aate@example.org"])
def test_what_is_no_address_is_told(browser: Browser, email: str) -> None:
    answer = ask(browser, email)
    assert answer.status_code == 422 and 'id="f-email-error"' in answer.text
    check_markup(answer.text, "en")


def test_nobody_gets_many_mails(browser: Browser, mails: MailServer) -> None:
    user = ann(browser.site.engine)
    for _ in range(3):
        ask(browser)
    assert send(browser) == 1
    ask(browser)
    browser.site.clock += 9 * MINUTE
    assert send(browser) == 0
    browser.site.clock += 2 * MINUTE
    ask(browser)
    assert send(browser) == 1 and len(mails.mails) == 2
    assert use(browser, link_in(text_of(mails))).status_code == 303
    assert browser.who == user


def test_asking_ends_soon(browser: Browser) -> None:
    guessing.register(browser.app, Guesses(2))
    for email in (ANN, "xyz@example.org"):  # whether there is somebody of that address or not
        assert [ask(browser, email).status_code for _ in range(3)] == [200, 200, 429]
    for n in range(10 - 6):  # of one network: the refused ones are counted there, too
        assert ask(browser, f"{n}@example.org").status_code == 200
    assert ask(browser, "more@example.org").status_code == 429
    assert browser.sign_in(password="wrong").status_code == 403  # passwords are counted apart


def test_a_mail_that_is_not_taken_leaves_no_link(browser: Browser, mails: MailServer) -> None:
    ann(browser.site.engine)
    ask(browser)
    mails.answers["RCPT"] = ["450 greylisted"]
    assert send(browser) == 0
    with browser.site.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT * FROM password_links").all() == []
    browser.site.clock += 2 * MINUTE
    assert send(browser) == 1 and link_in(text_of(mails))


def test_without_mails_an_administrator_is_asked(site: Site) -> None:
    browser = Browser(site)
    page = browser.get("/login/forgotten").text
    assert "Ask an administrator" in page and 'type="email"' not in page
    assert "Ask an administrator" in ask(browser).text


# --- what administrators hand over ----------------------------------------------------------------


def shown_link(text: str) -> str:
    found = re.search(r'id="the-link" value="([^"]+)"', text)
    assert found, text
    return html.unescape(found[1])


def test_who_is_invited_gets_a_link(web: Web) -> None:
    ada = reader(web, "ada")
    made = ada.send("/people", "/people", {"email": "new@example.org", "role": "user"})
    check_markup(made.text, "en")
    address = shown_link(made.text)
    assert address.startswith("http://localhost/login/password?token=")
    assert "the-link" not in ada.get("/people")  # once
    guest = Browser.__new__(Browser)
    guest.site, guest.app, guest.client = web.site, web.app, web.app.test_client()
    assert guest.get("/records").status_code == 303
    parts = urlsplit(address)
    secure(guest)
    assert use(guest, f"{parts.path}?{parts.query}").status_code == 303
    assert guest.get("/records").status_code == 200


def test_a_link_for_somebody_who_is_there(web: Web) -> None:
    ada, user = reader(web, "ada"), web.ids["ann"]
    made = ada.send("/people", f"/people/{user}/password-link")
    token = shown_link(made.text).partition("token=")[2]
    assert password_links.address_of_token(web.site.engine, token, web.site.clock) == ANN
    users.change_user(web.site.engine, user, {"invited": False})
    assert ada.send("/people", f"/people/{user}/password-link").status_code == 409
    assert ada.send("/people", "/people/99/password-link").status_code == 404


def test_a_link_by_mail(browser: Browser, mails: MailServer) -> None:
    engine = browser.site.engine
    user, _ = users.invite_user(engine, "ada@example.org", None, "admin")
    users.set_password(engine, user["id"], PASSWORD)
    browser.sign_in("ada@example.org")
    form = {"email": "new@example.org", "role": "user", "mail": "1"}
    token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get("/people").text)
    assert token
    answer = browser.client.post("/people", data={**form, "csrf_token": token[1]})
    assert answer.status_code == 303 and "the-link" not in answer.text
    assert send(browser) == 1
    assert mails.mails[0]["To"] == "new@example.org"
    assert mails.mails[0]["Subject"] == "Set your password"
    guest = secure(Browser(browser.site))
    assert use(guest, link_in(text_of(mails))).status_code == 303 and guest.who is not None


def test_a_link_by_the_api(web: Web) -> None:
    path = f"/users/{web.ids['ann']}"
    made = told(web.api("ada", "POST", f"{path}/password-link"), 201)
    assert made["email"] == ANN
    assert made["expires_at"] == (web.site.clock + timedelta(days=3)).isoformat()
    token = made["link"].partition("token=")[2]
    done = password_links.set_password(web.site.engine, token, NEW, web.site.clock)
    assert done.user == web.ids["ann"]
    shown = told(web.api("ada", "GET", path))
    assert shown["has_password"] is True and shown["last_seen_at"] is None
    found = told(web.api("ada", "GET", "/users?search=ANN"))["users"]
    assert [one["email"] for one in found] == [ANN]
    problem(web.api("eve", "POST", f"{path}/password-link"), 403)

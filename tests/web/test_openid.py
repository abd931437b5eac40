"""Signing in through a real OpenID provider over real HTTP."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from sqlalchemy import select

from merger.accounts import users as people
from merger.db.engine import reading
from merger.timeline.clock import utc
from merger.web import guessing, provider_metadata
from merger.web.provider_metadata import FIRST_PAUSE, KEPT_FOR, KeptMetadata
from models import User
from tests.conftest import START
from tests.support.databases import ON_SQLITE
from tests.support.site import Site
from tests.support.waiting import happens
from tests.web.browsing import ANN, ELSEWHERE, Browser, ann, new_browser, said
from tests.web.conftest import PASSWORD
from tests.web.provider import CLIENT, OTHER_KEY, SECRET, Provider, provided


@pytest.fixture
def browser(site: Site) -> Browser:
    return new_browser(site)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with provided() as provider:
        yield provider


@pytest.fixture
def known(site: Site, provider: Provider) -> Browser:
    """A browser at a service that sends people to a provider."""
    settings = {
        "MERGER_OIDC_ISSUER": provider.address, "MERGER_OIDC_CLIENT_ID": CLIENT,
        "MERGER_OIDC_CLIENT_SECRET": SECRET, "MERGER_OIDC_DOMAINS": "example.org",
    }  # fmt: skip
    return Browser(site, settings)


def users(site: Site) -> dict[str, str | None]:
    with reading(site.engine) as session:
        return {user.email: user.name for user in session.scalars(select(User))}


def test_somebody_whom_the_provider_knows(known: Browser, provider: Provider) -> None:
    assert "/login/oidc" in known.get("/login").text
    answer = known.through_provider("/records?day=2026-11-20")
    assert (answer.status_code, answer.location) == (303, "/records?day=2026-11-20")
    assert known.who is not None
    assert users(known.site) == {ANN: "Ann Example"}
    with known.client.session_transaction() as session:
        assert not [name for name in session if name.startswith("_state_")]
    first = known.who
    provider.claims = {"name": "Ann Other"}
    again = Browser(known.site)
    again.through_provider()
    assert again.who == first
    assert users(known.site) == {ANN: "Ann Other"}


@ON_SQLITE
def test_a_cookie_from_before_does_not_live_on(known: Browser) -> None:
    with known.client.session_transaction() as session:
        session["planted"] = "here"
    assert known.through_provider().status_code == 303
    with known.client.session_transaction() as session:
        assert "planted" not in session and "next" not in session


@ON_SQLITE
def test_nobody_is_sent_elsewhere_by_the_provider(known: Browser) -> None:
    for path in ELSEWHERE:
        assert known.through_provider(path).location == "/"
        known.post("/logout")


@ON_SQLITE
def test_where_the_provider_sends_people_back_to(site: Site, known: Browser) -> None:
    assert (
        "redirect_uri=http%3A%2F%2Flocalhost%2Flogin%2Foidc%2Fcallback"
        in known.get("/login/oidc").location
    )
    behind = Browser(site, {"MERGER_WEB_ADDRESS": "https://lectures.example.edu"})
    asked = behind.get("/login/oidc", headers={"Host": "elsewhere.example"}).location
    assert "redirect_uri=https%3A%2F%2Flectures.example.edu%2Flogin%2Foidc%2Fcallback" in asked


NOT_ACCEPTED = "was not accepted"
NOT_VERIFIED = "did not confirm your email address"
NOT_ADMITTED = "is not allowed to sign in here; ask an administrator"
CLAIMS: list[tuple[dict[str, Any], str]] = [
    ({"nonce": "another"}, NOT_ACCEPTED),
    ({"nonce": None}, NOT_ACCEPTED),
    ({"aud": "others"}, NOT_ACCEPTED),
    ({"aud": ["others"], "azp": CLIENT}, NOT_ACCEPTED),
    ({"aud": [CLIENT, "others"], "azp": "others"}, NOT_ACCEPTED),
    ({"aud": None}, NOT_ACCEPTED),
    ({"iss": "https://evil.example"}, NOT_ACCEPTED),
    ({"iss": None}, NOT_ACCEPTED),
    ({"exp": 1}, NOT_ACCEPTED),
    ({"exp": None}, NOT_ACCEPTED),
    ({"exp": "soon"}, NOT_ACCEPTED),
    ({"iat": 4_000_000_000}, NOT_ACCEPTED),
    ({"sub": None}, NOT_ACCEPTED),
    ({"at_hash": "wrong"}, NOT_ACCEPTED),
    ({"email_verified": False}, NOT_VERIFIED),
    ({"email_verified": "false"}, NOT_VERIFIED),
    ({"email_verified": None}, NOT_VERIFIED),
    ({"email": None}, NOT_VERIFIED),
    ({"email": ["ann@example.org"]}, NOT_VERIFIED),
    ({"email": "nobody"}, "a valid email address"),
    ({"email": "ann@example.com"}, NOT_ADMITTED),
    ({"email": "ann@sub.example.org"}, NOT_ADMITTED),
    ({"email": "ann@example.org@example.com"}, "a valid email address"),
    ({"email": "\uff41nn@example.org"}, "only look like ordinary ones"),
    ({"email": "ann@example.org\n"}, ""),  # which is Ann's
]


@ON_SQLITE
def test_what_a_token_says(known: Browser, provider: Provider) -> None:
    for claims, words in CLAIMS:
        provider.claims = claims
        answer = known.through_provider("/rooms")
        if not words:
            assert answer.status_code == 303
            continue
        text = said(answer)
        assert words in text, claims
        assert 'value="/rooms"' in text  # where a password leads to
        assert known.who is None
    assert users(known.site) == {ANN: "Ann Example"}


@ON_SQLITE
def test_audiences_with_ours_among_them_and_words_for_true(
    known: Browser, provider: Provider
) -> None:
    provider.claims = {
        "aud": [CLIENT, "others"], "azp": CLIENT, "email_verified": "true", "name": 7,
    }  # fmt: skip
    assert known.through_provider().status_code == 303
    assert users(known.site) == {ANN: None}


@ON_SQLITE
def test_a_signature_of_somebody_else(known: Browser, provider: Provider) -> None:
    provider.key = OTHER_KEY
    assert NOT_ACCEPTED in said(known.through_provider())


@ON_SQLITE
def test_invited_though_of_another_domain(known: Browser, provider: Provider) -> None:
    provider.claims = {"email": "guest@example.com"}
    assert NOT_ADMITTED in said(known.through_provider())
    user, _ = people.invite_user(known.site.engine, "guest@example.com", None, "editor")
    assert known.through_provider().status_code == 303
    assert known.who == user["id"]
    people.change_user(known.site.engine, user["id"], {"invited": False})
    assert known.who is None
    assert NOT_ADMITTED in said(known.through_provider())


@ON_SQLITE
def test_an_address_that_only_the_userinfo_has(known: Browser, provider: Provider) -> None:
    provider.claims = {"email": None, "email_verified": None, "name": None}
    provider.userinfo = {"sub": "7", "email": ANN, "email_verified": True}
    assert known.through_provider().status_code == 303
    known.post("/logout")
    provider.userinfo["sub"] = "8"
    assert NOT_ACCEPTED in said(known.through_provider())


OTHER_ACCOUNT = "signs in here with another account of your organisation"


def test_an_account_is_bound_at_its_first_sign_in(
    known: Browser, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    user = ann(known.site.engine)  # who is there already
    known.through_provider()
    assert known.who == user
    provider.claims = {"sub": "8"}  # whoever got the address since
    thief = Browser(known.site)
    assert OTHER_ACCOUNT in said(thief.through_provider())
    assert thief.who is None and known.who == user
    assert f"{ANN} {OTHER_ACCOUNT}" in caplog.text
    provider.claims = {"email": "bob@example.org"}
    moved = Browser(known.site)
    moved.through_provider()  # the same person, under another address
    assert moved.who == user and users(known.site) == {"bob@example.org": "Ann Example"}
    provider.claims = {"sub": "8"}
    thief.through_provider()  # somebody else by now
    assert thief.who not in (None, user)
    provider.claims = {}
    again = Browser(known.site)
    again.through_provider()  # her address is another's now: she keeps the one that she has
    assert again.who == user and set(users(known.site)) == {ANN, "bob@example.org"}


@ON_SQLITE
def test_accounts_of_another_provider_are_others(
    site: Site, known: Browser, provider: Provider
) -> None:
    """The operator has chosen another one, whose numbers are its own."""
    known.through_provider()
    with provided() as other:
        site.environ["MERGER_OIDC_ISSUER"] = other.address
        other.claims = {"sub": "another"}
        there = Browser(site)
        there.through_provider()
        assert there.who == known.who
        other.claims = {"email": "bob@example.org"}
        bob = Browser(site)
        bob.through_provider()
        assert bob.who not in (None, known.who)


@ON_SQLITE
@pytest.mark.parametrize("by", ["page", "command"])
def test_an_administrator_releases_an_account(
    site: Site, known: Browser, provider: Provider, by: str
) -> None:
    known.through_provider()
    user = known.who
    provider.claims = {"sub": "8"}
    other = Browser(site)
    assert OTHER_ACCOUNT in said(other.through_provider())
    if by == "command":
        document = site.said("release-account", ANN.upper())
        assert (document["id"], document["bound"]) == (user, False)
        assert site.run("release-account", "nobody@example.org").returncode == 2
    else:
        people.invite_user(site.engine, "ada@example.com", None, "admin")
        person = people.get_user_by_address(site.engine, "ada@example.com")
        assert person is not None
        people.set_password(site.engine, person["id"], PASSWORD)
        ada = Browser(site)
        ada.sign_in("ada@example.com")
        assert f'action="/people/{user}/release"' in ada.get("/people").text
        assert ada.post(f"/people/{user}/release").status_code == 303
        assert "/release" not in ada.get("/people").text
    assert known.who is None  # the old session is over
    other.through_provider()
    assert other.who == user


@ON_SQLITE
@pytest.mark.parametrize("subject", [7, "", "x" * 256])
def test_a_subject_that_cannot_be_kept(known: Browser, provider: Provider, subject: object) -> None:
    provider.claims = {"sub": subject}
    assert NOT_ACCEPTED in said(known.through_provider())


BEGINNING = "/.well-known/openid-configuration"
BROKEN = [
    (BEGINNING, 500, "oops"), (BEGINNING, 404, "{}"), (BEGINNING, 200, "<html>"), (BEGINNING, 200, "[]"),
    (BEGINNING, 200, "{}"), (BEGINNING, 200, '{"issuer": null}'), (BEGINNING, 200, '{"issuer": "http://127.0.0.1:1"}'),
    ("/token", 500, "oops"), ("/token", 502, "<html>"), ("/token", 200, "[]"), ("/token", 200, "{}"),
    ("/token", 400, '{"error": "invalid_client"}'), ("/token", 200, '{"id_token": "a.b.c"}'),
    ("/token", 200, '{"access_token": "x", "token_type": "Bearer", "id_token": "eyJhbGciOiJub25lIn0.e30."}'),
    ("/token", 200, '{"access_token": "x", "token_type": "Bearer", "id_token": 7}'),
    ("/token", 200, '{"access_token": "x", "token_type": "Bearer"}'),
    ("/keys", 500, "oops"), ("/keys", 200, "{}"), ("/keys", 200, '{"keys": []}'), ("/keys", 200, '{"keys": 7}'),
    ("/keys", 200, '{"keys": [{"kty": "RSA", "kid": "one", "n": "AQAB", "e": "AQAB"}]}'),
    ("/keys", 200, '{"keys": [{"kty": "oct", "kid": "one", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}'),
]  # fmt: skip


@ON_SQLITE
@pytest.mark.parametrize(("path", "status", "text"), BROKEN)
def test_a_provider_that_answers_nonsense(
    known: Browser, provider: Provider, path: str, status: int, text: str
) -> None:
    provider.broken = {path: (status, text)}
    page = said(known.through_provider())
    assert NOT_ACCEPTED in page or "responding; try again later" in page
    provider.broken.clear()
    known.site.clock += FIRST_PAUSE
    assert known.through_provider().status_code == 303  # as soon as it is well again


@ON_SQLITE
def test_a_provider_that_sends_us_elsewhere(
    known: Browser, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody there hears anything, unless it is listed."""
    with provided("127.0.0.2") as elsewhere:
        told = json.dumps(provider.metadata() | {"jwks_uri": f"{elsewhere.address}/keys"})
        provider.broken = {BEGINNING: (200, told)}
        assert NOT_ACCEPTED in said(known.through_provider())
        assert elsewhere.asked == []
        assert "MERGER_ALLOWED_NETWORKS as oidc=127.0.0.2" in caplog.text
        listed = Browser(known.site, {"MERGER_ALLOWED_NETWORKS": "oidc=127.0.0.2"})
        assert listed.through_provider().status_code == 303
        assert elsewhere.asked == ["/keys"]


def test_nobody_makes_us_ask_the_provider_again_and_again(
    known: Browser, provider: Provider
) -> None:
    for _ in range(3):
        known.get("/login/oidc")
        known.get("/login/oidc/callback?code=x&state=x")
    assert provider.asked == [BEGINNING]
    known.site.clock += KEPT_FOR
    provider.broken = {BEGINNING: (500, "oops")}
    for _ in range(3):
        assert known.get("/login/oidc").status_code == 302  # by what it said before
    assert provider.asked == [BEGINNING] * 2
    stranger = Browser(known.site)  # of another process, which knows nothing yet
    for _ in range(3):
        assert "responding; try again later" in said(stranger.get("/login/oidc"))
    assert provider.asked == [BEGINNING] * 3
    known.site.clock += FIRST_PAUSE
    said(stranger.get("/login/oidc"))
    known.site.clock += FIRST_PAUSE  # the second pause is longer
    said(stranger.get("/login/oidc"))
    assert provider.asked == [BEGINNING] * 4


def test_one_request_at_a_time_asks_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others would all wait for one that hangs, and nobody would be left to answer."""
    monkeypatch.setattr(provider_metadata, "_WAITS_S", 0.01)
    kept, asking, goes_on = KeptMetadata(), threading.Event(), threading.Event()

    def fetch() -> dict[str, Any]:
        asking.set()
        happens(goes_on)
        return {"issuer": "here"}

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(kept.get, fetch, utc(START))
        try:
            happens(asking)
            with pytest.raises(requests.ConnectionError):
                kept.get(lambda: pytest.fail("it asks, too"), utc(START))
        finally:
            goes_on.set()
        assert first.result() == {"issuer": "here"}
    assert kept.get(lambda: pytest.fail("it is known"), utc(START)) == {"issuer": "here"}


@ON_SQLITE
def test_codes_are_not_tried_without_end(known: Browser, provider: Provider) -> None:
    """Each is a call of the provider, whoever made it up."""
    guessing.register(known.app, guessing.Guesses(1))
    begun = known.get("/login/oidc").location
    [state] = parse_qs(urlsplit(begun).query)["state"]
    copied = known.cookie
    for n in range(7):
        known.client.set_cookie("merger", copied)
        answer = known.get(f"/login/oidc/callback?code={n}&state={state}")
        assert answer.status_code == (403 if n < 5 else 429)
    assert provider.asked.count("/token") == 5


@ON_SQLITE
def test_a_provider_that_is_away(site: Site) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    settings = {"MERGER_OIDC_ISSUER": address, "MERGER_OIDC_CLIENT_ID": CLIENT}
    browser = Browser(site, settings)
    assert "responding; try again later" in said(browser.get("/login/oidc?next=/rooms"))
    # Whoever has a password gets in all the same.
    ann(site.engine)
    assert browser.sign_in().status_code == 303


@ON_SQLITE
def test_whoever_says_no(known: Browser, provider: Provider) -> None:
    provider.denies = True
    text = said(known.through_provider())
    assert "you were not signed in; try again" in text
    assert "<b>no</b>" not in text


@ON_SQLITE
def test_what_anybody_may_write_makes_no_line_of_the_log(
    known: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    known.get(f"/login/oidc/callback?error=x&error_description=a%0Aforged{'y' * 9000}")
    [line] = [r.getMessage() for r in caplog.records if r.name == "merger.web.login"]
    assert "a\\nforged" in line and len(line) < 1000


@ON_SQLITE
def test_an_answer_to_what_was_not_asked(known: Browser, provider: Provider) -> None:
    """Somebody else's code, by which one would sign in as them, or they as one."""
    begun = known.get("/login/oidc").location
    back = urlsplit(requests.get(begun, allow_redirects=False, timeout=600).headers["Location"])
    victim = Browser(known.site)
    for query in (back.query, "", "code=x", "state=x", "code=x&state=x", "error=server_error"):
        said(victim.get(f"{back.path}?{query}"))
        assert victim.who is None
    victim.get("/login/oidc")
    assert "was started elsewhere" in said(victim.get(f"{back.path}?{back.query}"))
    assert known.get(f"{back.path}?{back.query}").status_code == 303
    # The same answer a second time, from the history of the browser.
    said(Browser(known.site).get(f"{back.path}?{back.query}"))
    said(known.get(f"{back.path}?{back.query}"))


@ON_SQLITE
def test_sign_ins_that_were_left_do_not_fill_the_cookie(known: Browser) -> None:
    for _ in range(30):
        known.get("/login/oidc")
    assert len(known.cookie) < 4000
    assert known.through_provider().status_code == 303


@ON_SQLITE
def test_without_a_provider(browser: Browser) -> None:
    assert "/login/oidc" not in browser.get("/login").text
    assert browser.get("/login/oidc").status_code == 404
    assert browser.get("/login/oidc/callback?code=x&state=x").status_code == 404


@ON_SQLITE
def test_no_secret_reaches_the_log(
    known: Browser, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ann(known.site.engine)
    known.sign_in(password="a-wrong-password")
    known.sign_in()
    known.post("/logout")
    known.through_provider()
    for broken in ({"/token": (500, "oops")}, {"/token": (400, '{"error": "invalid_client"}')}):
        provider.broken = broken
        known.through_provider()
    provider.broken, provider.key = {}, OTHER_KEY
    known.through_provider()
    for path in ("/api/v1/records", "/login", "/no-such-page"):
        known.client.get(f"{path}?token=in-the-query", headers={"key": "lm_wrong-key"})
    assert "signed in through" in caplog.text and "a wrong password" in caplog.text
    secrets = (
        "a-wrong-password", PASSWORD, SECRET, "code-0", "in-the-query", "lm_wrong-key", known.cookie,
        str(known.app.config["SECRET_KEY"]),
    )  # fmt: skip
    for secret in secrets:
        assert secret and secret not in caplog.text, secret

"""Guessing passwords: where it ends, and for whom it does not."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from merger.web import guessing
from merger.web.guessing import Guesses, TooManyGuesses, account_of, network_of
from tests.support.databases import ON_SQLITE
from tests.support.site import Site
from tests.support.waiting import happens, until
from tests.web.browsing import ANN, Browser, ann, new_browser
from tests.web.conftest import PASSWORD

PLACES = (("pair", "ann", "192.0.2.1"), ("account", "ann"))


def test_of_guesses_at_the_same_time_no_more_are_looked_at() -> None:
    guesses, goes_on, looks = Guesses(3), threading.Event(), []

    def look() -> None:
        looks.append(1)
        happens(goes_on)

    def guess(_: int) -> bool:
        """Return whether somebody looked at it."""
        try:
            guesses.guess(PLACES, look)
        except TooManyGuesses:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        try:
            answers = [pool.submit(guess, n) for n in range(8)]
            until(lambda: sum(answer.done() for answer in answers) + len(looks) == 8)
            assert len(looks) == 3
        finally:
            goes_on.set()
    assert sorted(answer.result() for answer in answers) == [False] * 5 + [True] * 3
    assert not guess(8)


def test_right_ones_are_not_counted_nor_what_nobody_could_look_at() -> None:
    guesses = Guesses(1)
    for _ in range(5):
        assert guesses.guess(PLACES, lambda: "right") == "right"
        with pytest.raises(OSError, match="away"):
            guesses.guess(PLACES, _away)
    with pytest.raises(OSError, match="away"):
        guesses.guess(PLACES, _away, wrong=(OSError,))
    with pytest.raises(TooManyGuesses):
        guesses.guess(PLACES, lambda: "right")


def _away() -> None:
    raise OSError("away")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"), ("::1", "::/64"), ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"), (None, "unknown"), ("/run/socket", "/run/socket"),
    ],
)  # fmt: skip
def test_for_whom_an_address_stands(address: str | None, network: str) -> None:
    assert network_of(address) == network


def test_an_account_is_the_same_however_it_is_spelled() -> None:
    assert account_of(ANN) == account_of(f" {ANN.upper()}\n") == account_of("ａnn@example.org")
    assert account_of(ANN) != account_of("bob@example.org")
    assert account_of("\ud800" + "x" * 1_000_000)


# --- in a browser ---------------------------------------------------------------------------------


@pytest.fixture
def browser(site: Site) -> Browser:
    """Ann's, at a service that counts to 1: of an address to 5, of an account to 10."""
    made = new_browser(site)
    ann(site.engine)
    guessing.register(made.app, Guesses(1))
    return made


def at(browser: Browser, address: str) -> Browser:
    """Return another browser, at an address."""
    other = Browser.__new__(Browser)
    other.site, other.app, other.client = browser.site, browser.app, browser.app.test_client()
    other.client.environ_base["REMOTE_ADDR"] = address
    return other


@ON_SQLITE
def test_a_stranger_keeps_nobody_waiting_elsewhere(browser: Browser) -> None:
    stranger = at(browser, "192.0.2.66")
    assert stranger.sign_in(password="guess").status_code == 403
    assert stranger.sign_in().status_code == 429  # even the right one
    assert stranger.sign_in("bob@example.org", "guess").status_code == 403  # another account
    assert at(browser, "192.0.2.1").sign_in().status_code == 303


@ON_SQLITE
def test_many_accounts_are_not_tried_from_one_address(browser: Browser) -> None:
    stranger = at(browser, "2001:db8::66")
    for n in range(5):
        assert stranger.sign_in(f"person-{n}@example.org", "Spring2026").status_code == 403
    assert stranger.sign_in("person-5@example.org", "Spring2026").status_code == 429
    # An address beside it is the same house.
    assert at(browser, "2001:db8::67").sign_in("bob@example.org", "guess").status_code == 429
    assert at(browser, "2001:db8:0:1::1").sign_in().status_code == 303


@ON_SQLITE
def test_many_strangers_do_not_lock_anybody_out_of_a_browser_that_is_theirs(
    browser: Browser,
) -> None:
    assert browser.sign_in().status_code == 303
    browser.post("/logout")
    for n in range(10):
        assert at(browser, f"192.0.2.{n}").sign_in(password="guess").status_code == 403
    assert at(browser, "192.0.2.99").sign_in().status_code == 429  # the account, for now
    assert browser.sign_in().status_code == 303  # though they guessed at this address, too
    browser.post("/logout")
    assert browser.sign_in(password="guess").status_code == 403
    assert browser.sign_in().status_code == 429  # a stolen browser guesses no better
    assert browser.sign_in("bob@example.org", "guess").status_code == 403  # and is nobody else's


@ON_SQLITE
def test_everybody_behind_one_address_may_sign_in(browser: Browser) -> None:
    for _ in range(12):
        assert at(browser, "192.0.2.7").sign_in().status_code == 303


@ON_SQLITE
@pytest.mark.parametrize("value", ["", "x", "x.y.z"])
def test_a_browser_is_not_known_because_it_says_so(browser: Browser, value: str) -> None:
    stranger = at(browser, "192.0.2.66")
    stranger.client.set_cookie("merger-known", value, path="/login")
    assert stranger.sign_in(password="guess").status_code == 403
    assert stranger.sign_in(password=PASSWORD).status_code == 429

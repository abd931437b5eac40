"""How often one may guess a password or a key: docs/decisions/0023-guessing.md.

Counted in the memory of this process, and before the password is looked at: of guesses at the same
time, no more are looked at than one after the other.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import threading
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar, cast

from flask import Flask, Response, after_this_request, current_app, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from werkzeug.exceptions import TooManyRequests

from merger.i18n import Message

T = TypeVar("T")
Place = tuple[str, ...]  # where guesses are counted: the kind of place, and which one it is

MOST_GUESSES = 10  # wrong ones, of one address at one account, within five minutes
_MINUTES = 5
# How many times as many in other places. Many people may be behind one address; of an account, they
# are those of all addresses together.
_TIMES = {"address": 5, "code": 5, "account": 10, "asker": 5}
_LONGEST_ACCOUNT = 254  # characters, as of an email address
_KNOWN = "merger-known"  # the cookie of a browser in which somebody has signed in
_KNOWN_FOR = timedelta(days=180)


class TooManyGuesses(TooManyRequests):
    """Too many wrong keys or passwords came from an address, or for an account."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after=retry_after)
        self.message = Message("web.too_many_guesses")


class Guesses:
    """Counts wrong guesses; right ones are not counted, once it is known that they are right.

    Args:
        most: of one address at one account, within five minutes.
    """

    def __init__(self, most: int = MOST_GUESSES) -> None:
        self._most = {
            kind: RateLimitItemPerMinute(most * _TIMES.get(kind, 1), _MINUTES)
            for kind in (
                "pair",
                "address",
                "account",
                "browser",
                "key",
                "code",
                "asker",
                "asked",
            )
        }
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._lock = threading.Lock()
        self._looked_at: Counter[Place] = Counter()  # right now

    def guess(
        self,
        places: Sequence[Place],
        look: Callable[[], T | None],
        wrong: tuple[type[Exception], ...] = (),
    ) -> T | None:
        """Return what a look at a guess finds, unless there were too many wrong ones.

        Args:
            places: in all of which it is counted.
            look: finds None for a wrong guess.
            wrong: what it raises for a wrong guess, if it does.

        Raises:
            TooManyGuesses: nobody has looked at it.
        """
        with self._lock:
            for place in places:
                if self._guesses_left(place) <= self._looked_at[place]:
                    raise TooManyGuesses(60 * _MINUTES)
            self._looked_at.update(places)
        is_wrong = False
        try:
            found = look()
            is_wrong = found is None
            return found
        except wrong:
            is_wrong = True
            raise
        finally:
            with self._lock:
                self._looked_at.subtract(places)
                self._looked_at = +self._looked_at  # without those that are 0
                if is_wrong:
                    for place in places:
                        self._limiter.hit(self._most[place[0]], *place)

    def _guesses_left(self, place: Place) -> int:
        return self._limiter.get_window_stats(self._most[place[0]], *place).remaining

    def add_wrong(self, place: Place) -> None:
        """Count a wrong guess. Raises TooManyGuesses where there were too many before."""
        with self._lock:
            if not self._limiter.hit(self._most[place[0]], *place):
                raise TooManyGuesses(60 * _MINUTES)


def register(app: Flask, guesses: Guesses) -> None:
    """Have the guesses at an application counted."""
    app.extensions["guesses"] = guesses


def _guesses() -> Guesses:
    return cast(Guesses, current_app.extensions["guesses"])


# --- where guesses are counted --------------------------------------------------------------------


def network_of(address: str | None) -> str:
    """Return for whom an address stands. Pure.

    Of IPv6 that is a /64: whoever has one address has all of these.
    """
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:  # of a socket that is a file, say
        return address or "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), 64), strict=False))


def account_of(email: str) -> str:
    """Return a short name for the account that an address means, however it is spelled. Pure."""
    same = unicodedata.normalize("NFKC", email[:_LONGEST_ACCOUNT]).strip().lower()
    return hashlib.sha256(same.encode("utf-8", "surrogatepass")).hexdigest()


def _network() -> str:
    return network_of(request.remote_addr)


def guess_password(email: str, look: Callable[[], T | None], session: str = "") -> T | None:
    """Return what a look at a password finds, None if it is wrong. Raises TooManyGuesses.

    In a browser in which this person has signed in before, only its own guesses count: strangers
    who guess keep them waiting nowhere else than in a new browser.

    Args:
        email: of the account.
        look: compares the password.
        session: of this person, who has one and changes the password.
    """
    account, network = account_of(email), _network()
    browser = session or _known_browser(account)
    places: tuple[Place, ...] = (
        (("browser", account, browser),)
        if browser
        else (("pair", account, network), ("address", network), ("account", account))
    )
    return _guesses().guess(places, look)


def guess_code(look: Callable[[], T], wrong: tuple[type[Exception], ...]) -> T:
    """Redeem what somebody brings from an identity provider. Raises TooManyGuesses."""
    return cast(T, _guesses().guess((("code", _network()),), look, wrong))


def add_wrong_key() -> None:
    """Count a wrong key. Raises TooManyGuesses."""
    _guesses().add_wrong(("key", _network()))


def add_request_for_link(email: str) -> None:
    """Count that a link to set a password is asked for, by anybody. Raises TooManyGuesses."""
    _guesses().add_wrong(("asker", _network()))
    _guesses().add_wrong(("asked", account_of(email)))


# --- browsers in which somebody has signed in -----------------------------------------------------


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.secret_key), salt="known-browser")


def _known_browser(account: str) -> str:
    """Return the name of this browser, if this person has signed in here before; else nothing."""
    try:
        known: Any = _signer().loads(
            request.cookies.get(_KNOWN, ""), max_age=int(_KNOWN_FOR.total_seconds())
        )
    except BadSignature:
        return ""
    return str(known["browser"]) if known["account"] == account else ""


def remember_browser(email: str) -> None:
    """Remember that somebody has signed in with a password in this browser."""
    account = account_of(email)
    known = {"account": account, "browser": _known_browser(account) or secrets.token_hex(8)}

    @after_this_request
    def set_cookie(response: Response) -> Response:
        response.set_cookie(
            _KNOWN, _signer().dumps(known), max_age=_KNOWN_FOR, httponly=True, samesite="Lax",
            path="/login", secure=bool(current_app.config["SESSION_COOKIE_SECURE"]),
        )  # fmt: skip
        return response

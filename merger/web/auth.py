"""Who is at the door: keys of programs, sessions of people, and how often somebody may guess."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from flask import Flask, current_app, g, request, session
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from werkzeug.exceptions import Forbidden, TooManyRequests, Unauthorized

from merger.accounts import users
from merger.accounts.permissions import Principal
from merger.service import Service
from merger.web.problems import API

# Wrong keys and passwords from one address; right ones are not counted.
MOST_GUESSES = 10
SESSION_LASTS = timedelta(days=14)
_SAFE = ("GET", "HEAD", "OPTIONS")
# What tells how to ask, and no more.
_OPEN = ("reference.openapi", "reference.docs")


class Guesses:
    """Counts wrong guesses by address, in the memory of this process. most: within five minutes."""

    def __init__(self, most: int = MOST_GUESSES) -> None:
        self._most = RateLimitItemPerMinute(most, 5)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check(self, what: str) -> None:
        """Raise TooManyRequests for an address that has guessed wrong too often."""
        if not self._limiter.test(self._most, what, _address()):
            raise TooManyRequests(
                "too many wrong keys or passwords from this address; try again in five minutes",
                retry_after=self._most.get_expiry(),
            )

    def wrong(self, what: str) -> None:
        self._limiter.hit(self._most, what, _address())


def _address() -> str:
    return request.remote_addr or "unknown"


def service() -> Service:
    """Return the service that this application shows."""
    return cast(Service, current_app.extensions["merger"])


def guesses() -> Guesses:
    return cast(Guesses, current_app.extensions["guesses"])


def register(app: Flask) -> None:
    """Have each request say who asks."""
    app.extensions["guesses"] = Guesses()

    @app.before_request
    def look() -> None:
        g.asker = None if request.endpoint == "static" else _of_key() or _of_session()
        if request.path.startswith(API) and request.endpoint not in _OPEN:
            session_principal()  # before anything of the request is read


def _of_key() -> Principal | None:
    key = request.headers.get("key")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        key = token.strip()
    if key is None:
        return None
    domains = service().settings.oidc_domains
    asker = users.user_of_key(service().engine, key, service().now(), domains)
    if asker is None:
        # Right keys are answered all the same: others may be behind the same address.
        guesses().check("key")
        guesses().wrong("key")
        raise _nobody("this key is not known, or was revoked")
    g.by_key = True
    return asker


def _of_session() -> Principal | None:
    user, number, begun_s = (session.get(name) for name in ("user", "number", "begun"))
    if not isinstance(user, int) or not isinstance(number, int) or not isinstance(begun_s, int):
        return None
    # By the cookie alone it would go on as long as something is written into it.
    is_over = service().now().timestamp() - begun_s > SESSION_LASTS.total_seconds()
    domains = service().settings.oidc_domains
    asker = None if is_over else users.user_of_session(service().engine, user, number, domains)
    if asker is None:
        session.clear()
    return asker


def _nobody(why: str) -> Unauthorized:
    error = Unauthorized(why)
    # Browsers must not answer it with a box of their own: no Basic.
    cast(Any, error).get_headers = lambda *_: [("WWW-Authenticate", 'Bearer realm="api"')]
    return error


def session_principal() -> Principal:
    """Return who asks. Raises 401 where nobody said so."""
    who = cast("Principal | None", g.get("asker"))
    if who is None:
        raise _nobody("sign in, or send an API key as Authorization: Bearer … or as key: …")
    return who


def require_principal(scope: str) -> Principal:
    """Return who asks. Raises 401 where nobody said so, 403 where they may not."""
    who = session_principal()
    if not who.may(scope):
        raise Forbidden(f"this needs the scope {scope!r}")
    if request.path.startswith(API) and request.method not in _SAFE and not g.get("by_key"):
        # Another site could send such a request with the cookie of whoever looks at it.
        raise Forbidden("a session may only read here; send an API key")
    return who


def sign_in(who: Principal) -> None:
    """Begin a session."""
    session.clear()  # a cookie that somebody else has planted must not live on
    session.permanent = True
    session["user"], session["number"] = who.user, who.session_number
    session["begun"] = int(service().now().timestamp())

"""Who makes a request: keys of programs, and sessions of people."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from flask import Flask, current_app, g, request, session
from flask_wtf.csrf import CSRFError, validate_csrf
from werkzeug.exceptions import Unauthorized

from merger.accounts import users
from merger.accounts.permissions import SCOPES_OF, Principal, granted_scopes
from merger.errors import Forbidden
from merger.i18n import Message
from merger.service import Service
from merger.web import guessing
from merger.web.problems import API

SESSION_LASTS = timedelta(days=14)
_SAFE = ("GET", "HEAD", "OPTIONS")
# Endpoints of the API that describe it, and show nothing of the service.
_OPEN = ("reference.openapi", "reference.docs")


class NotSignedIn(Unauthorized):
    """Nobody is signed in, and there is no valid key."""

    def __init__(self, message: Message) -> None:
        super().__init__(str(message))
        self.message = message

    def get_headers(self, *_: Any) -> list[tuple[str, str]]:
        # No Basic: browsers would answer it with a dialogue of their own.
        return [("WWW-Authenticate", 'Bearer realm="api"')]


def service() -> Service:
    """Return the service that this application shows."""
    return cast(Service, current_app.extensions["merger"])


def register(app: Flask) -> None:
    """Find out who makes each request."""
    guessing.register(app, guessing.Guesses())

    @app.before_request
    def identify() -> None:
        g.principal = None if request.endpoint == "static" else _of_key() or _of_session()
        if request.path.startswith(API) and request.endpoint not in _OPEN:
            current_principal()  # before anything of the request is read


def _of_key() -> Principal | None:
    key = request.headers.get("key")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        key = token.strip()
    if key is None:
        return None
    domains = service().settings.oidc_domains
    who = users.user_of_key(service().engine, key, service().now(), domains)
    if who is None:
        # Right keys are answered all the same: others may be behind the same address.
        guessing.add_wrong_key()
        raise NotSignedIn(Message("web.unknown_key"))
    g.by_key = True
    return who


def _of_session() -> Principal | None:
    user, number, begun_s = (session.get(name) for name in ("user", "number", "begun"))
    if not isinstance(user, int) or not isinstance(number, int) or not isinstance(begun_s, int):
        return None
    # By the cookie alone, a session would last as long as something is written into it.
    now, domains = service().now(), service().settings.oidc_domains
    is_over = now.timestamp() - begun_s > SESSION_LASTS.total_seconds()
    who = None if is_over else users.user_of_session(service().engine, user, number, domains, now)
    if who is None:
        session.clear()
    return who


def current_principal() -> Principal:
    """Return who makes the request. Raises NotSignedIn."""
    who = cast("Principal | None", g.get("principal"))
    if who is None:
        raise NotSignedIn(Message("web.sign_in_first"))
    return who


def require_principal(scope: str) -> Principal:
    """Return who makes the request. Raises NotSignedIn, or Forbidden without the scope."""
    who = current_principal()
    if not who.may(scope):
        raise Forbidden("forbidden", _what_is_missing(who, scope))
    if request.path.startswith(API) and request.method not in _SAFE and not g.get("by_key"):
        # Another site could send such a request with the cookie of whoever looks at it.
        raise Forbidden("forbidden", "web.session_reads_only")
    return who


def _what_is_missing(who: Principal, scope: str) -> Message:
    """Return which right somebody lacks, and who can give it. Pure."""
    if scope in granted_scopes(who.role):  # so it is their key that lacks it
        return Message("web.key_lacks_scope", scope=scope)
    role = next(role for role, scopes in SCOPES_OF.items() if scope in scopes)
    return Message("web.role_lacks_scope", email=who.email, role=role, scope=scope)


def check_form_token() -> None:
    """Refuse a form of another site, by its token alone.

    Pages whose address is secret name no referrer, without which forms are refused elsewhere.
    """
    if not current_app.config["WTF_CSRF_ENABLED"]:
        return
    try:
        validate_csrf(request.form.get("csrf_token"))
    except ValueError as error:
        raise CSRFError(str(error)) from error


def sign_in(who: Principal) -> None:
    """Begin a session."""
    session.clear()  # a cookie that somebody else has planted must not live on
    session.permanent = True
    session["user"], session["number"] = who.user, who.session_number
    session["begun"] = int(service().now().timestamp())

"""Signing in and out: with a password, or with an account that an OpenID provider vouches for."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import FlaskOAuth2App, OAuth, OAuthError
from flask import Flask, abort, current_app, g, redirect, render_template, request, session, url_for
from joserfc.errors import JoseError
from requests import RequestException
from werkzeug.wrappers import Response

from merger.accounts import users
from merger.accounts.permissions import Principal
from merger.errors import Refused
from merger.logs import printable
from merger.web.auth import guesses, service, sign_in
from merger.web.language import language

log = logging.getLogger(__name__)

_ANSWERS_WITHIN_S = 10  # the provider
_LONGEST_TOLD = 500
# What the library raises for answers that make no sense, beside errors of its own.
_SENSELESS = (AuthlibBaseError, JoseError, AttributeError, LookupError, RuntimeError, TypeError,
              ValueError)  # fmt: skip
_WRONG = "the address or the password is wrong"
_AWAY = "whoever knows you does not answer; try again later"
_DENIED = "you were not signed in; try again"
_NOT_BEGUN = "this was not begun here, or too long ago; try again"
_NOT_UNDERSTOOD = "the answer of whoever knows you was not accepted; ask an administrator"
_NOT_VERIFIED = "whoever knows you does not vouch for a mail address of yours"

Answer = str | Response | tuple[str, int]


def register(app: Flask) -> None:
    """Let people sign in to an application, and out."""
    app.add_url_rule("/login", "login", _page, methods=["GET"])
    app.add_url_rule("/login", "sign_in", _with_password, methods=["POST"])
    app.add_url_rule("/login/oidc", "login_oidc", _to_provider, methods=["GET"])
    app.add_url_rule("/login/oidc/callback", "login_callback", _from_provider, methods=["GET"])
    app.add_url_rule("/logout", "logout", _out, methods=["POST"])


def local(path: str | None) -> str:
    """Return a path of this service to go on to; / for anything that may lead elsewhere. Pure."""
    # Browsers take \ for /, and drop tabs and line ends within an address.
    is_ours = re.fullmatch(r"/(?![/\\])[^\\\x00-\x20\x7f]*", path or "")
    return path if path and is_ours else "/"


def _page() -> Answer:
    on = local(request.args.get("next"))
    return redirect(on, 303) if g.get("asker") else _shown(on)


def _shown(on: str, error: str | None = None, email: str = "") -> Answer:
    has_oidc = bool(service().settings.oidc_issuer)
    page = render_template("login.html", error=error, next=on, has_oidc=has_oidc, email=email)
    return (page, 403) if error else page


def _with_password() -> Answer:
    on = local(request.form.get("next"))
    guesses().check("password")
    email, password = (request.form.get(name, "") for name in ("email", "password"))
    domains = service().settings.oidc_domains
    who = users.authenticate(service().engine, email, password, domains)
    if who is None:
        guesses().wrong("password")
        log.warning("a wrong password, from %s", request.remote_addr)
        return _shown(on, _WRONG, email)
    _begin_session(who)
    log.info("user %s signed in with a password", who.user)
    return redirect(on, 303)


def _begin_session(who: Principal) -> None:
    sign_in(who)
    # Mails are written in the language in which the pages are read.
    users.set_language(service().engine, who.user, language())


def _out() -> Answer:
    who = g.get("asker")
    if who is not None:
        # A cookie that was copied would be good for two weeks otherwise.
        users.end_sessions(service().engine, who.user)
    session.clear()
    return redirect("/login", 303)


# --- OpenID Connect -------------------------------------------------------------------------------


def _provider() -> FlaskOAuth2App:
    """Return the provider, which is asked anew each time for its addresses and keys."""
    settings = service().settings
    if not settings.oidc_issuer:
        abort(404)
    return OAuth(current_app).register(
        "oidc",
        client_id=settings.oidc_client,
        client_secret=settings.oidc_secret.reveal() or None,
        server_metadata_url=f"{settings.oidc_issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid email profile",
            "code_challenge_method": "S256",
            "default_timeout": _ANSWERS_WITHIN_S,
        },
    )


def _to_provider() -> Answer:
    on = local(request.args.get("next"))
    provider = _provider()
    # One at a time: a cookie has no room for many that were begun and left.
    for name in [name for name in session if name.startswith("_state_")]:
        del session[name]
    session["next"] = on
    path, address = url_for("login_callback"), service().settings.web_address
    callback = f"{address}{path}" if address else url_for("login_callback", _external=True)
    try:
        _check_issuer(provider)
        onward: Response = provider.authorize_redirect(callback)
        return onward
    except RequestException as error:
        return _failed(on, _AWAY, error)
    except _SENSELESS as error:
        return _failed(on, _NOT_UNDERSTOOD, error)


def _from_provider() -> Answer:
    provider, on = _provider(), local(session.get("next"))
    try:
        claims = _claims(provider)
    except OAuthError as error:
        known = {"mismatching_state": _NOT_BEGUN, "access_denied": _DENIED}
        return _failed(on, known.get(error.error, _NOT_UNDERSTOOD), error)
    except RequestException as error:
        return _failed(on, _AWAY, error)
    except _SENSELESS as error:
        return _failed(on, _NOT_UNDERSTOOD, error)
    email, name = claims.get("email"), claims.get("name")
    # Some write true as a word.
    if not isinstance(email, str) or claims.get("email_verified") not in (True, "true"):
        return _failed(on, _NOT_VERIFIED, "no verified address")
    domains = service().settings.oidc_domains
    try:
        who = users.admit(
            service().engine, email, name[:255] if isinstance(name, str) else None, domains
        )
    except Refused as error:
        return _failed(on, str(error), "not admitted")
    _begin_session(who)
    log.info("user %s signed in through %s", who.user, service().settings.oidc_issuer)
    return redirect(on, 303)


def _claims(provider: FlaskOAuth2App) -> Mapping[str, Any]:
    """Return what a verified ID token says, and what else the provider knows of its subject."""
    metadata = _check_issuer(provider)
    options = {
        "iss": {"essential": True, "value": metadata["issuer"]},
        # Without it, a token for others passes that says that we may have it.
        "aud": {"essential": True, "value": provider.client_id},
    }
    token = provider.authorize_access_token(claims_options=options)
    claims: dict[str, Any] = dict(token["userinfo"])
    if "email" not in claims and "userinfo_endpoint" in metadata:
        more = provider.userinfo(token=token)
        if more["sub"] != claims["sub"]:
            raise ValueError("the provider tells of another subject than its token")
        claims = {**more, **claims}
    return claims


def _check_issuer(provider: FlaskOAuth2App) -> Mapping[str, Any]:
    """Return what the provider says of itself. Raises ValueError where it is another one."""
    metadata: Mapping[str, Any] = provider.load_server_metadata()
    if metadata["issuer"].rstrip("/") != service().settings.oidc_issuer:
        raise ValueError(f"it calls itself {metadata['issuer']!r}")
    return metadata


def _failed(on: str, sentence: str, why: object) -> Answer:
    """Say to a person that they are not signed in, and to the operator why."""
    # Some of it comes from the address of the request, which anybody may have written.
    told = printable(f"{type(why).__name__}: {why}"[:_LONGEST_TOLD])
    log.warning("nobody is signed in through %s: %s", service().settings.oidc_issuer, told)
    return _shown(on, sentence)

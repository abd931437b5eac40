"""Signing in and out: with a password, or with an account at an OpenID provider."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, cast

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import FlaskOAuth2App, OAuth, OAuthError
from authlib.integrations.requests_client import OAuth2Session
from flask import Flask, abort, current_app, g, redirect, render_template, request, session, url_for
from joserfc.errors import JoseError
from requests import RequestException
from werkzeug.wrappers import Response

from merger.accounts import profile, users
from merger.accounts.permissions import Principal
from merger.db.connection_rules import rules_of
from merger.errors import Broken, Refused
from merger.i18n import Message
from merger.logs import printable
from merger.mail_address import Lookalike, refuse_lookalikes
from merger.network.addresses import Rules
from merger.network.session import guard
from merger.network.targets import Unclear, target_of
from merger.web import guessing
from merger.web.auth import service, sign_in
from merger.web.language import language
from merger.web.provider_metadata import KeptMetadata

log = logging.getLogger(__name__)

_ANSWERS_WITHIN_S = 10  # the provider
_LONGEST_LOGGED = 500  # characters
_LONGEST_SUBJECT = 255  # characters, as OpenID Connect has it
# What the library raises for invalid answers, beside errors of its own; and a session, for those
# that lead where none may.
_INVALID_ANSWER = (
    AuthlibBaseError, Broken, JoseError, AttributeError, LookupError, RuntimeError, TypeError,
    ValueError,
)  # fmt: skip
_AWAY = Message("web.provider_away")
_NOT_UNDERSTOOD = Message("web.provider_not_understood")
_OAUTH_ERRORS = {
    "mismatching_state": Message("web.sign_in_not_begun"),
    "access_denied": Message("web.sign_in_denied"),
}

Answer = str | Response | tuple[str, int]


def register(app: Flask) -> None:
    """Let people sign in to an application, and out."""
    app.extensions["provider_metadata"] = KeptMetadata()
    app.add_url_rule("/login", "login", _show_page, methods=["GET"])
    app.add_url_rule("/login", "sign_in", _sign_in_with_password, methods=["POST"])
    app.add_url_rule("/login/oidc", "login_oidc", _go_to_provider, methods=["GET"])
    app.add_url_rule(
        "/login/oidc/callback", "login_callback", _return_from_provider, methods=["GET"]
    )
    app.add_url_rule("/logout", "logout", _sign_out, methods=["POST"])


def local_path(path: str | None) -> str:
    """Return a path of this service to go on to; / for anything that may lead elsewhere. Pure."""
    # Browsers take \ for /, and drop tabs and line ends inside an address.
    is_ours = re.fullmatch(r"/(?![/\\])[^\\\x00-\x20\x7f]*", path or "")
    return path if path and is_ours else "/"


def _show_page() -> Answer:
    next_path = local_path(request.args.get("next"))
    return redirect(next_path, 303) if g.get("principal") else _login_page(next_path)


def _login_page(next_path: str, error: Message | None = None, email: str = "") -> Answer:
    has_oidc = bool(service().settings.oidc_issuer)
    page = render_template(
        "login.html", error=error, next=next_path, has_oidc=has_oidc, email=email
    )
    return (page, 403) if error else page


def _sign_in_with_password() -> Answer:
    next_path = local_path(request.form.get("next"))
    email, password = (request.form.get(name, "") for name in ("email", "password"))
    try:
        refuse_lookalikes(email)
    except Lookalike as error:
        return _login_page(next_path, error.message, email)
    domains = service().settings.oidc_domains
    who = guessing.guess_password(
        email, lambda: users.authenticate(service().engine, email, password, domains)
    )
    if who is None:
        log.warning("a wrong password, from %s", request.remote_addr)
        return _login_page(next_path, Message("web.wrong_password"), email)
    begin_session(who)
    guessing.remember_browser(who.email)
    log.info("user %s signed in with a password", who.user)
    return redirect(next_path, 303)


def begin_session(who: Principal) -> None:
    """Begin a session of somebody who has just proved who they are."""
    sign_in(who)
    # Mails are written in the language in which the pages are read.
    profile.remember_language(service().engine, who.user, language())


def _sign_out() -> Answer:
    who = g.get("principal")
    if who is not None:
        # Otherwise a copied cookie would be valid for two weeks.
        users.end_sessions(service().engine, who.user)
    session.clear()
    return redirect("/login", 303)


# --- OpenID Connect -------------------------------------------------------------------------------


def _provider() -> FlaskOAuth2App:
    """Return the provider, whose keys are fetched anew each time."""
    settings = service().settings
    if not settings.oidc_issuer:
        abort(404)
    provider: FlaskOAuth2App = OAuth(current_app).register(
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
    rules = rules_of(settings, service().engine, "oidc")
    with suppress(Unclear):  # which is told when it is asked
        rules = rules.trusting(target_of(settings.oidc_issuer).host)
    provider.client_cls = partial(_new_session, rules)
    return provider


def _new_session(rules: Rules, /, *args: Any, **options: Any) -> OAuth2Session:
    """Return a session that asks the provider, and goes wherever it says, as far as rules allow."""
    return guard(OAuth2Session(*args, **options), rules)


def _go_to_provider() -> Answer:
    next_path = local_path(request.args.get("next"))
    provider = _provider()
    # One at a time: a cookie has no room for many that were begun and abandoned.
    for name in [name for name in session if name.startswith("_state_")]:
        del session[name]
    session["next"] = next_path
    path, address = url_for("login_callback"), service().settings.web_address
    callback = f"{address}{path}" if address else url_for("login_callback", _external=True)
    try:
        _load_metadata(provider)
        response: Response = provider.authorize_redirect(callback)
        return response
    except RequestException as error:
        return _refuse(next_path, _AWAY, error)
    except _INVALID_ANSWER as error:
        return _refuse(next_path, _NOT_UNDERSTOOD, error)


def _return_from_provider() -> Answer:
    provider, next_path = _provider(), local_path(session.get("next"))
    try:
        claims = guessing.guess_code(lambda: _fetch_claims(provider), wrong=(OAuthError,))
    except OAuthError as error:
        return _refuse(next_path, _OAUTH_ERRORS.get(error.error, _NOT_UNDERSTOOD), error)
    except RequestException as error:
        return _refuse(next_path, _AWAY, error)
    except _INVALID_ANSWER as error:
        return _refuse(next_path, _NOT_UNDERSTOOD, error)
    email, name = claims.get("email"), claims.get("name")
    # Some write true as a word.
    if not isinstance(email, str) or claims.get("email_verified") not in (True, "true"):
        return _refuse(next_path, Message("web.address_not_verified"), "no verified address")
    here = service()
    account = users.Account(here.settings.oidc_issuer, claims["sub"])
    try:
        who = users.admit(
            here.engine, account, email, name if isinstance(name, str) else None,
            here.settings.oidc_domains, here.now(),
        )  # fmt: skip
    except Refused as error:
        return _refuse(next_path, error.message, error)
    begin_session(who)
    log.info("user %s signed in through %s", who.user, service().settings.oidc_issuer)
    return redirect(next_path, 303)


def _fetch_claims(provider: FlaskOAuth2App) -> Mapping[str, Any]:
    """Return the claims of a verified ID token, and those of the userinfo endpoint if needed."""
    metadata = _load_metadata(provider)
    options = {
        "iss": {"essential": True, "value": metadata["issuer"]},
        # Without it, a token for another client would pass if it names us as a party.
        "aud": {"essential": True, "value": provider.client_id},
    }
    token = provider.authorize_access_token(claims_options=options)
    claims: dict[str, Any] = dict(token["userinfo"])
    if "email" not in claims and "userinfo_endpoint" in metadata:
        more = provider.userinfo(token=token)
        if more["sub"] != claims["sub"]:
            raise ValueError("userinfo is of another subject than the token")
        claims = {**more, **claims}
    if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= _LONGEST_SUBJECT:
        raise ValueError("its subject is none")
    return claims


def _load_metadata(provider: FlaskOAuth2App) -> Mapping[str, Any]:
    """Return the provider's metadata, as kept. Raises ValueError if it is of another issuer."""

    def fetch() -> Mapping[str, Any]:
        metadata: Mapping[str, Any] = dict(provider.load_server_metadata())
        if metadata["issuer"].rstrip("/") != service().settings.oidc_issuer:
            raise ValueError(f"it calls itself {metadata['issuer']!r}")
        return metadata

    kept = cast(KeptMetadata, current_app.extensions["provider_metadata"])
    metadata = kept.get(fetch, service().now())
    provider.server_metadata.update(metadata)
    return metadata


def _refuse(next_path: str, message: Message, why: object) -> Answer:
    """Tell a person that they are not signed in, and log why."""
    # Some of it comes from the address of the request, which anybody may have written.
    logged = printable(f"{type(why).__name__}: {why}"[:_LONGEST_LOGGED])
    log.warning("nobody is signed in through %s: %s", service().settings.oidc_issuer, logged)
    return _login_page(next_path, message)

"""The web application: the API, the pages, and the endpoints for operators, put together."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, request
from flask.json.provider import DefaultJSONProvider
from flask_openapi3 import Info, OpenAPI
from flask_wtf.csrf import CSRFProtect

from merger import strict_json
from merger.db.key_value import KeyValueStore
from merger.service import Service
from merger.web import access_log, auth, login, operations, passwords, problems
from merger.web.api import (
    access,
    discovered,
    events,
    files,
    keys,
    montage,
    records,
    reference,
    rooms,
    stills,
    users,
)
from merger.web.api.timetable import days_off, importing, occurrences, series
from merger.web.pages import registry as pages
from merger.web.pages.base import Number
from merger.web.pages.people import account
from merger.web.proxy import BehindProxy
from models import Secret

LARGEST_BODY = 1 << 20  # bytes; nobody uploads anything
_SECRET = "web-secret"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class _Json(DefaultJSONProvider):
    """Reads JSON as Flask does, but strictly."""

    def loads(self, s: str | bytes, **_: Any) -> Any:
        try:
            return strict_json.loads(s)
        except strict_json.UnusableJson as error:  # of other errors, requests become empty ones
            raise problems.BadBody(error.message) from error


def create_web(service: Service, hooks: Sequence[Blueprint] = ()) -> OpenAPI:
    """Return the application that shows a service.

    Args:
        service: to show.
        hooks: webhooks, at which other services notify us.
    """
    app = OpenAPI(
        "merger.web",
        info=Info(title="Lecture merge", version="1"),
        security_schemes=reference.SECURITY_SCHEMES,
        doc_ui=False,
        validation_error_callback=problems.explain_invalid,
        validation_error_status=422,
        validation_error_model=problems.Problem,
        static_folder="static",
        template_folder="templates",
    )
    settings = service.settings
    app.wsgi_app = BehindProxy(app.wsgi_app, settings.trusted_proxy)  # type: ignore[method-assign]
    app.json = _Json(app)
    app.url_map.converters["int"] = Number
    is_https = settings.web_address.startswith("https://")
    app.config.update(
        SECRET_KEY=_secret(service),
        MAX_CONTENT_LENGTH=LARGEST_BODY,
        MAX_FORM_MEMORY_SIZE=LARGEST_BODY,
        SESSION_COOKIE_NAME="merger",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=is_https,
        PERMANENT_SESSION_LIFETIME=auth.SESSION_LASTS,
        SESSION_REFRESH_EACH_REQUEST=False,  # a page that refreshes itself would never end
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session: a form may stay open for a day
        WTF_CSRF_SSL_STRICT=is_https,
    )
    app.extensions["merger"] = service
    access_log.register(app)
    problems.register(app)
    auth.register(app)
    csrf = CSRFProtect(app)
    resources = (
        records, access, rooms, stills, series, occurrences, days_off, users, keys, montage,
        discovered, importing,
    )  # fmt: skip
    for api in resources:
        # Sessions may only read there, so that there is nothing to forge.
        csrf.exempt(api.blueprint)
        app.register_api(api.blueprint)
    app.register_api(files.blueprint)
    app.register_api(events.blueprint)
    for blueprint in (reference.blueprint, operations.blueprint):
        app.register_blueprint(blueprint)
    for hook in hooks:  # their callers sign what they send, and have no session
        csrf.exempt(hook)
        app.register_blueprint(hook)
    login.register(app)
    passwords.register(app)
    pages.register(app)
    for view in (passwords.set_password, account.switch_language):
        csrf.exempt(view)  # they compare the token of the form themselves

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        if is_https:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        if request.endpoint != "static" and "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"  # of whoever is signed in
        return response

    return app


def _secret(service: Service) -> str:
    """Return the key that signs sessions: one for all processes of a database."""
    return KeyValueStore(service.engine, Secret).get_or_set(_SECRET, secrets.token_hex(32))

"""A line of the log for each request: what was requested, by whom, and how it was answered."""

from __future__ import annotations

import logging
import time

from flask import Flask, Response, g, request

from merger import logs
from merger.logs import printable

log = logging.getLogger(__name__)

# Requested by machines every few seconds, or with every page.
_DEBUG_ONLY = ("static", "operations.alive", "operations.ready", "operations.metrics")


def logged_path() -> str:
    """Return the path of the request as logs hold it: without its query, and other secrets."""
    if request.url_rule is not None and "token" in (request.view_args or {}):
        return request.url_rule.rule
    return printable(request.path)


def register(app: Flask) -> None:
    """Log each request. To be registered before others, so that their time counts."""

    @app.before_request
    def start_clock() -> None:
        g.started_s = time.monotonic()

    @app.after_request
    def log_request(response: Response) -> Response:
        is_usual = request.endpoint in _DEBUG_ONLY and response.status_code < 400
        who = g.get("principal")
        values = {
            "method": request.method,
            "path": logged_path(),
            "status": response.status_code,
            "ms": round(1000 * (time.monotonic() - g.started_s)),
            "user": who.user if who else None,
        }
        log.log(
            logging.DEBUG if is_usual else logging.INFO,
            "%(method)s %(path)s %(status)s, %(ms)s ms, user %(user)s",
            values,
            extra=logs.fields(**values),
        )
        return response

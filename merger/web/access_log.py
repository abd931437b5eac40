"""A line of the log for each request: what was asked, by whom, and what was answered when."""

from __future__ import annotations

import logging
import time

from flask import Flask, Response, g, request

from merger import logs
from merger.logs import printable

log = logging.getLogger(__name__)

# Asked by machines every few seconds, or with every page.
_SELDOM_TOLD = ("static", "operations.alive", "operations.ready", "operations.metrics")


def register(app: Flask) -> None:
    """Have each request told; before others, so that their time counts."""

    @app.before_request
    def begin() -> None:
        g.begun_s = time.monotonic()

    @app.after_request
    def tell(response: Response) -> Response:
        is_usual = request.endpoint in _SELDOM_TOLD and response.status_code < 400
        who = g.get("asker")
        values = {
            "method": request.method,
            "path": printable(request.path),  # without the query, which may hold secrets
            "status": response.status_code,
            "ms": round(1000 * (time.monotonic() - g.begun_s)),
            "user": who.user if who else None,
        }
        log.log(
            logging.DEBUG if is_usual else logging.INFO,
            "%(method)s %(path)s %(status)s, %(ms)s ms, user %(user)s",
            values,
            extra=logs.fields(**values),
        )
        return response

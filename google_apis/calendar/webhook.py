"""`POST /hooks/google/calendar`: a calendar tells that it changed. A blueprint for app.py.

It says neither what nor whose: only that it is time to ask. So whoever calls it with a token that
they do not know achieves nothing, and with one that they do, that a calendar is read.
https://developers.google.com/workspace/calendar/api/guides/push#receiving
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from flask import Blueprint, Response, request

log = logging.getLogger(__name__)


def blueprint(told: Callable[[str, str], bool]) -> Blueprint:
    """Return the route. told: takes a channel's id and token; returns whether they belong together.

    It only writes down that a calendar is to be read: Google does not wait for long.
    """
    hooks = Blueprint("google_calendar_hook", __name__, url_prefix="/hooks/google")

    @hooks.post("/calendar")
    def changed() -> Response:
        channel = request.headers.get("X-Goog-Channel-ID", "")
        token = request.headers.get("X-Goog-Channel-Token", "")
        if not told(channel, token):
            log.warning("a call of /hooks/google/calendar is of no channel of ours")
            return Response(status=404)
        return Response(status=204)

    return hooks

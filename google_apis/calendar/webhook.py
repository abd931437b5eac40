"""`POST /hooks/google/calendar`: Google says that a calendar changed. A blueprint for app.py.

It says neither what nor whose: only that it is time to read it. So a call with a wrong token
achieves nothing, and one with the right token that a calendar is read.
https://developers.google.com/workspace/calendar/api/guides/push#receiving
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from flask import Blueprint, Response, request

log = logging.getLogger(__name__)


def blueprint(mark_stale: Callable[[str, str], bool]) -> Blueprint:
    """Return the route.

    Args:
        mark_stale: takes a channel's id and token, marks its calendar as to be read, and returns
            whether they belong together. It is quick: Google does not wait for long.
    """
    hooks = Blueprint("google_calendar_hook", __name__, url_prefix="/hooks/google")

    @hooks.post("/calendar")
    def mark_changed() -> Response:
        channel = request.headers.get("X-Goog-Channel-ID", "")
        token = request.headers.get("X-Goog-Channel-Token", "")
        if not mark_stale(channel, token):
            log.warning("a call of /hooks/google/calendar belongs to no channel of ours")
            return Response(status=404)
        return Response(status=204)

    return hooks

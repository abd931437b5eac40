"""The page of a series: what it is, when, for whom; switched off and on, and ended."""

from __future__ import annotations

from flask import flash, redirect, request

from merger.errors import Refused
from merger.series import documents, store
from merger.series.rows import PEOPLE, REQUESTED
from merger.series.unroll import WINDOW
from merger.timeline.clock import Span
from merger.web.auth import require_principal, service
from merger.web.language import t
from merger.web.pages.base import Answer, Errors, blueprint, form, phrases_of_error
from merger.web.pages.timetable.series_edit import may_edit
from merger.web.pages.timetable.words import with_state

_STATES = {"off": "disabled", "on": "active", "end": "over"}


@blueprint.get("/series/<int:series>")
def series_page(series: int) -> Answer:
    """Show a series and its coming lectures."""
    require_principal("read")
    return _page(series, "", {})


@blueprint.post("/series/<int:series>")
def change_series(series: int) -> Answer:
    """Switch a series off or on, or end it."""
    who, here = require_principal("write"), service()
    act, reason = request.form.get("act", ""), request.form.get("reason", "")
    if act not in _STATES:
        return redirect(f"/series/{series}", 303)
    try:
        store.set_state(here.engine, series, _STATES[act], reason, here.now(), who)
    except Refused as error:
        if error.code != "reason":
            raise
        require_principal("read")
        return _page(series, reason, {"reason": phrases_of_error(error)})
    flash(t(f"series.done.{act}"))
    return redirect(f"/series/{series}", 303)


def _page(series: int, reason: str, errors: Errors) -> Answer:
    who, here = require_principal("read"), service()
    found = documents.read_series(here.engine, series, who)
    now = here.now()
    coming = documents.list_occurrences(here.engine, Span(now, now + WINDOW[1]), series=series)
    is_requested = found["source"] == REQUESTED
    can_change = who.may("write") and who.owns(found["people"]) and found["state"] != "over"
    return form(
        "series.html", errors, series=found, reason=reason, can_change=can_change,
        lectures=[with_state(one) for one in coming],
        can_end=can_change and (who.sees_all or is_requested), can_edit=may_edit(found, who),
        timetable=None if is_requested or found["source"] == PEOPLE else found["source"],
    )  # fmt: skip

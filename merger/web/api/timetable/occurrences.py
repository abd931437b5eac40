"""The API: occurrences, which are single lectures of series."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response

from merger import i18n
from merger.accounts.permissions import Principal
from merger.db.engine import reading
from merger.errors import refuse
from merger.i18n import Message
from merger.records.lookup import room_row
from merger.series import documents, store
from merger.series.states import CODES, state_of
from merger.series.unroll import WINDOW
from merger.timeline.clock import Span
from merger.timeline.zones import instant_from, zone_named
from merger.web.api import base
from merger.web.api.schemas.series import (
    OccurrenceAnswer,
    OccurrenceChange,
    OccurrenceList,
    OccurrenceOut,
    OccurrencePath,
    OccurrenceQuery,
)
from merger.web.auth import require_principal, service

blueprint = base.resources("occurrences", "Single lectures of series: each is some weeks ahead.")
LONGEST = timedelta(days=184)  # that one list covers


@blueprint.get(
    "/occurrences", responses=base.responses_of(OccurrenceList), operation_id="listOccurrences"
)
def listing(query: OccurrenceQuery) -> Response:
    """List lectures, in order: of series of which you are among the people; to editors, of all."""
    who, here = require_principal("read"), service()
    span = _span_of(query)
    rooms = None
    if query.room is not None:
        with reading(here.engine) as session:
            rooms = [room_row(session, query.room).id]
    found = documents.list_occurrences(
        here.engine, span, only_of=who.only_of, rooms=rooms, series=query.series
    )
    return base.reply({"occurrences": [_document_of(one) for one in found]})


def _span_of(query: OccurrenceQuery) -> Span:
    """Return the span of a list. Raises Invalid with all that is wrong."""
    wrong: dict[str, Message] = {}
    since, to = (
        base.note_refusal(wrong, instant_from, text, ZoneInfo("UTC"), name) if text else None
        for name, text in (("from", query.since), ("to", query.to))
    )
    since = since or service().now()
    to = to or since + WINDOW[1]
    if to < since:
        wrong.setdefault("to", Message("series.no_end"))
    elif to - since > LONGEST:
        wrong.setdefault("to", Message("series.list_too_long", days=LONGEST.days))
    refuse(wrong)
    return Span(since, to)


@blueprint.get(
    "/occurrences/<int:occurrence>",
    responses=base.responses_of(OccurrenceOut),
    operation_id="showOccurrence",
)
def show(path: OccurrencePath) -> Response:
    """Show a lecture."""
    return _reply(path.occurrence, require_principal("read"))


@blueprint.patch(
    "/occurrences/<int:occurrence>",
    responses={"200": OccurrenceAnswer},
    operation_id="changeOccurrence",
)
def change(path: OccurrencePath, body: OccurrenceChange) -> Response:
    """Skip a lecture, move it, rename it, or have it take place after all, until it has begun.

    Only for the owner of its series and editors. 409 if others have requested its new time.
    """
    who, here = require_principal("write"), service()
    changes = base.changes_of(body, ("start", "end", "room", "is_off"))
    edit = _edit_of(changes, documents.read_occurrence(here.engine, path.occurrence, who))
    store.edit_occurrence(here.engine, path.occurrence, edit, here.now(), who)
    return _reply(path.occurrence, who)


def _edit_of(changes: dict[str, Any], before: dict[str, Any]) -> store.OccurrenceEdit:
    """Return what is to become of a lecture. Raises Invalid with all that is wrong."""
    wrong: dict[str, Message] = {}
    room = changes.get("room", before["room"])
    with reading(service().engine) as session:
        row = base.note_refusal(wrong, room_row, session, room)
        zone = zone_named(row.zone if row is not None else before["zone"])
    start, end = (
        base.note_refusal(wrong, instant_from, text, zone, name) if text else None
        for name in ("start", "end")
        for text in [changes.get(name)]
    )
    if end is not None and not wrong:
        begins = start or datetime.fromisoformat(before["start"])
        if end <= begins:
            wrong["end"] = Message("series.no_end")
    refuse(wrong)
    name = changes.get("name") or "" if "name" in changes else None
    return store.OccurrenceEdit(start, end, changes.get("room"), name, changes.get("is_off"))


def _reply(occurrence: int, who: Principal) -> Response:
    if not who.may("read"):
        return base.reply({"id": occurrence})
    return base.reply(_document_of(documents.read_occurrence(service().engine, occurrence, who)))


def _document_of(occurrence: dict[str, Any]) -> dict[str, Any]:
    """Return an occurrence as the API has it."""
    zone, why = zone_named(occurrence["zone"]), occurrence["reason"]
    state = state_of(occurrence, service().now())
    times = {
        name: datetime.fromisoformat(occurrence[name]).astimezone(zone).isoformat()
        for name in ("original", "start", "end")
    }
    same = ("id", "series", "room", "room_id", "zone", "name", "is_off", "is_changed", "record")
    return {
        **{name: occurrence[name] for name in same},
        **times,
        "course_code": occurrence["course"], "state": state, "status_code": CODES[state],
        "reason": str(why) if why is not None else None,
        "reason_message": i18n.to_json(why) if why is not None else None,
    }  # fmt: skip

"""The API: series, which are lectures that repeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from flask import Response

from merger import i18n
from merger.accounts.external import requester_of
from merger.accounts.permissions import Principal
from merger.errors import Invalid, refuse
from merger.i18n import Message
from merger.mail_address import email_of
from merger.names import clean_name
from merger.records import lookup, requests
from merger.series import documents, store
from merger.series.clashes import Date
from merger.series.states import CODES_OF_SERIES
from merger.timeline.layout import layout_named
from merger.timeline.profiles import profile_named
from merger.timeline.zones import length_from, local_from, zone_named
from merger.timetable.recurrence import Recurrence, check_recurrence
from merger.timetable.rules import parse_rule
from merger.timetable.spec import SeriesSpec
from merger.web.api import base
from merger.web.api.schemas.series import (
    NewSeriesAnswer,
    SeriesAnswer,
    SeriesChange,
    SeriesIn,
    SeriesList,
    SeriesOut,
    SeriesPath,
    SeriesQuery,
)
from merger.web.auth import require_principal, service

blueprint = base.resources("series", "Lectures that repeat, or lie ahead.")
_STATES = {"200": "active", "900": "disabled"}
_NOT_NULL = ("room", "start", "exdates", "people", "layout", "profile", "state", "status_code")
_UNITS = (("h", 3600), ("m", 60), ("s", 1))


@blueprint.get("/series", responses=base.responses_of(SeriesList), operation_id="listSeries")
def listing(query: SeriesQuery) -> Response:
    """List series: those of which you are among the people; to editors, all."""
    who = require_principal("read")
    found = documents.list_series(service().engine, only_of=who.only_of, room=query.room)
    return base.reply({"series": [_document_of(one) for one in found]})


@blueprint.get(
    "/series/<int:series>", responses=base.responses_of(SeriesOut), operation_id="showSeries"
)
def show(path: SeriesPath) -> Response:
    """Show a series."""
    who = require_principal("read")
    return base.reply(_document_of(documents.read_series(service().engine, path.series, who)))


@blueprint.post("/series", responses={"201": NewSeriesAnswer}, operation_id="addSeries")
def create(body: SeriesIn) -> Response:
    """Add a series in a room where you may request recordings.

    409 (`time`) if others have requested a recording, or hold a lecture, at some of its times; to
    editors, `clashes` lists these. 403 (`access`) if you may not request recordings of the room.
    """
    who, here = require_principal("write"), service()
    spec = _spec(body, body.model_dump(), None, who)
    dates = store.preview_series(here.engine, spec, here.now(), who)
    naming = requester_of(who, here.settings)
    series = store.add_series(here.engine, spec, here.now(), who, naming)
    clashes = _clashes(dates, spec.recurrence.zone)
    return _reply(series, who, 201, {"clashes": clashes})


@blueprint.patch(
    "/series/<int:series>", responses={"200": SeriesAnswer}, operation_id="changeSeries"
)
def change(path: SeriesPath, body: SeriesChange) -> Response:
    """Change a series, or switch it off and on; what has begun stays as it is.

    Only for its owner and editors. What a timetable says is changed there.
    """
    who, here = require_principal("write"), service()
    changes = base.changes_of(body, _NOT_NULL)
    state, reason = _state_of(changes)
    if changes:
        before = documents.read_spec(here.engine, path.series, who)
        spec = _spec(body, changes, before, who)
        naming = requester_of(who, here.settings)
        store.change_series(here.engine, path.series, spec, here.now(), who, naming)
    if state is not None:
        store.set_state(here.engine, path.series, state, reason, here.now(), who)
    return _reply(path.series, who)


@blueprint.delete("/series/<int:series>", responses={"204": base.NOTHING}, operation_id="endSeries")
def end(path: SeriesPath) -> Response:
    """End a series for good: what has not begun is called off; its recordings stay."""
    who, here = require_principal("write"), service()
    store.set_state(here.engine, path.series, "over", "", here.now(), who)
    return Response(status=204)


# --- what is shown --------------------------------------------------------------------------------


def _reply(
    series: int, who: Principal, status: int = 200, more: dict[str, Any] | None = None
) -> Response:
    location = f"/series/{series}" if status == 201 else None
    if not who.may("read"):
        return base.reply({"id": series}, status, location)
    shown = _document_of(documents.read_series(service().engine, series, who))
    return base.reply({**shown, **(more or {})}, status, location)


def _document_of(series: dict[str, Any]) -> dict[str, Any]:
    """Return a series as the API has it. Pure."""
    same = (
        "id", "source", "room", "room_id", "zone", "start", "rule", "until", "exdates", "mode",
        "meeting", "layout", "profile", "people", "state", "reason",
    )  # fmt: skip
    end = datetime.fromisoformat(series["start"]) + timedelta(seconds=series["length_s"])
    return {
        **{name: series[name] for name in same},
        "name": series["title"], "course_code": series["course"], "end": end.isoformat(),
        "length": _length_text(series["length_s"]), "status_code": CODES_OF_SERIES[series["state"]],
    }  # fmt: skip


def _length_text(seconds: int) -> str | None:
    """Return a length as `length_from` reads it. Pure."""
    fits = (f"{seconds // size}{unit}" for unit, size in _UNITS if seconds % size == 0)
    return next(fits) if seconds else None


def _clashes(dates: Sequence[Date], zone: str) -> list[dict[str, Any]]:
    clock = zone_named(zone)
    return [
        {
            "start": one.span.start.astimezone(clock).isoformat(),
            "end": one.span.end.astimezone(clock).isoformat(),
            "reason": str(one.why), "reason_message": i18n.to_json(one.why),
        }
        for one in dates
        if one.why is not None
    ]  # fmt: skip


# --- what is sent ---------------------------------------------------------------------------------


def _state_of(changes: dict[str, Any]) -> tuple[str | None, str]:
    """Take the state out of changes, and the reason for it. Raises Invalid."""
    names = ("reason", "status_message")
    reason = next((text for name in names if (text := changes.pop(name, None))), "")
    state, code = changes.pop("state", None), changes.pop("status_code", None)
    by_code = _STATES[str(code)] if code is not None else None
    if None not in (state, by_code) and state != by_code:
        raise Invalid("status_code", "series.two_states")
    if "disabled" in (state, by_code) and not clean_name(reason):
        raise Invalid("reason" if code is None else "status_message", "series.no_reason")
    return state or by_code, reason


def _spec(
    body: SeriesIn | SeriesChange,
    given: dict[str, Any],
    before: SeriesSpec | None,
    who: Principal,
) -> SeriesSpec:
    """Return the series that a request describes. Raises Invalid with all that is wrong.

    Args:
        given: the fields that count.
        before: the series that is changed; None for a new one.
    """
    wrong: dict[str, Message] = {}
    people = _people(given, before, who, wrong)
    for name, check in (("layout", layout_named), ("profile", profile_named)):
        if name in given:
            base.note_refusal(wrong, check, given[name])
    when = _recurrence(given, before, wrong)
    if when is not None and not wrong:
        base.note_refusal(wrong, check_recurrence, when, service().now())
    refuse(wrong)
    assert when is not None
    spec = before or SeriesSpec("", "", "", when)
    course, title = given.get("course_code", spec.course), given.get("name", spec.title)
    return replace(
        spec, course=clean_name(course or ""),
        title=clean_name(title or "") or requests.DEFAULT_NAME, recurrence=when,
        room=given.get("room", spec.room), owners=people,
        layout=given.get("layout", spec.layout), profile=given.get("profile", spec.profile),
    )  # fmt: skip


def _people(
    given: dict[str, Any], before: SeriesSpec | None, who: Principal, wrong: dict[str, Message]
) -> tuple[str, ...]:
    texts = given.get("people")
    if texts is None:
        return before.owners if before is not None else (who.email,)
    found = [
        base.note_refusal(wrong, lambda text: email_of(text, "people", is_known=True), text)
        for text in texts
    ]
    people = tuple(dict.fromkeys(email for email in found if email is not None))
    if not people:
        wrong.setdefault("people", Message("series.no_owner"))
    elif not who.owns(people):
        wrong.setdefault("people", Message("series.you_first", email=who.email))
    return people


def _recurrence(
    given: dict[str, Any], before: SeriesSpec | None, wrong: dict[str, Message]
) -> Recurrence | None:
    """Return when a series takes place; note what is wrong with the fields."""
    note, known = base.note_refusal, before.recurrence if before is not None else None
    room = given.get("room") or (before.room if before is not None else None)
    rooms_zone = note(wrong, lookup.room_zone, service().engine, room) if room else None
    name = given.get("zone") or (known.zone if known else None)
    zone = note(wrong, zone_named, name) if name else rooms_zone
    for field, value in (("room", room), ("start", given.get("start") or known)):
        if value is None:
            wrong.setdefault(field, Message("error.missing"))
    start = note(wrong, local_from, given["start"], "start") if given.get("start") else None
    if start is None and known is not None:
        start = known.starts_local
    length = _length(given, start, known, wrong)
    rule = given.get("rule", known.rule if known else None) or None
    if rule is not None:
        note(wrong, parse_rule, rule)
    until = known.until_day if known else None
    if "until" in given:
        until = note(wrong, _day, given["until"], "until") if given["until"] else None
    exdates = known.exdates if known else ()
    if given.get("exdates") is not None:
        exdates = tuple(_exdates(given["exdates"], wrong))
    if wrong or zone is None or start is None or length is None:
        return None
    rdates = known.rdates if known else ()
    return Recurrence(zone.key, start, length, rule, until, exdates, rdates)


def _length(
    given: dict[str, Any],
    start: datetime | None,
    known: Recurrence | None,
    wrong: dict[str, Message],
) -> timedelta | None:
    text, end_text = given.get("length"), given.get("end")
    if text is not None and end_text is not None:
        wrong.setdefault("end", Message("series.end_or_length"))
    elif text is not None:
        return base.note_refusal(wrong, length_from, text, "length")
    elif end_text is not None:
        end = base.note_refusal(wrong, local_from, end_text, "end")
        if end is not None and start is not None and end <= start:
            wrong.setdefault("end", Message("series.no_end"))
        return end - start if end is not None and start is not None else None
    elif known is not None:
        return known.length
    else:
        wrong.setdefault("length", Message("series.no_length"))
    return None


def _exdates(texts: Sequence[str], wrong: dict[str, Message]) -> list[date | datetime]:
    read = [
        base.note_refusal(wrong, local_from if "T" in text else _day, text, "exdates")
        for text in texts
    ]
    return [one for one in read if one is not None]


def _day(text: str, field: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Invalid(field, "web.not_a_day", text=text) from error

"""The page of a lecture: skipped, moved, renamed, or held after all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import flash, redirect, request

from merger.accounts.permissions import Principal
from merger.errors import Refused
from merger.names import LONGEST_NAME
from merger.rooms.store import zones_of_rooms
from merger.series import documents, store
from merger.series.store import OccurrenceEdit
from merger.timeline.zones import offsets_of_twice, zone_named
from merger.web.auth import require_principal, service
from merger.web.language import t
from merger.web.pages.base import Answer, Errors, blueprint, field_problem, form, phrases_of_error
from merger.web.pages.form_times import date_of, instant_of, is_clock, local_text, turn_of
from merger.web.pages.timetable.words import with_state

FIELDS = ("room", "date", "start", "start_which", "end", "end_which", "name")


@blueprint.get("/timetable/<int:occurrence>")
def lecture_page(occurrence: int) -> Answer:
    """Show a lecture, and the form that changes it."""
    who = require_principal("read")
    lecture = with_state(documents.read_occurrence(service().engine, occurrence, who))
    return _page(lecture, who, _typed_of(lecture), {})


@blueprint.post("/timetable/<int:occurrence>")
def change_lecture(occurrence: int) -> Answer:
    """Skip a lecture, have it take place after all, or change when, where and what it is."""
    who, here = require_principal("write"), service()
    lecture = with_state(documents.read_occurrence(here.engine, occurrence, who))
    act, typed, errors = request.form.get("act", ""), _typed_of(lecture), Errors()
    edit = OccurrenceEdit(is_off=act == "skip")
    if act not in ("skip", "on"):
        act, typed = "change", {name: request.form.get(name, "").strip() for name in FIELDS}
        edit = _edit_of(typed, lecture, _zones(lecture, who), errors)
    if not errors:
        try:
            store.edit_occurrence(here.engine, occurrence, edit, here.now(), who)
        except Refused as error:
            if error.code not in FIELDS:
                raise
            errors[error.code] = phrases_of_error(error)
    if errors:
        require_principal("read")
        return _page(lecture, who, typed, errors)
    flash(t(f"lecture.done.{act}"))
    return redirect(f"/timetable/{occurrence}", 303)


def _zones(lecture: Mapping[str, Any], who: Principal) -> dict[str, str]:
    """Return the rooms to which somebody may move a lecture, with their zones; its own, too."""
    return {lecture["room"]: lecture["zone"], **zones_of_rooms(service().engine, who)}


def _page(
    lecture: Mapping[str, Any], who: Principal, typed: Mapping[str, str], errors: Errors
) -> Answer:
    zones = _zones(lecture, who)
    zone = zone_named(zones.get(typed["room"], lecture["zone"]))
    on = date_of(typed["date"], {})
    offsets = {
        name: offsets_of_twice(local_text(on, typed[name], is_end=name == "end"), zone)
        for name in ("start", "end")
        if on is not None
    }
    can_change = lecture["is_yours"] and lecture["start"] > service().now()
    return form(
        "lecture.html", errors, lecture=lecture, typed=typed, zones=zones,
        offsets=offsets, can_change=can_change and who.may("write"),
    )  # fmt: skip


def _typed_of(lecture: Mapping[str, Any]) -> dict[str, str]:
    """Return the form of a lecture as it is."""
    start: datetime = lecture["start"]
    end: datetime = lecture["end"]
    zone = zone_named(lecture["zone"])
    return {
        "room": lecture["room"], "date": f"{start:%Y-%m-%d}", "name": lecture["name"],
        "start": f"{start:%H:%M}", "start_which": turn_of(start, zone),
        "end": f"{end:%H:%M}", "end_which": turn_of(end, zone),
    }  # fmt: skip


def _edit_of(
    typed: Mapping[str, str], lecture: Mapping[str, Any], zones: Mapping[str, str], errors: Errors
) -> OccurrenceEdit:
    """Return what is changed of a lecture; add what is wrong with the form."""
    if typed["room"] not in zones:
        errors["room"] = field_problem("no_room", room=typed["room"])
    if len(typed["name"]) > LONGEST_NAME:
        errors["name"] = field_problem("too_long", longest=LONGEST_NAME)
    before = _typed_of(lecture)
    when = ("room", "date", "start", "start_which", "end", "end_which")
    start = end = None
    if any(typed[name] != before[name] for name in when):
        start, end = _span_of(typed, zone_named(zones.get(typed["room"], "UTC")), errors)
    return OccurrenceEdit(
        start, end,
        room=typed["room"] if typed["room"] != before["room"] else None,
        name=typed["name"] if typed["name"] != before["name"] else None,
    )  # fmt: skip


def _span_of(
    typed: Mapping[str, str], zone: ZoneInfo, errors: Errors
) -> tuple[datetime | None, datetime | None]:
    on = date_of(typed["date"], errors)
    for name in ("start", "end"):
        if not is_clock(typed[name]):
            errors[name] = field_problem("time" if typed[name] else "missing", given=typed[name])
    if on is None or errors.keys() & {"room", "start", "end"}:
        return None, None
    start, end = (
        instant_of(
            local_text(on, typed[name], is_end=name == "end"), zone, name, errors,
            typed[f"{name}_which"],
        )
        for name in ("start", "end")
    )  # fmt: skip
    if start is not None and end is not None and end <= start:
        errors["end"] = field_problem("ends_before")
    return start, end

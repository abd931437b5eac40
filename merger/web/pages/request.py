"""The page on which somebody requests a recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import flash, redirect, request

from merger.accounts.permissions import Principal
from merger.errors import Refused
from merger.intake import asking
from merger.names import LONGEST_NAME
from merger.records import requests
from merger.records.access.mode import mode_of
from merger.records.access.store import CODE
from merger.records.leave import MEETING
from merger.records.rules.due import HALF_HOUR
from merger.rooms import store
from merger.timeline import profiles
from merger.timeline.layout import DEFAULT_LAYOUT, LAYOUTS
from merger.timeline.profiles import DEFAULT_PROFILE
from merger.timeline.zones import offsets_of_twice, zone_named
from merger.web.auth import require_principal, service
from merger.web.language import t
from merger.web.pages.addresses import parse_addresses
from merger.web.pages.base import Answer, Errors, blueprint, field_problem, form, phrases_of_error
from merger.web.pages.form_times import (
    check_span,
    choices,
    date_of,
    instant_of,
    is_clock,
    local_text,
    turn_of,
)
from merger.web.pages.timetable.weekly import check_until, request_weekly

FIELDS = (
    "room", "date", "start", "start_which", "end", "end_which", "name", "layout", "profile",
    "course_code", "users", "until",
)  # fmt: skip


@dataclass
class Parsed:
    """The values of a form, and what is wrong with it by field."""

    errors: Errors = field(default_factory=dict)
    start: datetime | None = None
    end: datetime | None = None
    users: tuple[str, ...] = ()
    until: date | None = None  # for one that repeats


@blueprint.get("/request")
def request_page() -> Answer:
    """Show the form, filled in with a half hour, or with the values of a link."""
    who = require_principal("write")
    zones = _zones(who)
    linked = {name: request.args[name] for name in FIELDS if name in request.args}
    room = linked.get("room", next(iter(zones), ""))
    return _form({**_proposal(room, zones, service().now()), **linked}, zones, {})


@blueprint.post("/request")
def send_request() -> Answer:
    """Request a recording, and go to its page."""
    who, typed = require_principal("write"), _typed_values()
    zones = _zones(who)
    parsed = parse(typed, zones, service().now())
    if not parsed.errors:
        try:
            if parsed.until is not None and parsed.start and parsed.end:
                span = parsed.start, parsed.end
                return request_weekly(who, typed, span, parsed.until, parsed.users)
            outcome = _request_record(who, typed, parsed)
        except Refused as error:
            field_name = "room" if error.code in (MEETING, CODE) else error.code
            if field_name not in FIELDS:
                raise
            parsed.errors[field_name] = phrases_of_error(error)
        else:
            return _go_on(outcome)
    return _form(typed, zones, parsed.errors)


def _go_on(outcome: asking.Outcome) -> Answer:
    """Go to what was requested, or to the request that waits for leave, and say who is asked."""
    if outcome.access is not None:
        who = ", ".join(outcome.asks)
        flash(t("access.sent", who=who) if who else t("access.sent_to_editors"))
        return redirect(f"/access/{outcome.access}", 303)
    flash(t("request.requested") if outcome.is_new else t("request.already_requested"))
    return redirect(f"/records/{outcome.record}", 303)


@blueprint.post("/request/check")
def check() -> dict[str, Any]:
    """Return what is wrong with a form, without requesting anything."""
    who, typed = require_principal("write"), _typed_values()
    zones = _zones(who)
    found = parse(typed, zones, service().now()).errors
    return {
        "errors": {name: "; ".join(p.text for p in phrases) for name, phrases in found.items()},
        "choices": choices(_offsets(typed, zones)),
    }


def _zones(who: Principal) -> dict[str, str]:
    """Return the rooms in which somebody may request, with their zones."""
    return store.zones_of_rooms(service().engine, who)


def _typed_values() -> dict[str, str]:
    return {name: request.form.get(name, "").strip() for name in FIELDS}


def _proposal(room: str, zones: Mapping[str, str], now: datetime) -> dict[str, str]:
    """Return the form for a half hour by the clock of a room."""
    values = dict.fromkeys(FIELDS, "")
    values |= {"room": room, "layout": DEFAULT_LAYOUT, "profile": DEFAULT_PROFILE}
    return values | (_half_hour(zone_named(zones[room]), now) if room in zones else {})


def _half_hour(zone: ZoneInfo, now: datetime) -> dict[str, str]:
    """Return what the form proposes: a half hour that the reader gets without asking anybody."""
    who, here = require_principal("write"), service()
    asks = not who.sees_all and mode_of(here.settings, here.engine) == "ask"
    return half_hour(zone, now + 2 * HALF_HOUR if asks else now)


def half_hour(zone: ZoneInfo, now: datetime) -> dict[str, str]:
    """Return the last half hour that is over by a clock at an instant, as the form has it. Pure."""
    local = now.astimezone(zone)
    # In UTC: local time jumps in the two nights in which clocks are changed.
    into = timedelta(
        minutes=local.minute % 30, seconds=local.second, microseconds=local.microsecond
    )
    end_at = now - into
    start, end = ((end_at - back).astimezone(zone) for back in (HALF_HOUR, timedelta()))
    return {
        "date": f"{start:%Y-%m-%d}", "start": f"{start:%H:%M}", "end": f"{end:%H:%M}",
        "start_which": turn_of(start, zone), "end_which": turn_of(end, zone),
    }  # fmt: skip


def _form(typed: Mapping[str, str], zones: Mapping[str, str], errors: Errors) -> Answer:
    now = service().now()
    return form(
        "request.html", errors, typed=typed, zones=zones, layouts=LAYOUTS.values(),
        profiles=profiles.PROFILES, offsets=_offsets(typed, zones),
        proposed={zone: _half_hour(zone_named(zone), now) for zone in set(zones.values())},
    )  # fmt: skip


def _offsets(typed: Mapping[str, str], zones: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the offsets of the times that happened twice, by field."""
    on = date_of(typed["date"], {})
    if on is None or typed["room"] not in zones:
        return {}
    zone = zone_named(zones[typed["room"]])
    return {name: offsets_of_twice(_local(on, typed, name), zone) for name in ("start", "end")}


def _request_record(who: Principal, typed: Mapping[str, str], parsed: Parsed) -> asking.Outcome:
    assert parsed.start is not None and parsed.end is not None
    new = requests.Request(
        room=typed["room"],
        start=parsed.start,
        end=parsed.end,
        name=typed["name"],
        layout=typed["layout"],
        profile=typed["profile"],
        users=(who.email, *parsed.users),
        course_code=typed["course_code"] or None,
        asked_by=who,
    )
    return asking.request_record(service(), new, service().now())


def parse(typed: Mapping[str, str], zones: Mapping[str, str], now: datetime) -> Parsed:
    """Return the values of what was typed into the form, and what is wrong with it."""
    found = Parsed()
    errors = found.errors
    if typed["room"] not in zones:
        key = "no_room" if typed["room"] else "missing"
        errors["room"] = field_problem(key, room=typed["room"])
    on = date_of(typed["date"], errors)
    for name in ("start", "end"):
        if not is_clock(typed[name]):
            errors[name] = field_problem("time" if typed[name] else "missing", given=typed[name])
    if not errors.keys() & {"room", "date", "start", "end"} and on is not None:
        _parse_span(typed, on, zone_named(zones[typed["room"]]), now, found)
    if typed["until"]:
        found.until = check_until(typed["until"], on, now, errors)
    for name in ("name", "course_code"):
        if len(typed[name]) > LONGEST_NAME:
            errors[name] = field_problem("too_long", longest=LONGEST_NAME)
    for name, allowed in (("layout", LAYOUTS), ("profile", profiles.PROFILES)):
        if typed[name] not in allowed:
            errors[name] = field_problem("choose")
    found.users = parse_addresses(typed["users"], errors)
    return found


def _parse_span(
    typed: Mapping[str, str], on: date, zone: ZoneInfo, now: datetime, found: Parsed
) -> None:
    found.start, found.end = (
        instant_of(_local(on, typed, name), zone, name, found.errors, typed[f"{name}_which"])
        for name in ("start", "end")
    )
    if found.start and found.end:
        check_span(found.start, found.end, now, found.errors)


def _local(on: date, typed: Mapping[str, str], name: str) -> str:
    """Return the local time of a field."""
    return local_text(on, typed[name], is_end=name == "end")

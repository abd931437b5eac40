"""The page on which a series is changed: what would take place, before anything is saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any

from flask import flash, redirect, render_template, request

from merger.accounts.external import requester_of
from merger.accounts.permissions import Principal
from merger.errors import Conflict, Forbidden, Invalid, Refused
from merger.names import LONGEST_NAME, clean_name
from merger.records.requests import DEFAULT_NAME
from merger.rooms.store import zones_of_rooms
from merger.series import documents, store
from merger.series.rows import REQUESTED, can_be_changed
from merger.timeline.zones import zone_named
from merger.timetable.recurrence import Recurrence
from merger.timetable.rules import WEEKDAYS, Rule, parse_rule
from merger.timetable.spec import SeriesSpec
from merger.web.auth import require_principal, service
from merger.web.language import t
from merger.web.pages.addresses import parse_addresses
from merger.web.pages.base import Answer, Errors, blueprint, field_problem, form, phrases_of_error
from merger.web.pages.form_times import date_of, is_clock
from merger.web.pages.timetable.words import when_in_words

FIELDS = (
    "name", "course_code", "room", "date", "start", "end", "rule", "until", "users",
)  # fmt: skip
_DAY = timedelta(days=1)
# Where the form has something other than `change_series` calls it.
_FIELD_OF = {"title": "name", "length": "end", "people": "users", "time": "start"}


@blueprint.get("/series/<int:series>/edit")
def edit_page(series: int) -> Answer:
    """Show the form that changes a series."""
    who = require_principal("read")
    spec = _spec_of(series, who)
    return _form(series, spec, who, _typed_of(spec), _days_of(spec.recurrence), {})


@blueprint.post("/series/<int:series>/edit")
def edit_series(series: int) -> Answer:
    """Show what would take place, and what is in the way; save it, once somebody has seen that."""
    who, here = require_principal("write"), service()
    before = _spec_of(series, who)
    typed = {name: request.form.get(name, "").strip() for name in FIELDS}
    days = [n for n in range(len(WEEKDAYS)) if WEEKDAYS[n] in request.form.getlist("days")]
    errors = Errors()
    act = request.form.get("act", "")
    spec = _parse(typed, days, before, zones_of_rooms(here.engine, who), errors)
    if spec is not None and not who.owns(spec.owners):
        why = Invalid("users", "series.you_first", email=who.email)
        errors["users"] = phrases_of_error(why)
    if spec is not None and not errors and act != "back":
        try:
            if act == "save":
                naming = requester_of(who, here.settings)
                store.change_series(here.engine, series, spec, here.now(), who, naming)
                flash(t("series_edit.saved"))
                return redirect(f"/series/{series}", 303)
            require_principal("read")
            dates = store.preview_series(here.engine, spec, here.now(), who, series)
            return _preview(series, spec, typed, days, dates, who)
        except Conflict as error:  # somebody was faster
            errors["start"] = phrases_of_error(error)
        except Refused as error:
            field = _FIELD_OF.get(error.code, error.code)
            if field not in FIELDS:
                raise
            errors[field] = phrases_of_error(error)
    require_principal("read")  # a key that may only write is not shown the series
    return _form(series, before, who, typed, days, errors)


def _spec_of(series: int, who: Principal) -> SeriesSpec:
    """Return a series that somebody may change. Raises NotFound, Forbidden, Conflict."""
    found = documents.read_series(service().engine, series, who)
    if not who.owns(found["people"]):
        raise Forbidden("not_owner", "series.not_yours", owner=found["people"][0])
    if not can_be_changed(found["source"]):
        raise Conflict("series", "series.of_timetable", timetable=found["source"])
    if not (who.sees_all or found["source"] == REQUESTED):
        raise Forbidden("series", "series.of_editors")
    return documents.read_spec(service().engine, series, who)


def may_edit(series: Mapping[str, Any], who: Principal) -> bool:
    """Return whether somebody may change all of a series: an editor, or who has requested it."""
    is_own = series["source"] == REQUESTED and who.owns(series["people"])
    is_open = can_be_changed(series["source"]) and series["state"] != "over"
    return is_open and who.may("write") and (who.sees_all or is_own)


def _simple(text: str | None) -> Rule | None:
    """Return a rule that the boxes of the form can show: every week, on some days. Pure."""
    rule = parse_rule(text) if text is not None else None
    if rule is None or rule != Rule("WEEKLY", weekdays=rule.weekdays):
        return None
    return rule if all(number == 0 for number, _ in rule.weekdays) else None


def _days_of(when: Recurrence) -> list[int]:
    rule = _simple(when.rule)
    if rule is None:
        return []
    return sorted(day for _, day in rule.weekdays) or [when.starts_local.weekday()]


def _typed_of(spec: SeriesSpec) -> dict[str, str]:
    """Return the values of the form for a series as it is."""
    when = spec.recurrence
    end = when.starts_local + when.length
    return {
        "name": spec.title, "course_code": spec.course, "room": spec.room or "",
        "date": f"{when.starts_local:%Y-%m-%d}", "start": f"{when.starts_local:%H:%M}",
        "end": f"{end:%H:%M}" if when.length else "", "until": str(when.until_day or ""),
        "rule": "" if _simple(when.rule) else when.rule or "", "users": " ".join(spec.owners),
    }  # fmt: skip


def _parse(
    typed: Mapping[str, str],
    days: list[int],
    before: SeriesSpec,
    zones: Mapping[str, str],
    errors: Errors,
) -> SeriesSpec | None:
    """Return the series that was typed; add what is wrong with it to the errors."""
    if typed["room"] != before.room and typed["room"] not in zones:
        errors["room"] = field_problem(
            "no_room" if typed["room"] else "missing", room=typed["room"]
        )
    for name in ("name", "course_code"):
        if len(typed[name]) > LONGEST_NAME:
            errors[name] = field_problem("too_long", longest=LONGEST_NAME)
    people = parse_addresses(typed["users"], errors)
    if not people and "users" not in errors:
        errors["users"] = field_problem("missing")
    until = date_of(typed["until"], errors, "until") if typed["until"] else None
    on = date_of(typed["date"], errors)
    for name in ("start", "end"):
        if not is_clock(typed[name]):
            errors[name] = field_problem("time" if typed[name] else "missing", given=typed[name])
    if on is None or errors:
        return None
    was = before.recurrence
    rule = typed["rule"] or None
    if days and rule is None:
        on += next(n for n in range(7) if (on + n * _DAY).weekday() in days) * _DAY
        is_same = days == _days_of(was)
        rule = was.rule if is_same else f"FREQ=WEEKLY;BYDAY={','.join(WEEKDAYS[n] for n in days)}"
    start = datetime.combine(on, time.fromisoformat(typed["start"]))
    end = datetime.combine(on, time.fromisoformat(typed["end"]))
    if end <= start:  # it goes on until after midnight
        end += _DAY
    if until is not None and until < on:
        errors["until"] = field_problem("until_before")
        return None
    zone = was.zone if typed["room"] == before.room else zones[typed["room"]]
    when = replace(
        was, zone=zone, starts_local=start, length=end - start, rule=rule, until_day=until
    )
    return replace(
        before, course=clean_name(typed["course_code"]), room=typed["room"], owners=people,
        title=clean_name(typed["name"]) or DEFAULT_NAME, recurrence=when,
    )  # fmt: skip


def _preview(
    series: int, spec: SeriesSpec, typed: Mapping[str, str], days: list[int], dates: Any,
    who: Principal,
) -> Answer:  # fmt: skip
    when = spec.recurrence
    said = {
        "start": when.starts_local.isoformat(), "length_s": when.length // timedelta(seconds=1),
        "rule": when.rule, "until": str(when.until_day or ""), "zone": when.zone,
    }  # fmt: skip
    return render_template(
        "series_preview.html", series=series, spec=spec, dates=dates, typed=typed,
        days=[WEEKDAYS[n] for n in days], zone=zone_named(when.zone).key,
        when=when_in_words(said), clashing=sum(one.why is not None for one in dates),
        blocked=any(one.is_blocked for one in dates) and not who.sees_all,
    )  # fmt: skip


def _form(
    series: int, spec: SeriesSpec, who: Principal, typed: Mapping[str, str], days: list[int],
    errors: Errors,
) -> Answer:  # fmt: skip
    zones = zones_of_rooms(service().engine, who)
    is_by_days = bool(days) or not typed["rule"]
    return form(
        "series_edit.html", errors, series=series, spec=spec, typed=typed, zones=zones,
        days=days, weekdays=list(enumerate(WEEKDAYS)), has_days=is_by_days,
        zone=zones.get(typed["room"]) if typed["room"] != spec.room else spec.recurrence.zone,
    )  # fmt: skip

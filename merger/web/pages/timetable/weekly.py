"""Weekly requests: what would be recorded, and what is in the way, before anything is requested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request

from merger.accounts.external import requester_of
from merger.accounts.permissions import Principal
from merger.errors import Conflict, Refused
from merger.names import clean_name
from merger.records.requests import DEFAULT_NAME
from merger.rooms.store import zones_of_rooms
from merger.series import store
from merger.series.clashes import Date
from merger.timeline.clock import FARTHEST_AHEAD
from merger.timeline.zones import zone_named
from merger.timetable.recurrence import Recurrence
from merger.timetable.spec import SeriesSpec
from merger.web.auth import service
from merger.web.language import t
from merger.web.pages.base import Answer, Errors, field_problem
from merger.web.pages.form_times import date_of
from merger.web.pages.timetable.words import when_in_words


def check_until(text: str, on: date | None, now: datetime, errors: Errors) -> date | None:
    """Return until when a request is to repeat; add what is wrong with that."""
    until = date_of(text, errors, "until")
    if until is None or on is None:
        return until
    if until <= on:
        errors["until"] = field_problem("until_before")
    elif until > now.date() + FARTHEST_AHEAD:
        errors["until"] = field_problem("until_too_far")
    return until


def request_weekly(
    who: Principal,
    typed: Mapping[str, str],
    span: tuple[datetime, datetime],
    until: date,
    users: tuple[str, ...],
) -> Answer:
    """Show all dates and what is in their way; request them, once somebody has seen that.

    Raises:
        Refused: of a field of the form.
    """
    here = service()
    zone = zone_named(zones_of_rooms(here.engine, who)[typed["room"]])
    spec = _spec_of(who, typed, span, until, users, zone)
    dates = store.preview_series(here.engine, spec, here.now(), who)
    choice = request.form.get("weekly", "")
    if choice in ("all", "without"):
        wanted = dates if choice == "all" else [one for one in dates if one.why is None]
        left_out = tuple(_local_day(one, zone) for one in dates if one not in wanted)
        when = replace(spec.recurrence, exdates=left_out)
        try:
            series = store.add_series(
                here.engine, replace(spec, recurrence=when), here.now(), who,
                requester_of(who, here.settings),
            )  # fmt: skip
        except Conflict:  # somebody was faster
            dates = store.preview_series(here.engine, spec, here.now(), who)
        else:
            flash(t("weekly.requested", count=len(wanted)))
            return redirect(f"/series/{series}", 303)
    if not dates:
        raise Refused("until", "series.none_left")
    return _page(spec, dates, zone, typed)


def _spec_of(
    who: Principal,
    typed: Mapping[str, str],
    span: tuple[datetime, datetime],
    until: date,
    users: tuple[str, ...],
    zone: ZoneInfo,
) -> SeriesSpec:
    start, end = span
    local = start.astimezone(zone).replace(tzinfo=None)
    when = Recurrence(zone.key, local, end - start, "FREQ=WEEKLY", until)
    return SeriesSpec(
        "", clean_name(typed["course_code"]), clean_name(typed["name"]) or DEFAULT_NAME, when,
        room=typed["room"], owners=tuple(dict.fromkeys((who.email, *users))),
        layout=typed["layout"], profile=typed["profile"],
    )  # fmt: skip


def _local_day(one: Date, zone: ZoneInfo) -> date:
    return one.original_at.astimezone(zone).date()


def _page(spec: SeriesSpec, dates: list[Date], zone: ZoneInfo, typed: Mapping[str, str]) -> Answer:
    when = spec.recurrence
    clashing = sum(one.why is not None for one in dates)
    series = {
        "start": when.starts_local.isoformat(), "length_s": when.length // timedelta(seconds=1),
        "rule": when.rule, "until": str(when.until_day), "zone": when.zone,
    }  # fmt: skip
    return render_template(
        "weekly.html", spec=spec, dates=dates, zone=zone.key, typed=typed,
        when=when_in_words(series), clashing=clashing, count=len(dates) - clashing,
        blocked=any(one.is_blocked for one in dates),
        back=f"/request?{urlencode({name: text for name, text in typed.items() if text})}",
    )  # fmt: skip

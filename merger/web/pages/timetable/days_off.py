"""The page of days off: listed, added, removed."""

from __future__ import annotations

from flask import flash, redirect, request

from merger.errors import Refused
from merger.rooms.store import zones_of_rooms
from merger.series import days_off
from merger.timetable.recurrence import DayOff
from merger.web.auth import require_principal, service
from merger.web.language import t
from merger.web.pages.base import Answer, Errors, blueprint, form, phrases_of_error
from merger.web.pages.form_times import date_of

FIELDS = ("first", "last", "name", "room")


@blueprint.get("/timetable/days-off")
def days_off_page() -> Answer:
    """Show all days off, and the form that adds some."""
    require_principal("rooms")
    return _page(dict.fromkeys(FIELDS, ""), {})


@blueprint.post("/timetable/days-off")
def add_days_off() -> Answer:
    """Add days off."""
    require_principal("rooms")
    here, errors = service(), Errors()
    typed = {name: request.form.get(name, "").strip() for name in FIELDS}
    first = date_of(typed["first"], errors, "first")
    last = date_of(typed["last"], errors, "last") if typed["last"] else first
    if first is not None and last is not None and not errors:
        try:
            day = DayOff(first, last, typed["name"], typed["room"] or None)
            days_off.add_day_off(here.engine, day, here.now())
        except Refused as error:
            if error.code not in FIELDS:
                raise
            errors[error.code] = phrases_of_error(error)
        else:
            flash(t("days_off.added"))
            return redirect("/timetable/days-off", 303)
    return _page(typed, errors)


@blueprint.post("/timetable/days-off/<int:day>/delete")
def remove_days_off(day: int) -> Answer:
    """Remove days off."""
    require_principal("rooms")
    days_off.remove_day_off(service().engine, day, service().now())
    flash(t("days_off.removed"))
    return redirect("/timetable/days-off", 303)


def _page(typed: dict[str, str], errors: Errors) -> Answer:
    here = service()
    return form(
        "days_off.html", errors, typed=typed, rooms=zones_of_rooms(here.engine),
        days_off=days_off.list_days_off(here.engine),
    )  # fmt: skip

"""The form on a record's page that changes its name, description, course and people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import flash, redirect, request

from merger.errors import InvalidFields, Refused
from merger.intake import moving
from merger.intake.moving import Move
from merger.records import edit, lookup
from merger.timeline.zones import zone_named
from merger.web.auth import require_principal, service
from merger.web.language import phrases_of, t
from merger.web.pages.addresses import parse_addresses
from merger.web.pages.base import Answer, Errors, blueprint, field_problem, phrases_of_error
from merger.web.pages.form_times import instant_of
from merger.web.pages.records import (
    TIMES,
    details_of,
    form_values,
    is_movable,
    page_of_record,
    times_of,
)

TEXTS = ("name", "description", "course_code")
OTHERS = ("users", "users_before", "room", "start", "start_which", "end", "end_which")


@blueprint.post("/records/<int:record>/edit")
def change_record(record: int) -> Answer:
    """Change a record; people who joined it since the form was opened stay."""
    who = require_principal("write")
    typed = {name: request.form.get(name, "") for name in (*TEXTS, *OTHERS)}
    errors: Errors = {}
    if not typed["name"].strip():
        errors["name"] = field_problem("missing")
    wanted = parse_addresses(typed["users"], errors)
    before = typed["users_before"].split()
    details = details_of(record, who)
    move = _move(details, typed, errors) if is_movable(details) else Move()
    changes = edit.Edit(
        {name: typed[name] for name in TEXTS},
        added=[email for email in wanted if email not in before],
        removed=[email for email in before if email not in wanted],
    )
    if not errors:
        try:
            moving.change_record(service(), record, changes, move, service().now(), who)
        except InvalidFields as error:
            errors |= {name: phrases_of(why) for name, why in error.fields.items()}
        except Refused as error:
            if error.code not in typed:
                raise
            errors[error.code] = phrases_of_error(error)
    if errors:
        require_principal("read")  # a key that may only write is not shown the record
        return page_of_record(details, who, form_values(details), {}, typed, errors)
    flash(t("edit.saved"))
    return redirect(f"/records/{record}", 303)


def _move(details: Mapping[str, Any], typed: dict[str, str], errors: Errors) -> Move:
    """Return where a record is to go: what differs from what it is; add what is wrong to errors."""
    now = {"room": details["room"] or "", **times_of(details)}
    changed = {name for name, value in now.items() if typed[name] not in ("", value)}
    room = typed["room"] if "room" in changed else None
    zone = lookup.room_zone(service().engine, room) if room else zone_named(details["zone"])
    times = {
        name: instant_of(typed[name], zone, name, errors, typed[f"{name}_which"])
        for name in TIMES
        if room or changed & {name, f"{name}_which"}
    }
    return Move(times.get("start"), times.get("end"), room)

"""The API: days off, on which no lectures take place."""

from __future__ import annotations

from datetime import date

from flask import Response

from merger.errors import Invalid, refuse
from merger.i18n import Message
from merger.series import days_off
from merger.timetable.recurrence import DayOff
from merger.web.api import base
from merger.web.api.schemas.series import DayOffIn, DayOffOut, DayOffPath, DaysOff
from merger.web.auth import require_principal, service

blueprint = base.resources("days-off", "Days without lectures, in all rooms or in one.")


@blueprint.get("/days-off", responses=base.responses_of(DaysOff), operation_id="listDaysOff")
def listing() -> Response:
    """List all days off, the earliest first."""
    require_principal("read")
    return base.reply({"days_off": days_off.list_days_off(service().engine)})


@blueprint.post("/days-off", responses={"201": DayOffOut}, operation_id="addDaysOff")
def create(body: DayOffIn) -> Response:
    """Add days off: what has not begun by then does not take place."""
    require_principal("rooms")
    wrong: dict[str, Message] = {}
    first = base.note_refusal(wrong, _day, body.first, "first")
    last = base.note_refusal(wrong, _day, body.last, "last") if body.last else first
    refuse(wrong)
    assert first is not None and last is not None
    here = service()
    day = DayOff(first, last, body.name, body.room)
    added = days_off.add_day_off(here.engine, day, here.now())
    return base.reply(added, 201, f"/days-off/{added['id']}")


@blueprint.delete(
    "/days-off/<int:day_off>", responses={"204": base.NOTHING}, operation_id="removeDaysOff"
)
def delete(path: DayOffPath) -> Response:
    """Remove days off: what was to be held then takes place again."""
    require_principal("rooms")
    days_off.remove_day_off(service().engine, path.day_off, service().now())
    return Response(status=204)


def _day(text: str, field: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Invalid(field, "web.not_a_day", text=text) from error

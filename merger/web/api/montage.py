"""The API for those who know NVR's manage API: the same paths, fields and answers."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from merger.errors import Invalid, Refused
from merger.i18n import Message, document
from merger.intake import asking
from merger.mail_address import email_of
from merger.records import lookup, requests
from merger.records.browse import lists
from merger.timeline.zones import instant_from
from merger.web.api import base
from merger.web.api.schemas.montage import (
    EmailPath,
    MontageIn,
    MontageOut,
    MontagePath,
    MontagePending,
    RecordsQuery,
)
from merger.web.api.schemas.records import RecordPage
from merger.web.auth import require_principal, service

_TAG = Tag(
    name="montage", description="Compatible with NVR's manage API; use /api/v1 in new programs."
)
blueprint = APIBlueprint(
    "montage", __name__, url_prefix="/api", abp_tags=[_TAG], abp_security=base.SECURITY,
    abp_responses=base.PROBLEMS,
)  # fmt: skip
blueprint.before_request(base.check_query)
_MOST = 200
_FIELDS = {"start": "start_time", "end": "end_time", "name": "event_name"}  # as this API has them


@blueprint.post(
    "/montage-event/<room>",
    responses={"201": MontageOut, "202": MontagePending},
    operation_id="montageEvent",
)
def montage(path: MontagePath, body: MontageIn) -> Response:
    """Request a record by date and local times, for the user named or for the key's owner.

    202 if it waits for the leave of somebody: see `POST /api/v1/records`.
    """
    who = require_principal("write")
    owner = who.email
    if body.user_email:
        owner = email_of(body.user_email, "user_email", is_known=True)
    if owner != who.email and not who.sees_all:
        raise Invalid("user_email", "web.for_others")
    zone = lookup.room_zone(service().engine, path.room)
    # On its own, so that a mistake in it is reported of this field.
    instant_from(f"{body.date}T00:00", ZoneInfo("UTC"), "date")
    request = requests.Request(
        room=path.room,
        start=instant_from(f"{body.date}T{body.start_time}", zone, "start_time"),
        end=instant_from(f"{body.date}T{body.end_time}", zone, "end_time"),
        name=body.event_name or "",
        users=(owner,),
        asked_by=who,
    )
    try:
        outcome = asking.request_record(service(), request, service().now())
    except Refused as error:
        if error.code not in _FIELDS:
            raise
        raise Invalid(_FIELDS[error.code], error.message) from error
    if outcome.record is None:
        waits = Message("web.montage_waits", access=outcome.access or 0)
        pending = {"access": "pending", "access_request": outcome.access}
        return base.reply({**pending, **document(waits, "message")}, 202)
    record = outcome.record
    message = Message("web.montage_requested", record=record)
    if base.sees_record(who, record):
        status = lookup.status_of(service().engine, record)
        message = Message("web.montage", record=record, status=status)
    return base.reply({"id": record, **document(message, "message")}, 201, f"/records/{record}")


@blueprint.get(
    "/records/<email>", responses=base.responses_of(RecordPage), operation_id="recordsOfUser"
)
def of_user(path: EmailPath, query: RecordsQuery) -> Response:
    """List a user's newest records; only editors may list those of others."""
    who = require_principal("read")
    chosen = lists.Filter(user=path.email, only_of=who.only_of)
    found, following = lists.page_of_records(service().engine, chosen, query.cursor, _MOST)
    return base.reply({"records": found, "next": following})

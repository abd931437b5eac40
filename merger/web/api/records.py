"""The API: records."""

from __future__ import annotations

from datetime import date as calendar_date
from zoneinfo import ZoneInfo

from flask import Response, json

from merger.accounts.permissions import Principal
from merger.db.idempotency import answer_once
from merger.errors import Refused
from merger.intake.discovered import ensure_record
from merger.records import requests, views
from merger.timeline.zones import instant_from, zone_named
from merger.web.api import base
from merger.web.api.schemas.records import (
    Again,
    Ask,
    AskHeaders,
    RecordDetails,
    RecordPage,
    RecordPath,
    RecordQuery,
)
from merger.web.auth import require_principal, service

blueprint = base.resources("records", "Videos that somebody wants, and what becomes of them.")


@blueprint.post(
    "/records",
    responses={"201": RecordDetails, "200": RecordDetails},
    operation_id="askForRecord",
)
def ask(header: AskHeaders, body: Ask) -> Response:
    """Ask for the video of a lecture; 200 where somebody has asked for the same before."""
    who = require_principal("write")
    if header.idempotency_key is None:
        status, text = _asked(who, body)
    else:
        asked = json.dumps(body.model_dump(), sort_keys=True)
        status, text = answer_once(
            service().engine, who.user, header.idempotency_key, asked, service().now(),
            lambda: _asked(who, body),
        )  # fmt: skip
    return Response(text, status=status, content_type="application/json")


def _asked(who: Principal, body: Ask) -> tuple[int, str]:
    engine = service().engine
    if body.zoom is not None:
        return _fetched(who, body, body.zoom)
    if body.room is None or body.start is None or body.end is None:
        missing = [name for name in ("room", "start", "end") if getattr(body, name) is None]
        raise Refused(missing[0], "; ".join(f"{name}: it is missing" for name in missing))
    zone = requests.room_zone(engine, body.room)
    request = requests.Request(
        room=body.room,
        start=instant_from(body.start, zone, "start"),
        end=instant_from(body.end, zone, "end"),
        name=body.event_name or "",
        layout=body.layout,
        profile=body.profile,
        users=(who.email, *body.users),
        course_code=body.course_code,
    )
    record, is_new = requests.request_record(engine, request, service().now())
    return 201 if is_new else 200, json.dumps(views.record_details(engine, record))


def _fetched(who: Principal, body: Ask, text: str) -> tuple[int, str]:
    """Ask for a Zoom recording: editors for any, others for those of which they are the host."""
    others = sorted(body.model_fields_set - {"zoom", "users"})
    if any(getattr(body, name) is not None for name in others):
        raise Refused(others[0], "beside zoom, only users has a meaning")
    here = service()
    if "zoom" not in here.offering:
        raise Refused("zoom", "this service knows no Zoom")
    try:
        offer = here.offering["zoom"].find_recording(text, here.now())
        is_theirs = offer.owner.strip().lower() == who.email
    except Refused:
        if who.sees_all:
            raise
        is_theirs = False  # nobody learns what there is by trying
    if not (who.sees_all or is_theirs):
        raise Refused("zoom", "there is no such recording, or you are not its host")
    outcome = ensure_record(here, offer, (who.email, *body.users), is_asked=True)
    if outcome.record is None:
        raise Refused("zoom", f"there is no record of it: {outcome.reason}")
    document = views.record_details(here.engine, outcome.record)
    return 201 if outcome.is_new else 200, json.dumps(document)


@blueprint.get("/records", responses={"200": RecordPage}, operation_id="listRecords")
def listing(query: RecordQuery) -> Response:
    """List records, those that begin last first."""
    who = require_principal("read")
    since = query.changed_since
    wanted = views.Filter(
        room=query.room, user=query.user, statuses=tuple(query.status), course=query.course,
        day=_day(query.day), text=query.text, only_of=who.only_of,
        changed_since=instant_from(since, ZoneInfo("UTC"), "changed_since") if since else None,
    )  # fmt: skip
    found, following = views.page_of_records(service().engine, wanted, query.cursor, query.limit)
    return base.reply({"records": found, "next": following})


def _day(text: str | None) -> calendar_date | None:
    try:
        return calendar_date.fromisoformat(text) if text else None
    except ValueError as error:
        raise Refused("day", f"{text!r} is not in the calendar") from error


@blueprint.get("/records/<int:record>", responses={"200": RecordDetails}, operation_id="showRecord")
def show(path: RecordPath) -> Response:
    """Show all that is known of a record."""
    return _shown(path.record, require_principal("read"))


def _shown(record: int, who: Principal) -> Response:
    return base.reply(views.record_details(service().engine, record, who.only_of))


@blueprint.post(
    "/records/<int:record>/cancel", responses={"200": RecordDetails}, operation_id="cancelRecord"
)
def cancel(path: RecordPath) -> Response:
    """Stop a record that is not done; what was delivered of it stays.

    Only the owner of the record, or an editor.
    """
    who = require_principal("write")
    requests.cancel(service().engine, path.record, service().now(), who.only_of)
    return _shown(path.record, who)


@blueprint.post(
    "/records/<int:record>/retry", responses={"200": RecordDetails}, operation_id="retryRecord"
)
def retry(path: RecordPath) -> Response:
    """Queue a record again that failed or was cancelled."""
    who = require_principal("write")
    requests.retry(service().engine, path.record, service().now(), who.only_of)
    return _shown(path.record, who)


@blueprint.post(
    "/records/<int:record>/remerge", responses={"200": RecordDetails}, operation_id="remergeRecord"
)
def remerge(path: RecordPath, body: Again) -> Response:
    """Make another version; only what changes is encoded, and the old one stays until then.

    Only the owner of the record, or an editor.
    """
    who, engine = require_principal("write"), service().engine
    zone = zone_named(views.record_details(engine, path.record, who.only_of)["zone"])
    start, end = (
        instant_from(text, zone, name) if text else None
        for name, text in (("start", body.start), ("end", body.end))
    )
    requests.remerge(
        engine, path.record, service().now(), who.only_of,
        layout=body.layout, profile=body.profile, start=start, end=end,
    )  # fmt: skip
    return _shown(path.record, who)


@blueprint.delete(
    "/records/<int:record>", responses={"204": base.NOTHING}, operation_id="deleteRecord"
)
def delete(path: RecordPath) -> Response:
    """Want a record no longer: nobody else wants it, and it is removed. Its videos stay."""
    who = require_principal("write")
    requests.withdraw(service().engine, path.record, service().now(), who.only_of)
    return Response(status=204)

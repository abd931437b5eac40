"""The API: records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date as calendar_date
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from flask import Response, json

from merger.accounts.permissions import Principal
from merger.db.idempotency import answer_once
from merger.errors import Invalid, Refused, refuse
from merger.i18n import Message, document
from merger.intake import asking, moving, where
from merger.intake.discovered import ensure_record
from merger.mail_address import email_of, normal_form
from merger.records import actions, edit, lookup, requests, retrying, views
from merger.records.access import store
from merger.records.browse import lists
from merger.timeline.clock import record_span
from merger.timeline.layout import layout_named
from merger.timeline.plan import Overrule
from merger.timeline.profiles import profile_named
from merger.timeline.zones import instant_from, zone_named
from merger.web.api import base
from merger.web.api.schemas.records import (
    Again,
    Ask,
    AskHeaders,
    Edit,
    NewAccessAnswer,
    NewRecordAnswer,
    RecordAnswer,
    RecordDetails,
    RecordPage,
    RecordPath,
    RecordQuery,
    RetriedOut,
    RetryFailed,
)
from merger.web.auth import require_principal, service
from models import ENDED

# What may accompany a recording of Zoom, which says itself where and when it was.
_WITH_ZOOM = {"zoom", "users", "name", "event_name", "course_code", "again"}
blueprint = base.resources(
    "records", "A record is one requested recording: its state, its videos and its history."
)


@blueprint.post(
    "/records",
    responses={"201": NewRecordAnswer, "200": NewRecordAnswer, "202": NewAccessAnswer},
    operation_id="askForRecord",
)
def request_record(header: AskHeaders, body: Ask) -> Response:
    """Request a recording; 200 if the same was requested before and you were added to it.

    202 if it is somebody else's recording, or past: then there is no record yet, but a request for
    access, which waits for the leave of its owner or of an editor. 403 (`access`) if you may not
    request recordings of this room; 403 (`meeting`) if it shows a meeting of others: ask its host
    or an editor to add you.
    """
    who = require_principal("write")
    if header.idempotency_key is None:
        status, text = _request_record(who, body)
    else:
        # What came later is left out where it is not used: answers to earlier requests still fit.
        later = {"name"} if body.name is None else set()
        later |= set() if body.again else {"again"}
        content = json.dumps(body.model_dump(exclude=later), sort_keys=True)
        # The answer is stored in English: whoever sends the key again may read another language.
        status, text = answer_once(
            service().engine, who.user, header.idempotency_key, content, service().now(),
            lambda: _request_record(who, body),
        )  # fmt: skip
    document = json.loads(text)
    is_shown = who.may("read") if status == 202 else base.sees_record(who, document["id"])
    if not is_shown:
        # Answers that were stored before this field was have none.
        document = {"id": document["id"], "access": document.get("access", "granted")}
    is_record = status == 201
    return base.reply(document, status, f"/records/{document['id']}" if is_record else None)


def _request_record(who: Principal, body: Ask) -> tuple[int, str]:
    """Return the status and the body of the answer to a request."""
    engine = service().engine
    if body.zoom is not None:
        return _request_zoom_recording(who, body, body.zoom)
    if body.again:
        raise Invalid("again", "web.again_needs_zoom")
    start, end = _span_of(body)
    request = requests.Request(
        room=body.room or "",
        start=start,
        end=end,
        name=body.name or body.event_name or "",
        layout=body.layout,
        profile=body.profile,
        users=(who.email, *body.users),
        course_code=body.course_code,
        asked_by=who,
    )
    outcome = asking.request_record(service(), request, service().now())
    if outcome.access is not None:
        waits = store.get_request(engine, outcome.access, service().now(), who)
        return 202, json.dumps(waits)
    return _granted(who, outcome.record or 0, outcome.is_new)


def _span_of(body: Ask) -> tuple[datetime, datetime]:
    """Return the span of a request. Raises Invalid with all that is wrong with its fields."""
    here, note = service(), base.note_refusal
    wrong = {
        name: Message("error.missing")
        for name in ("room", "start", "end")
        if getattr(body, name) is None
    }
    zone = None if body.room is None else note(wrong, lookup.room_zone, here.engine, body.room)
    start, end = (
        note(wrong, instant_from, text, zone or ZoneInfo("UTC"), name) if text else None
        for name, text in (("start", body.start), ("end", body.end))
    )
    note(wrong, layout_named, body.layout)
    note(wrong, profile_named, body.profile)
    for email in body.users:
        note(wrong, partial(email_of, is_known=True), email, "users")
    if start is not None and end is not None and zone is not None:
        note(wrong, record_span, start, end, here.now())
    refuse(wrong)
    assert start is not None and end is not None
    return start, end


def _granted(who: Principal, record: int, is_new: bool) -> tuple[int, str]:
    details = views.record_details(service().engine, record, who.only_of, who.user)
    return 201 if is_new else 200, json.dumps({**details, "access": "granted"})


def _request_zoom_recording(who: Principal, body: Ask, text: str) -> tuple[int, str]:
    """Request a Zoom recording: editors any, others one of which they are the host."""
    others = sorted(body.model_fields_set - _WITH_ZOOM)
    if any(getattr(body, name) is not None for name in others):
        raise Invalid(others[0], "web.only_users_with_zoom")
    here = service()
    if "zoom" not in here.offering:
        raise Invalid("zoom", "web.no_zoom")
    try:
        offer = here.offering["zoom"].find_recording(text, here.now())
        is_theirs = normal_form(offer.owner) == who.email
    except Refused:
        if who.sees_all:
            raise
        is_theirs = False  # so that nobody learns what there is by trying
    if not (who.sees_all or is_theirs):
        raise Invalid("zoom", "web.zoom_not_found")
    name = body.name or body.event_name or ""
    outcome = ensure_record(
        here, offer, (who.email, *body.users), is_explicit=True, asked_by=who, name=name,
        course_code=body.course_code,
    )  # fmt: skip
    if outcome.record is None:
        why = outcome.reason or Message("nothing")
        raise Invalid("zoom", "web.zoom_without_record", why=why)
    if body.again and not outcome.is_new:
        _remake(who, outcome.record, {"name": name, "course_code": body.course_code})
    return _granted(who, outcome.record, outcome.is_new)


def _remake(who: Principal, record: int, texts: Mapping[str, str | None]) -> None:
    """Make a new version of a record, if it has ended, with the texts that somebody says."""
    here, now = service(), service().now()
    if lookup.status_of(here.engine, record) in ENDED:
        asking.remerge(here, record, now, who)
    said = {name: text for name, text in texts.items() if text}
    if said:
        moving.change_record(here, record, edit.Edit(said), moving.Move(), now, who)


@blueprint.get("/records", responses=base.responses_of(RecordPage), operation_id="listRecords")
def listing(query: RecordQuery) -> Response:
    """List records, latest start first."""
    who = require_principal("read")
    since, start_from, start_before = (
        instant_from(text, ZoneInfo("UTC"), name) if (text := getattr(query, name)) else None
        for name in ("changed_since", "start_from", "start_before")
    )
    chosen = lists.Filter(
        room=query.room, user=query.user, statuses=tuple(query.status), course=query.course,
        day=_day(query.day), text=query.text, words=query.words, meeting=_meeting(query.meeting),
        occurrence=query.occurrence, only_of=who.only_of, reader=who.user,
        changed_since=since, start_from=start_from, start_before=start_before,
        is_rising=query.sort == "start",
    )  # fmt: skip
    found, following = lists.page_of_records(service().engine, chosen, query.cursor, query.limit)
    return base.reply({"records": found, "next": following})


def _meeting(text: str | None) -> str | None:
    number = where.number_of(text) if text else None
    if text and number is None:
        raise Invalid("meeting", "where.bad_number", text=text)
    return number


def _day(text: str | None) -> calendar_date | None:
    try:
        return calendar_date.fromisoformat(text) if text else None
    except ValueError as error:
        raise Invalid("day", "web.not_a_day", text=text or "") from error


@blueprint.get(
    "/records/<int:record>", responses=base.responses_of(RecordDetails), operation_id="showRecord"
)
def show(path: RecordPath) -> Response:
    """Show a record with all its details."""
    return _reply_details(path.record, require_principal("read"))


def _reply_details(record: int, who: Principal) -> Response:
    if not base.sees_record(who, record):
        return base.reply({"id": record})
    return base.reply(views.record_details(service().engine, record, who.only_of, who.user))


@blueprint.patch(
    "/records/<int:record>", responses={"200": RecordAnswer}, operation_id="changeRecord"
)
def change(path: RecordPath, body: Edit) -> Response:
    """Change a record's name, description, course or users, whether it is delivered or not.

    Files that are delivered already are renamed within a minute, at every destination. Its room and
    its times can be changed as long as work on it has not begun; then 409. Only for the record's
    owner and editors. The owner stays among its users.
    """
    who = require_principal("write")
    texts = base.changes_of(body, ("name", "users", "room", "start", "end"))
    users, room = texts.pop("users", None), texts.pop("room", None)
    times: dict[str, str] = {n: texts.pop(n) for n in ("start", "end") if n in texts}
    move = _move_of(path.record, who, room, times)
    moving.change_record(
        service(), path.record, edit.Edit(texts, users), move, service().now(), who
    )
    return _reply_details(path.record, who)


def _move_of(
    record: int, who: Principal, room: str | None, times: Mapping[str, str]
) -> moving.Move:
    """Return where a record is to go; times without an offset are by the clock of its room."""
    if not times:
        return moving.Move(room=room)
    engine = service().engine
    if room is not None:
        zone = lookup.room_zone(engine, room)
    else:
        zone = zone_named(views.record_summary_of(engine, record, who.only_of)["zone"])
    wrong: dict[str, Message] = {}
    found = {
        name: base.note_refusal(wrong, instant_from, text, zone, name)
        for name, text in times.items()
    }
    refuse(wrong)
    return moving.Move(found.get("start"), found.get("end"), room)


@blueprint.post(
    "/records/<int:record>/cancel", responses={"200": RecordAnswer}, operation_id="cancelRecord"
)
def cancel(path: RecordPath) -> Response:
    """Cancel an unfinished record; versions already delivered stay.

    Only for the record's owner and editors.
    """
    who = require_principal("write")
    actions.cancel(service().engine, path.record, service().now(), who.only_of, by=who)
    return _reply_details(path.record, who)


@blueprint.post(
    "/records/<int:record>/retry", responses={"200": RecordAnswer}, operation_id="retryRecord"
)
def retry(path: RecordPath) -> Response:
    """Queue a failed or cancelled record again."""
    who = require_principal("write")
    asking.retry(service(), path.record, service().now(), who)
    return _reply_details(path.record, who)


@blueprint.post("/records/retry", responses={"200": RetriedOut}, operation_id="retryFailed")
def retry_failed(body: RetryFailed) -> Response:
    """Queue failed records again, the earliest lecture first; they start one after the other.

    Only for editors. One that cannot be queued, because the same was requested anew, stops no
    other.
    """
    who, engine, now = require_principal("rooms"), service().engine, service().now()
    since = instant_from(body.since, ZoneInfo("UTC"), "since") if body.since else None
    choice = retrying.Choice(body.code, body.room, since, body.limit)
    if body.dry_run:
        return base.reply({"records": retrying.failed_records(engine, choice), "refused": []})
    retried = retrying.retry_failed(engine, choice, now, who)
    refused = [
        {"id": record, **document(why, "message")} for record, why in retried.refused.items()
    ]
    return base.reply({"records": retried.records, "refused": refused})


@blueprint.post(
    "/records/<int:record>/remerge", responses={"200": RecordAnswer}, operation_id="remergeRecord"
)
def remerge(path: RecordPath, body: Again) -> Response:
    """Request a new version of a record; the current one stays until the new one is delivered.

    Only what changes is encoded again. Only for the record's owner and editors.
    """
    who, engine = require_principal("write"), service().engine
    zone = zone_named(views.record_details(engine, path.record, who.only_of)["zone"])
    start, end = (
        instant_from(text, zone, name) if text else None
        for name, text in (("start", body.start), ("end", body.end))
    )
    overrules = (
        None
        if body.overrules is None
        else [
            Overrule(
                record_span(
                    instant_from(one.start, zone, "overrules"),
                    instant_from(one.end, zone, "overrules"),
                ),
                one.right,
            )
            for one in body.overrules
        ]
    )
    asking.remerge(
        service(), path.record, service().now(), who,
        layout=body.layout, profile=body.profile, start=start, end=end,
        overrules=overrules,
    )  # fmt: skip
    return _reply_details(path.record, who)


@blueprint.delete(
    "/records/<int:record>", responses={"204": base.NOTHING}, operation_id="deleteRecord"
)
def delete(path: RecordPath) -> Response:
    """Withdraw from a record; it is deleted if nobody else has requested it. Its videos stay."""
    who = require_principal("write")
    actions.withdraw(service().engine, path.record, service().now(), who.only_of, by=who)
    return Response(status=204)

"""The pages of rooms: what their sources show, and the form to change them."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, available_timezones

from flask import flash, redirect, request

from merger.accounts.permissions import Principal
from merger.accounts.room_policy import may_request, policy_of_json
from merger.analysis import thumbnails
from merger.errors import Invalid, MergerError, Refused
from merger.i18n import Message
from merger.intake import calendar_sync, meetings
from merger.live import bookings, source_status
from merger.live.last_seen import SourceWarning, source_warnings
from merger.live.silence import Silence, silences
from merger.ports.recorder import SourceOfRoom
from merger.records.browse import lists
from merger.rooms import probing, store
from merger.rooms.spec import RoomSpec, warnings
from merger.timeline.clock import Span
from merger.timeline.zones import zone_named
from merger.web.auth import require_principal, service
from merger.web.language import phrases_of, t
from merger.web.pages.base import Answer, Errors, blueprint, form
from merger.web.pages.records import RecordWithState, with_states
from merger.web.pages.room_form import EMPTY, RoomForm, Row, read_form, rows_of, source_of, typed_of
from models import ROLES

PAGE = 50  # rooms
_MOST_RECORDS = 5  # of each room
_MOMENT = timedelta(seconds=1)
_NEW = RoomSpec("", "")  # before anything is said of it


@dataclass(frozen=True)
class Tested:
    """What came of a test of a source. picture: as an address that holds it, or empty."""

    says: Message
    works: bool = False
    picture: str = ""


@blueprint.get("/rooms")
def rooms_page() -> Answer:
    """Show a page of rooms: what their sources show, and their running and coming records."""
    who = require_principal("read")
    after = request.args.get("after") or None
    found, following = store.page_of_rooms(service().engine, after, PAGE)
    troubles = calendar_sync.calendar_errors(service().engine) if who.may("rooms") else {}
    return form(
        "rooms.html", {}, rooms=found, troubles=troubles, **_sources_shown(who, found),
        shown=_active_records(who, [room["id"] for room in found]), is_first=after is None,
        next=f"/rooms?{urlencode({'after': following})}" if following else None,
    )  # fmt: skip


@blueprint.get("/rooms/<int:room>/sources")
def sources_of_room(room: int) -> Answer:
    """Show what the sources of a room show, for a page that stays open."""
    who = require_principal("read")
    found = store.get_room(service().engine, room)
    return form("room_sources.html", {}, room=found, **_sources_shown(who, [found]))


def _sources_shown(who: Principal, rooms: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the pages show of the sources of rooms, by their ids: pictures, flows, meetings.

    Why nothing comes is for those who can do something about it: it names paths and hosts.
    """
    engine, settings, now = service().engine, service().settings, service().now()
    taken = {
        source["id"]: thumbnails.taken_at(settings, source["id"])
        for room in rooms
        for source in room["sources"]
        if may_request(policy_of_json(room["requesters"]), who)
        and who.sees_pictures_of(source["kind"])  # else there is none, as the page has it
    }
    flows = source_status.list_flows(settings, now)
    why: dict[int, Silence] = {}
    wrong: dict[int, list[SourceWarning]] = {}
    if who.may("rooms"):
        booked = bookings.bookings(engine, Span(now - _MOMENT, now))
        why = silences(engine, service().recorder_of, rooms, flows, booked, now)
        wrong = source_warnings(engine, rooms)
    states = meetings.live_states(engine, service().offering, rooms, now)
    return {
        "taken": taken, "flows": flows, "silences": why, "meetings": states, "wrong": wrong,
    }  # fmt: skip


def _active_records(who: Principal, rooms: Sequence[int]) -> dict[int, list[RecordWithState]]:
    """Return running and coming records of some rooms, by room, the next first."""
    by_room: dict[int, list[RecordWithState]] = defaultdict(list)
    found = lists.running_records(service().engine, _MOST_RECORDS, who.only_of, rooms, who.user)
    for one in with_states(found, who):
        by_room[one.record["room_id"]].append(one)
    return by_room


@blueprint.get("/rooms/new")
def new_room() -> Answer:
    """Show the form for a new room."""
    require_principal("rooms")
    return _form(None, RoomForm(EMPTY, [Row(role="speaker"), Row(role="screen")]), {})


@blueprint.post("/rooms/new")
def add_room() -> Answer:
    """Add a room."""
    require_principal("rooms")
    sent = read_form()
    if answer := _unsaved(None, sent):
        return answer
    errors = _errors(None, sent)
    if not errors:
        spec = sent.spec(_NEW)
        try:
            store.create_room(service().engine, spec, service().recorder_of)
        except Invalid as error:  # another has added it meanwhile
            errors = sent.errors([(error.code, error.message)])
        else:
            flash(t("room.added", room=spec.name))
            _flash_warnings(spec)
            return redirect("/rooms", 303)
    return _form(None, sent, errors)


@blueprint.get("/rooms/<int:room>/edit")
def edit_room(room: int) -> Answer:
    """Show the form of a room."""
    require_principal("rooms")
    values = store.get_room(service().engine, room)
    return _form(room, RoomForm(typed_of(values), rows_of(values["sources"])), {})


@blueprint.post("/rooms/<int:room>/edit")
def change_room(room: int) -> Answer:
    """Change a room and its sources."""
    require_principal("rooms")
    sent = read_form()
    if answer := _unsaved(room, sent):
        return answer
    lost: list[str] = []

    def edit(before: RoomSpec) -> RoomSpec:
        after = sent.spec(before)
        lost[:] = sent.lost_credentials(before, after)
        return after

    errors = _errors(room, sent)
    if not errors:
        try:
            store.edit_room(service().engine, room, edit, service().recorder_of)
        except Invalid as error:
            errors = sent.errors([(error.code, error.message)])
        else:
            flash(t("room.changed", room=sent.typed["name"]))
            for name in lost:
                flash(t("room.credentials_lost", source=name))
            return redirect("/rooms", 303)
    return _form(room, sent, errors)


@blueprint.post("/rooms/<int:room>/delete")
def delete_room(room: int) -> Answer:
    """Delete a room that has no unfinished records."""
    require_principal("rooms")
    store.delete_room(service().engine, room)
    flash(t("room.deleted"))
    return redirect("/rooms", 303)


def _unsaved(room: int | None, sent: RoomForm) -> Answer | None:
    """Return the answer to a button that saves nothing; None where all is to be saved."""
    if "another" in request.form:
        return _form(room, sent.with_another(), {})
    number = request.form.get("test", "")
    if number.isdecimal() and int(number) < len(sent.rows):
        return _form(room, sent, {}, {int(number): _test(room, sent, sent.rows[int(number)])})
    return None


def _errors(room: int | None, sent: RoomForm) -> Errors:
    """Return all that is wrong with a form."""
    recorder_of = service().recorder_of
    return sent.errors(store.problems_of_change(service().engine, room, sent.spec, recorder_of))


def _test(room: int | None, sent: RoomForm, row: Row) -> Tested:
    """Return what a source in the form has, or why it has nothing."""
    if not (sent.typed["name"] and row.name and row.kind and row.address):
        return Tested(Message("rooms.probe.incomplete"))
    before = _NEW if room is None else store.spec_of_room(service().engine, room)
    stored = next((source for source in before.sources if source.name == row.name), None)
    spec = source_of(row, stored)
    try:
        zone = zone_named(sent.typed["zone"])
    except Refused:
        zone = ZoneInfo("UTC")  # what is wrong with it is said when the room is saved
    source = SourceOfRoom(
        sent.typed["name"], spec.name, spec.role, spec.kind, spec.address, zone, spec.credentials
    )
    try:
        found = probing.probe_source(service().recorder_of, source, service().now())
    except MergerError as error:
        return Tested(error.message)
    jpeg = found.jpeg and base64.b64encode(found.jpeg).decode()
    return Tested(found.found, works=True, picture=f"data:image/jpeg;base64,{jpeg}" if jpeg else "")


def _flash_warnings(spec: RoomSpec) -> None:
    for warning in warnings([spec]):
        flash("; ".join(phrase.text for phrase in phrases_of(warning)))


def _form(
    room: int | None,
    sent: RoomForm,
    errors: Errors,
    tested: Mapping[int, Tested] | None = None,
) -> Answer:
    kinds = service().kinds
    return form(
        "room.html", errors, room=room, typed=sent.typed, rows=sent.rows, labels=sent.labels(),
        roles=ROLES, kinds=kinds, tested=tested or {}, zones=sorted(available_timezones()),
    )  # fmt: skip

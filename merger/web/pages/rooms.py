"""The pages of rooms: what their sources show, and the form to change them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urlencode
from zoneinfo import available_timezones

from flask import flash, redirect, request

from merger.accounts.permissions import Principal
from merger.analysis import thumbnails
from merger.errors import Invalid, Refused
from merger.intake import calendar_sync
from merger.live import source_status
from merger.records import views
from merger.rooms import store
from merger.rooms.rules import kept_credentials, reason_of
from merger.rooms.spec import RoomSpec, SourceSpec, mask_passwords
from merger.timeline.zones import length_from, margin_from, zone_named
from merger.web.auth import require_principal, service
from merger.web.language import phrases_of, t
from merger.web.pages.base import Answer, Errors, blueprint, field_problem, form, phrases_of_error
from merger.web.pages.records import RecordWithState, with_state
from models import ROLES

PAGE = 50  # rooms
_LENGTHS = {"chunk": length_from, "early": margin_from, "late": margin_from}
_REQUIRED = ("name", "role", "kind", "address")  # of a source
_CHECKBOXES = ("mails", "uploads_raw")
_FIELDS = ("name", "zone", *_LENGTHS, "sound_source", "drive_folder", "calendar_id", *_CHECKBOXES)
_NEW: Mapping[str, str] = {
    **dict.fromkeys(_FIELDS, ""), "chunk": "30m", "early": "1m", "late": "2m", "mails": "on",
}  # fmt: skip
_MOST_SOURCES = 20  # rows of a form
_MOST_RECORDS = 5  # of each room


@dataclass(frozen=True)
class Row:
    """A source in the form. is_known: it is stored; forgets: its credentials are to be removed."""

    name: str = ""
    role: str = ""
    kind: str = ""
    address: str = ""
    credentials: str = ""
    is_known: bool = False
    has_credentials: bool = False
    forgets: bool = False
    is_removed: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.name or self.role or self.kind or self.address)


@blueprint.get("/rooms")
def rooms_page() -> Answer:
    """Show a page of rooms: what their sources show, and their running and coming records."""
    who = require_principal("read")
    after = request.args.get("after") or None
    found, following = store.page_of_rooms(service().engine, after, PAGE)
    taken = {
        source["id"]: thumbnails.taken_at(service().settings, source["id"])
        for room in found
        for source in room["sources"]
        if who.sees_pictures_of(source["kind"])  # else there is none, as the page has it
    }
    flows = source_status.list_flows(service().settings, service().now())
    troubles = calendar_sync.calendar_errors(service().engine) if who.may("rooms") else {}
    return form(
        "rooms.html", {}, rooms=found, taken=taken, flows=flows, troubles=troubles,
        shown=_active_records(who, [room["id"] for room in found]), is_first=after is None,
        next=f"/rooms?{urlencode({'after': following})}" if following else None,
    )  # fmt: skip


def _active_records(who: Principal, rooms: Sequence[int]) -> dict[int, list[RecordWithState]]:
    """Return running and coming records of some rooms, by room, the next first."""
    by_room: dict[int, list[RecordWithState]] = defaultdict(list)
    for record in views.running_records(service().engine, _MOST_RECORDS, who.only_of, rooms):
        by_room[record["room_id"]].append(with_state(record, who))
    return by_room


@blueprint.get("/rooms/new")
def new_room() -> Answer:
    """Show the form for a new room."""
    require_principal("rooms")
    return _form(None, _NEW, [Row(role="speaker"), Row(role="screen")], {})


@blueprint.post("/rooms/new")
def add_room() -> Answer:
    """Add a room."""
    require_principal("rooms")
    typed, rows = _typed_values(), _rows()
    errors = _errors_of_form(typed, rows)
    if "another" in request.form:
        return _form(None, typed, [*rows, Row()], {})
    if not errors:
        spec = _spec(typed, rows, RoomSpec(typed["name"], typed["zone"]))
        try:
            store.create_room(service().engine, spec, service().recorder_of)
        except Invalid as error:
            errors |= _errors_of_room(error, rows)
        else:
            flash(t("room.added", room=spec.name))
            return redirect("/rooms", 303)
    return _form(None, typed, rows, errors)


@blueprint.get("/rooms/<int:room>/edit")
def edit_room(room: int) -> Answer:
    """Show the form of a room."""
    require_principal("rooms")
    values = store.get_room(service().engine, room)
    rows = [
        Row(
            source["name"], source["role"], source["kind"], source["address"], is_known=True,
            has_credentials=source["has_credentials"],
        )
        for source in values["sources"]
    ]  # fmt: skip
    return _form(room, {name: values[name] or "" for name in _FIELDS}, rows, {})


@blueprint.post("/rooms/<int:room>/edit")
def change_room(room: int) -> Answer:
    """Change a room and its sources."""
    require_principal("rooms")
    typed, rows = _typed_values(), _rows()
    errors = _errors_of_form(typed, rows)
    if "another" in request.form:
        return _form(room, typed, [*rows, Row()], {})
    lost: list[str] = []

    def edit(before: RoomSpec) -> RoomSpec:
        after = _spec(typed, rows, before)
        lost[:] = _sources_without_credentials(before, after, rows)
        return after

    if not errors:
        try:
            store.edit_room(service().engine, room, edit, service().recorder_of)
        except Invalid as error:
            errors |= _errors_of_room(error, rows)
        else:
            flash(t("room.changed", room=typed["name"]))
            for name in lost:
                flash(t("room.credentials_lost", source=name))
            return redirect("/rooms", 303)
    return _form(room, typed, rows, errors)


@blueprint.post("/rooms/<int:room>/delete")
def delete_room(room: int) -> Answer:
    """Delete a room that has no unfinished records."""
    require_principal("rooms")
    store.delete_room(service().engine, room)
    flash(t("room.deleted"))
    return redirect("/rooms", 303)


def _form(
    room: int | None, typed: Mapping[str, str], rows: Sequence[Row], errors: Errors
) -> Answer:
    kinds = service().kinds
    return form(
        "room.html", errors, room=room, typed=typed, rows=rows, roles=ROLES, kinds=sorted(kinds),
        zones=sorted(available_timezones()),
    )  # fmt: skip


def _typed_values() -> dict[str, str]:
    return {name: request.form.get(name, "").strip() for name in _FIELDS}


def _rows() -> list[Row]:
    return [_row(n) for n in range(_MOST_SOURCES) if f"sources-{n}-name" in request.form]


def _row(n: int) -> Row:
    def value(name: str) -> str:
        return request.form.get(f"sources-{n}-{name}", "").strip()

    return Row(
        value("name"), value("role"), value("kind"), value("address"), value("credentials"),
        *(bool(value(name)) for name in ("is_known", "has_credentials", "forgets", "is_removed")),
    )  # fmt: skip


def _errors_of_form(typed: Mapping[str, str], rows: Sequence[Row]) -> Errors:
    """Return what is wrong with the values of the form, each by itself."""
    errors: Errors = {}
    for n, row in _source_rows(rows):
        for name in _REQUIRED:
            if not getattr(row, name):
                errors[f"sources-{n}-{name}"] = field_problem("missing")
    if not typed["name"]:
        errors["name"] = field_problem("missing")
    try:
        zone_named(typed["zone"])
    except Refused:
        errors["zone"] = field_problem("zone", given=typed["zone"])
    for name in _LENGTHS:
        try:
            _seconds(name, typed)
        except Refused:
            errors[name] = field_problem("chunk" if name == "chunk" else "margin")
    return errors


def _seconds(name: str, typed: Mapping[str, str]) -> int:
    return _LENGTHS[name](typed[name], name) // timedelta(seconds=1)


def _source_rows(rows: Sequence[Row]) -> Iterator[tuple[int, Row]]:
    """Yield the rows of a form that are to be sources, with their numbers."""
    for n, row in enumerate(rows):
        if not row.is_removed and not (row.is_empty and not row.is_known):
            yield n, row


def _spec(typed: Mapping[str, str], rows: Sequence[Row], before: RoomSpec) -> RoomSpec:
    """Return a room as a form describes it. Sources that were added meanwhile stay."""
    stored = {source.name: source for source in before.sources}
    listed = {row.name for row in rows}
    return replace(
        before, name=typed["name"], zone=typed["zone"], chunk_s=_seconds("chunk", typed),
        early_s=_seconds("early", typed), late_s=_seconds("late", typed),
        mails=bool(typed["mails"]), uploads_raw=bool(typed["uploads_raw"]),
        sound_source=typed["sound_source"] or None, drive_folder=typed["drive_folder"] or None,
        calendar_id=typed["calendar_id"] or None,
        sources=(
            *(_source(row, stored.get(row.name)) for _, row in _source_rows(rows)),
            *(source for name, source in stored.items() if name not in listed),
        ),
    )  # fmt: skip


def _source(row: Row, before: SourceSpec | None) -> SourceSpec:
    address, credentials = row.address, row.credentials or None
    if before is not None:
        if address == mask_passwords(before.address):
            address = before.address  # as it was shown
        if credentials is None and not row.forgets:
            credentials = kept_credentials(before, row.kind, address)
    return SourceSpec(row.name, row.role, row.kind, address, credentials)


def _sources_without_credentials(
    before: RoomSpec, after: RoomSpec, rows: Sequence[Row]
) -> list[str]:
    """Return the sources that lost their credentials without anybody having removed them."""
    had = {source.name for source in before.sources if source.credentials is not None}
    had -= {row.name for row in rows if row.forgets}
    return [s.name for s in after.sources if s.name in had and s.credentials is None]


def _errors_of_room(error: Invalid, rows: Sequence[Row]) -> Errors:
    """Return what the core says is wrong with a room, by the field of the form."""
    first, _, rest = error.code.partition(".")
    n, _, name = rest.partition(".")
    if first != "sources" or not n.isdecimal():
        return {error.code: phrases_of_error(error)}
    source_rows = list(_source_rows(rows))
    if int(n) >= len(source_rows):
        return {"sources": phrases_of_error(error)}
    number, row = source_rows[int(n)]
    # It is shown inside of the source's own fields.
    return {f"sources-{number}-{name}": phrases_of(reason_of(row.name, error.message))}

"""The pages of rooms: what their sources show, and the form that changes them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from zoneinfo import available_timezones

from flask import flash, redirect, request

from merger.accounts.permissions import Principal
from merger.analysis import thumbnails
from merger.errors import Refused
from merger.intake import calendar_sync
from merger.live import source_status
from merger.records import views
from merger.rooms import store
from merger.rooms.rules import kept_credentials
from merger.rooms.spec import RoomSpec, SourceSpec, masked
from merger.timeline.zones import length_from, margin_from, zone_named
from merger.web.auth import require_principal, service
from merger.web.language import t
from merger.web.pages.base import Answer, Errors, blueprint, field_problem, form, phrases_of_error
from merger.web.pages.records import Shown, shown
from models import ROLES

_LENGTHS = {"chunk": length_from, "early": margin_from, "late": margin_from}
_NEEDED = ("name", "role", "kind", "address")  # of a source
_CHECKED = ("mails", "uploads_raw")
_FIELDS = ("name", "zone", *_LENGTHS, "sound_source", "drive_folder", "calendar_id", *_CHECKED)
_NEW: Mapping[str, str] = {
    **dict.fromkeys(_FIELDS, ""), "chunk": "30m", "early": "1m", "late": "2m", "mails": "on",
}  # fmt: skip
_MOST_SOURCES = 20  # rows of a form
_TOLD_OF_ROOM = 5  # records


@dataclass(frozen=True)
class Row:
    """A source in the form. is_known: its name stays; forgets: its credentials are removed."""

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
    """Show all rooms: what their sources show, and what is made in them."""
    who = require_principal("read")
    told = store.list_rooms(service().engine)
    taken = {
        source["id"]: thumbnails.taken_at(service().settings, source["id"])
        for room in told
        for source in room["sources"]
    }
    flows = source_status.list_flows(service().settings, service().now())
    troubles = calendar_sync.calendar_errors(service().engine) if who.may("rooms") else {}
    return form(
        "rooms.html", {}, rooms=told, taken=taken, flows=flows, shown=_going_on(who),
        troubles=troubles,
    )  # fmt: skip


def _going_on(who: Principal) -> dict[int, list[Shown]]:
    """Return running and coming records by room, the next first."""
    by_room: dict[int, list[Shown]] = defaultdict(list)
    for record in views.running_records(service().engine, _TOLD_OF_ROOM, who.only_of):
        by_room[record["room_id"]].append(shown(record, who))
    return by_room


@blueprint.get("/rooms/new")
def new_room() -> Answer:
    """Show the form for another room."""
    require_principal("rooms")
    return _form(None, _NEW, [Row(role="speaker"), Row(role="screen")], {})


@blueprint.post("/rooms/new")
def add_room() -> Answer:
    """Add a room."""
    require_principal("rooms")
    typed, rows = _typed(), _rows()
    errors = _mistakes(typed, rows)
    if "another" in request.form:
        return _form(None, typed, [*rows, Row()], {})
    if not errors:
        spec = _spec(typed, rows, RoomSpec(typed["name"], typed["zone"]))
        try:
            store.create_room(service().engine, spec, service().recorder_of)
        except Refused as error:
            errors |= _refused(error, rows)
        else:
            flash(t("room.added", room=spec.name))
            return redirect("/rooms", 303)
    return _form(None, typed, rows, errors)


@blueprint.get("/rooms/<int:room>/edit")
def edit_room(room: int) -> Answer:
    """Show the form of a room."""
    require_principal("rooms")
    told = store.get_room(service().engine, room)
    rows = [
        Row(
            one["name"], one["role"], one["kind"], one["address"], is_known=True,
            has_credentials=one["has_credentials"],
        )
        for one in told["sources"]
    ]  # fmt: skip
    return _form(room, {name: told[name] or "" for name in _FIELDS}, rows, {})


@blueprint.post("/rooms/<int:room>/edit")
def change_room(room: int) -> Answer:
    """Change a room and its sources."""
    require_principal("rooms")
    typed, rows = _typed(), _rows()
    errors = _mistakes(typed, rows)
    if "another" in request.form:
        return _form(room, typed, [*rows, Row()], {})
    lost: list[str] = []

    def wanted(before: RoomSpec) -> RoomSpec:
        after = _spec(typed, rows, before)
        lost[:] = _lost(before, after, rows)
        return after

    if not errors:
        try:
            store.edit_room(service().engine, room, wanted, service().recorder_of)
        except Refused as error:
            if error.code == "room_id":
                raise
            errors |= _refused(error, rows)
        else:
            flash(t("room.changed", room=typed["name"]))
            for name in lost:
                flash(t("room.credentials_lost", source=name))
            return redirect("/rooms", 303)
    return _form(room, typed, rows, errors)


@blueprint.post("/rooms/<int:room>/delete")
def delete_room(room: int) -> Answer:
    """Remove a room that no record waits for."""
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


def _typed() -> dict[str, str]:
    return {name: request.form.get(name, "").strip() for name in _FIELDS}


def _rows() -> list[Row]:
    return [_row(n) for n in range(_MOST_SOURCES) if f"sources-{n}-name" in request.form]


def _row(n: int) -> Row:
    def given(name: str) -> str:
        return request.form.get(f"sources-{n}-{name}", "").strip()

    return Row(
        given("name"), given("role"), given("kind"), given("address"), given("credentials"),
        *(bool(given(name)) for name in ("is_known", "has_credentials", "forgets", "is_removed")),
    )  # fmt: skip


def _mistakes(typed: Mapping[str, str], rows: Sequence[Row]) -> Errors:
    """Return what is wrong with a room by itself, in the reader's language."""
    errors: Errors = {}
    for n, row in _kept(rows):
        for name in _NEEDED:
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


def _kept(rows: Sequence[Row]) -> Iterator[tuple[int, Row]]:
    """Yield the rows of a form that are sources, with their numbers."""
    for n, row in enumerate(rows):
        if not row.is_removed and not (row.is_empty and not row.is_known):
            yield n, row


def _spec(typed: Mapping[str, str], rows: Sequence[Row], before: RoomSpec) -> RoomSpec:
    """Return a room as a form wants it. What the form has never heard of stays."""
    known = {source.name: source for source in before.sources}
    listed = {row.name for row in rows}
    return replace(
        before, name=typed["name"], zone=typed["zone"], chunk_s=_seconds("chunk", typed),
        early_s=_seconds("early", typed), late_s=_seconds("late", typed),
        mails=bool(typed["mails"]), uploads_raw=bool(typed["uploads_raw"]),
        sound_source=typed["sound_source"] or None, drive_folder=typed["drive_folder"] or None,
        calendar_id=typed["calendar_id"] or None,
        sources=(
            *(_source(row, known.get(row.name)) for _, row in _kept(rows)),
            *(source for name, source in known.items() if name not in listed),
        ),
    )  # fmt: skip


def _source(row: Row, before: SourceSpec | None) -> SourceSpec:
    address, credentials = row.address, row.credentials or None
    if before is not None:
        if address == masked(before.address):
            address = before.address  # as it was shown
        if credentials is None and not row.forgets:
            credentials = kept_credentials(before, row.kind, address)
    return SourceSpec(row.name, row.role, row.kind, address, credentials)


def _lost(before: RoomSpec, after: RoomSpec, rows: Sequence[Row]) -> list[str]:
    """Return the sources that have no credentials any more, though nobody wanted to remove them."""
    had = {source.name for source in before.sources if source.credentials is not None}
    had -= {row.name for row in rows if row.forgets}
    return [s.name for s in after.sources if s.name in had and s.credentials is None]


def _refused(error: Refused, rows: Sequence[Row]) -> Errors:
    """Return what the core says is wrong with a room, at the field of the form."""
    first, _, rest = error.code.partition(".")
    n, _, name = rest.partition(".")
    if first != "sources" or not n.isdecimal():
        return {error.code: phrases_of_error(error)}
    kept = list(_kept(rows))
    if int(n) >= len(kept):
        return {"sources": phrases_of_error(error)}
    number, row = kept[int(n)]
    # It is said inside of what is of this source.
    why = str(error).removeprefix(f"source {row.name!r}: ")
    return {f"sources-{number}-{name}": phrases_of_error(Refused(error.code, why))}

"""The API: rooms and their sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flask import Response

from merger.accounts.permissions import Principal
from merger.accounts.room_policy import RoomPolicy, create_policy
from merger.errors import Invalid, InvalidFields, NotFound, refuse
from merger.i18n import Message
from merger.intake import meetings
from merger.names import clean_name
from merger.rooms import store
from merger.rooms.changes import length_text
from merger.rooms.rules import kept_credentials, problems_of
from merger.rooms.spec import (
    DEFAULT_BOTH_AFTER_S,
    RoomSpec,
    SourceSpec,
    decide_meant,
    mask_passwords,
)
from merger.timeline.zones import length_from, margin_from, standing_from
from merger.web.api import base
from merger.web.api.schemas.rooms import (
    PolicyData,
    RoomChange,
    RoomIn,
    RoomOut,
    RoomPath,
    RoomQuery,
    RoomsOut,
    SourceChange,
    SourceIn,
    SourceOut,
    SourcePath,
    SourcesOut,
)
from merger.web.auth import require_principal, service

blueprint = base.resources("rooms", "Rooms and their sources of media.")
# Fields that can only be read, and sent back as they were read: what to do instead.
_READ_ONLY = {
    "id": Message("web.read_only.id"),
    "has_credentials": Message("web.read_only.has_credentials"),
    "sources": Message("web.read_only.sources"),
}
_POLICIES = ("requesters", "watchers")
_LENGTHS = {
    "chunk": length_from, "both_after": standing_from, "early": margin_from, "late": margin_from,
}  # fmt: skip
_ANY_CHUNK_S = 1800  # where the one that was given is wrong: all the rest is looked at as well


@blueprint.get("/rooms", responses=base.responses_of(RoomsOut), operation_id="listRooms")
def listing(query: RoomQuery) -> Response:
    """List rooms by name: all of them, or with `limit` a page."""
    who = require_principal("read")
    if query.limit is None and query.cursor is None:
        found = store.list_rooms(service().engine)
        return base.reply({"rooms": _rooms_shown(found, who)})
    found, following = store.page_of_rooms(service().engine, query.cursor, query.limit)
    return base.reply({"rooms": _rooms_shown(found, who), "next": following})


def _rooms_shown(rooms: Sequence[dict[str, Any]], who: Principal) -> list[dict[str, Any]]:
    """Return rooms as somebody may see them, with what is happening to their meetings."""
    states = meetings.live_states(service().engine, service().offering, rooms, service().now())
    return [
        {
            **_as_others_see(room, who),
            "meetings": [
                {
                    "source": source["id"],
                    "state": state.state,
                    "since": state.since and state.since.isoformat(),
                }
                for source in room["sources"]
                if (state := states.get(source["id"])) is not None
            ],
        }
        for room in rooms
    ]


def _room_shown(room: int, who: Principal) -> dict[str, Any]:
    (shown,) = _rooms_shown([store.get_room(service().engine, room)], who)
    return shown


def _as_others_see(room: dict[str, Any], who: Principal) -> dict[str, Any]:
    """Return a room without names of people and addresses, for those who cannot change it."""
    if who.may("rooms"):
        return room
    hidden = {n: {**room[n], "names": []} for n in _POLICIES if room[n] is not None}
    return {**room, **hidden, "sources": [{**s, "address": None} for s in room["sources"]]}


@blueprint.post("/rooms", responses={"201": RoomOut}, operation_id="addRoom")
def create(body: RoomIn) -> Response:
    """Add a room."""
    who = require_principal("rooms")
    wrong: dict[str, Message] = {}
    lengths = {
        name: base.note_refusal(wrong, _seconds, name, getattr(body, name)) for name in _LENGTHS
    }
    requesters, watchers = (
        base.note_refusal(wrong, _policy, n, getattr(body, n)) for n in _POLICIES
    )
    shortest = base.note_refusal(wrong, _shortest, body.shortest)
    chunk_s = lengths["chunk"] or _ANY_CHUNK_S
    spec = RoomSpec(
        body.name, body.zone, chunk_s, body.sound_source,
        body.drive_folder, body.calendar_id,
        tuple(SourceSpec(**source.model_dump()) for source in body.sources),
        lengths["early"] or 0, lengths["late"] or 0, body.mails, body.uploads_raw,
        requesters, watchers, body.papers, clean_name(body.default_course or "") or None,
        body.unmatched, shortest, body.archives, body.decide or decide_meant(chunk_s),
        body.shows_both, lengths["both_after"] or DEFAULT_BOTH_AFTER_S,
    )  # fmt: skip
    for field, why in problems_of(spec, service().recorder_of):
        wrong.setdefault(field, why)
    refuse(wrong)
    room = store.create_room(service().engine, spec, service().recorder_of)
    return base.reply(_room_shown(room, who), 201, f"/rooms/{room}")


def _policy(field: str, data: PolicyData | None) -> RoomPolicy | None:
    return None if data is None else create_policy(data.who, data.names, field)


def _seconds(field: str, text: str) -> int:
    return _LENGTHS[field](text, field) // timedelta(seconds=1)


def _shortest(text: str | None) -> int | None:
    return None if text is None else margin_from(text, "shortest") // timedelta(seconds=1)


@blueprint.get("/rooms/<int:room>", responses=base.responses_of(RoomOut), operation_id="showRoom")
def show(path: RoomPath) -> Response:
    """Show a room."""
    who = require_principal("read")
    return base.reply(_room_shown(path.room, who))


@blueprint.patch("/rooms/<int:room>", responses={"200": RoomOut}, operation_id="changeRoom")
def change(path: RoomPath, body: RoomChange) -> Response:
    """Change a room; fields that are left out stay as they are."""
    who = require_principal("rooms")
    required = (
        "name", "zone", "decide", "shows_both", "mails", "uploads_raw", "papers", "archives",
        *_LENGTHS,
    )  # fmt: skip
    as_read = store.get_room(service().engine, path.room)
    changes = _without_read_only(base.changes_of(body, required), as_read)
    changes.pop("meetings", None)
    for name in _LENGTHS.keys() & changes.keys():
        changes[f"{name}_s"] = _seconds(name, changes.pop(name))
    if "chunk_s" in changes and length_text(changes["chunk_s"]) != as_read["chunk"]:
        changes.setdefault("decide", decide_meant(changes["chunk_s"]))
    if "shortest" in changes:
        changes["shortest_s"] = _shortest(changes.pop("shortest"))
    if "default_course" in changes:
        changes["default_course"] = clean_name(changes["default_course"] or "") or None
    for name in changes.keys() & {*_POLICIES}:
        changes[name] = _policy(name, getattr(body, name))
    _edit(path.room, lambda spec: replace(spec, **changes))
    return base.reply(_room_shown(path.room, who))


def _without_read_only(changes: dict[str, Any], as_read: dict[str, Any]) -> dict[str, Any]:
    """Return changes without the fields that can only be read.

    So whoever sends back what they got changes nothing.

    Raises:
        Invalid: such a field has another value than the one that was read.
    """
    for name, instead in _READ_ONLY.items():
        if name in changes and changes[name] != as_read[name]:
            raise Invalid(name, instead)
    return {name: value for name, value in changes.items() if name not in _READ_ONLY}


@blueprint.delete("/rooms/<int:room>", responses={"204": base.NOTHING}, operation_id="deleteRoom")
def delete(path: RoomPath) -> Response:
    """Delete a room that has no unfinished records."""
    require_principal("rooms")
    store.delete_room(service().engine, path.room)
    return Response(status=204)


@blueprint.get(
    "/rooms/<int:room>/sources", responses=base.responses_of(SourcesOut), operation_id="listSources"
)
def sources(path: RoomPath) -> Response:
    """List the sources of a room."""
    who = require_principal("read")
    room = _as_others_see(store.get_room(service().engine, path.room), who)
    return base.reply({"sources": room["sources"]})


@blueprint.post("/rooms/<int:room>/sources", responses={"201": SourceOut}, operation_id="addSource")
def add_source(path: RoomPath, body: SourceIn) -> Response:
    """Add a source to a room."""
    require_principal("rooms")
    added = SourceSpec(**body.model_dump())

    def add(spec: RoomSpec) -> RoomSpec:
        return replace(spec, sources=(*spec.sources, added))

    _edit(path.room, add, added.name)
    sources = store.get_room(service().engine, path.room)["sources"]
    made = next(source for source in sources if source["name"] == added.name)
    return base.reply(made, 201, f"/rooms/{path.room}/sources/{made['id']}")


@blueprint.get(
    "/rooms/<int:room>/sources/<int:source>",
    responses=base.responses_of(SourceOut),
    operation_id="showSource",
)
def show_source(path: SourcePath) -> Response:
    """Show a source."""
    require_principal("read")
    return base.reply(_source(path))


@blueprint.patch(
    "/rooms/<int:room>/sources/<int:source>",
    responses={"200": SourceOut},
    operation_id="changeSource",
)
def change_source(path: SourcePath, body: SourceChange) -> Response:
    """Change a source; fields that are left out stay as they are.

    Stored credentials are removed if the kind, or the address's scheme, host or port, changes and
    no new credentials are sent; `has_credentials` is then false.
    """
    require_principal("rooms")
    as_read = _source(path)
    required = ("name", "role", "kind", "address")
    changes = _without_read_only(base.changes_of(body, required), as_read)
    source_name = as_read["name"]
    if changes.get("name", source_name) != source_name:
        raise Invalid("name", "web.source_keeps_name")

    def apply(source: SourceSpec) -> SourceSpec:
        if source.name != source_name:
            return source
        values = dict(changes)
        if values.get("address") == mask_passwords(source.address):
            del values["address"]  # as it was read
        after = replace(source, **values)
        if "credentials" in values:
            return after
        return replace(after, credentials=kept_credentials(source, after.kind, after.address))

    _edit(
        path.room, lambda spec: replace(spec, sources=tuple(map(apply, spec.sources))), source_name
    )
    return base.reply(_source(path))


@blueprint.delete(
    "/rooms/<int:room>/sources/<int:source>",
    responses={"204": base.NOTHING},
    operation_id="deleteSource",
)
def delete_source(path: SourcePath) -> Response:
    """Delete a source and forget the media collected from it."""
    require_principal("rooms")
    removed = _source(path)["name"]

    def remove(spec: RoomSpec) -> RoomSpec:
        rest = tuple(source for source in spec.sources if source.name != removed)
        return replace(spec, sources=rest)

    _edit(path.room, remove)
    return Response(status=204)


def _source(path: SourcePath) -> dict[str, Any]:
    for source in store.get_room(service().engine, path.room)["sources"]:
        if source["id"] == path.source:
            return dict(source)
    raise NotFound("source", "web.no_source", room=path.room, source=path.source)


def _edit(room: int, act: Callable[[RoomSpec], RoomSpec], source: str | None = None) -> None:
    """Change a room.

    Args:
        room: its id.
        act: returns the room as it is to be.
        source: whose fields the request has; a mistake in one of them is reported under its own
            name, not under that of the room's field.
    """
    positions: list[int] = []

    def edit(before: RoomSpec) -> RoomSpec:
        after = act(before)
        positions[:] = [n for n, other in enumerate(after.sources) if other.name == source]
        return after

    try:
        store.edit_room(service().engine, room, edit, service().recorder_of)
    except (Invalid, InvalidFields) as error:
        fields = error.fields if isinstance(error, InvalidFields) else {error.code: error.message}
        refuse({_field_of_source(field, positions): why for field, why in fields.items()})


def _field_of_source(code: str, positions: Sequence[int]) -> str:
    """Return a field of a room, such as sources.1.role, as the source at a position has it. Pure.

    Other fields stay as they are.
    """
    first, _, rest = code.partition(".")
    n, _, name = rest.partition(".")
    if not positions or first != "sources" or not n.isdecimal():
        return code
    # Of two sources with the same role, the last one is reported, whichever was changed.
    return name if int(n) in positions or name == "role" else code

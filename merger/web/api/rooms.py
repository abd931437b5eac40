"""The API: rooms and their sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flask import Response

from merger.errors import Refused
from merger.rooms import store
from merger.rooms.rules import kept_credentials
from merger.rooms.spec import RoomSpec, SourceSpec, masked
from merger.timeline.zones import length_from, margin_from
from merger.web.api import base
from merger.web.api.schemas.rooms import (
    RoomChange,
    RoomIn,
    RoomOut,
    RoomPath,
    RoomsOut,
    SourceChange,
    SourceIn,
    SourceOut,
    SourcePath,
    SourcesOut,
)
from merger.web.auth import require_principal, service

blueprint = base.resources("rooms", "Rooms and their sources of media.")
# Fields that are read, and given back as they were read: what to do instead of changing them.
_READ = {
    "id": "an id is never changed; leave it out",
    "has_credentials": "write credentials instead, or leave it out",
    "sources": "sources are changed at /rooms/{id}/sources; leave them out here",
}
_LENGTHS = {"chunk": length_from, "early": margin_from, "late": margin_from}


@blueprint.get("/rooms", responses={"200": RoomsOut}, operation_id="listRooms")
def listing() -> Response:
    """List all rooms."""
    require_principal("read")
    return base.reply({"rooms": store.list_rooms(service().engine)})


@blueprint.post("/rooms", responses={"201": RoomOut}, operation_id="addRoom")
def create(body: RoomIn) -> Response:
    """Add a room."""
    require_principal("rooms")
    spec = RoomSpec(
        body.name, body.zone, _seconds("chunk", body.chunk), body.sound_source, body.drive_folder,
        body.calendar_id, tuple(SourceSpec(**source.model_dump()) for source in body.sources),
        _seconds("early", body.early), _seconds("late", body.late), body.mails, body.uploads_raw,
    )  # fmt: skip
    room = store.create_room(service().engine, spec, service().recorder_of)
    return base.reply(store.get_room(service().engine, room), 201)


def _seconds(field: str, text: str) -> int:
    return _LENGTHS[field](text, field) // timedelta(seconds=1)


@blueprint.get("/rooms/<int:room>", responses={"200": RoomOut}, operation_id="showRoom")
def show(path: RoomPath) -> Response:
    """Show a room."""
    require_principal("read")
    return base.reply(store.get_room(service().engine, path.room))


@blueprint.patch("/rooms/<int:room>", responses={"200": RoomOut}, operation_id="changeRoom")
def change(path: RoomPath, body: RoomChange) -> Response:
    """Change a room; fields that are left out stay as they are."""
    require_principal("rooms")
    changes = _changes(base.require_change(body), store.get_room(service().engine, path.room))
    for name in ("name", "zone", "mails", "uploads_raw", *_LENGTHS):
        if name in changes and changes[name] is None:
            raise Refused(name, "it cannot be null; leave it out to keep it")
    for name in _LENGTHS.keys() & changes.keys():
        changes[f"{name}_s"] = _seconds(name, changes.pop(name))
    _edit(path.room, lambda spec: replace(spec, **changes))
    return base.reply(store.get_room(service().engine, path.room))


def _changes(given: dict[str, Any], as_read: dict[str, Any]) -> dict[str, Any]:
    """Return what is to be changed. Raises Refused for what can only be read, and is not as it is.

    So whoever gives back what they were given changes nothing.
    """
    for name, instead in _READ.items():
        if name in given and given[name] != as_read[name]:
            raise Refused(name, f"it cannot be changed here: {instead}")
    return {name: value for name, value in given.items() if name not in _READ}


@blueprint.delete("/rooms/<int:room>", responses={"204": base.NOTHING}, operation_id="deleteRoom")
def delete(path: RoomPath) -> Response:
    """Delete a room that has no unfinished records."""
    require_principal("rooms")
    store.delete_room(service().engine, path.room)
    return Response(status=204)


@blueprint.get(
    "/rooms/<int:room>/sources", responses={"200": SourcesOut}, operation_id="listSources"
)
def sources(path: RoomPath) -> Response:
    """List the sources of a room."""
    require_principal("read")
    return base.reply({"sources": store.get_room(service().engine, path.room)["sources"]})


@blueprint.post("/rooms/<int:room>/sources", responses={"201": SourceOut}, operation_id="addSource")
def add_source(path: RoomPath, body: SourceIn) -> Response:
    """Add a source to a room."""
    require_principal("rooms")
    added = SourceSpec(**body.model_dump())

    def add(spec: RoomSpec) -> RoomSpec:
        return replace(spec, sources=(*spec.sources, added))

    _edit(path.room, add, added.name)
    told = store.get_room(service().engine, path.room)["sources"]
    return base.reply(next(source for source in told if source["name"] == added.name), 201)


@blueprint.get(
    "/rooms/<int:room>/sources/<int:source>",
    responses={"200": SourceOut},
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
    known, changes = as_read["name"], _changes(base.require_change(body), as_read)
    for name in ("name", "role", "kind", "address"):
        if name in changes and changes[name] is None:
            raise Refused(name, "it cannot be null; leave it out to keep it")
    if changes.get("name", known) != known:
        raise Refused("name", "a source keeps its name; remove it, and add another")

    def changed(source: SourceSpec) -> SourceSpec:
        if source.name != known:
            return source
        mine = dict(changes)
        if mine.get("address") == masked(source.address):
            del mine["address"]  # as it was read
        after = replace(source, **mine)
        if "credentials" in mine:
            return after
        return replace(after, credentials=kept_credentials(source, after.kind, after.address))

    _edit(path.room, lambda spec: replace(spec, sources=tuple(map(changed, spec.sources))), known)
    return base.reply(_source(path))


@blueprint.delete(
    "/rooms/<int:room>/sources/<int:source>",
    responses={"204": base.NOTHING},
    operation_id="deleteSource",
)
def delete_source(path: SourcePath) -> Response:
    """Delete a source and forget the media collected from it."""
    require_principal("rooms")
    known = _source(path)["name"]

    def without(spec: RoomSpec) -> RoomSpec:
        left = tuple(source for source in spec.sources if source.name != known)
        return replace(spec, sources=left)

    _edit(path.room, without)
    return Response(status=204)


def _source(path: SourcePath) -> dict[str, Any]:
    for source in store.get_room(service().engine, path.room)["sources"]:
        if source["id"] == path.source:
            return dict(source)
    raise Refused("source", f"room {path.room} has no source {path.source}")


def _edit(room: int, act: Callable[[RoomSpec], RoomSpec], source: str | None = None) -> None:
    """Change a room. source: whose fields the request has, by which it is told what is wrong."""
    places: list[int] = []

    def edited(before: RoomSpec) -> RoomSpec:
        after = act(before)
        places[:] = [n for n, one in enumerate(after.sources) if one.name == source]
        return after

    try:
        store.edit_room(service().engine, room, edited, service().recorder_of)
    except Refused as error:
        raise Refused(_own_field(error.code, places), error.message) from error


def _own_field(code: str, places: Sequence[int]) -> str:
    """Return a field of a room, like sources.1.role, as a source at some places has it. Pure."""
    first, _, rest = code.partition(".")
    n, _, name = rest.partition(".")
    if not places or first != "sources" or not n.isdecimal():
        return code
    # Of two sources with one role, the one that comes last is named, whichever was changed.
    return name if int(n) in places or name == "role" else code

"""The API: rooms and their sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flask import Response

from merger import rooms
from merger.errors import Refused
from merger.localtime import length_from, margin_from
from merger.room_rules import kept_credentials
from merger.room_spec import RoomSpec, SourceSpec, masked
from merger.web import api
from merger.web.gate import asker, service
from merger.web.schemas_rooms import (
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

blueprint = api.resources("rooms", "Places with sources of media.")
_OWN = ("id", "has_credentials")  # fields that are read, and cannot be written
_LENGTHS = {"chunk": length_from, "early": margin_from, "late": margin_from}


@blueprint.get("/rooms", responses={"200": RoomsOut}, operation_id="listRooms")
def listing() -> Response:
    """List all rooms."""
    asker("read")
    return api.reply({"rooms": rooms.all_of_them(service().engine)})


@blueprint.post("/rooms", responses={"201": RoomOut}, operation_id="addRoom")
def create(body: RoomIn) -> Response:
    """Add a room."""
    asker("rooms")
    spec = RoomSpec(
        body.name, body.zone, _seconds("chunk", body.chunk), body.sound_source, body.drive_folder,
        body.calendar_id, tuple(SourceSpec(**source.model_dump()) for source in body.sources),
        _seconds("early", body.early), _seconds("late", body.late), body.mails, body.uploads_raw,
    )  # fmt: skip
    room = rooms.create(service().engine, spec, service().recorder_of)
    return api.reply(rooms.one(service().engine, room), 201)


def _seconds(field: str, text: str) -> int:
    return _LENGTHS[field](text, field) // timedelta(seconds=1)


@blueprint.get("/rooms/<int:room>", responses={"200": RoomOut}, operation_id="showRoom")
def show(path: RoomPath) -> Response:
    """Show a room."""
    asker("read")
    return api.reply(rooms.one(service().engine, path.room))


@blueprint.patch("/rooms/<int:room>", responses={"200": RoomOut}, operation_id="changeRoom")
def change(path: RoomPath, body: RoomChange) -> Response:
    """Change a room: what is left out stays as it is."""
    asker("rooms")
    changes = {name: value for name, value in api.given(body).items() if name not in _OWN}
    for name in ("name", "zone", "mails", "uploads_raw", *_LENGTHS):
        if name in changes and changes[name] is None:
            raise Refused(name, "it cannot be null; leave it out to keep it")
    for name in _LENGTHS.keys() & changes.keys():
        changes[f"{name}_s"] = _seconds(name, changes.pop(name))
    return _edited(path.room, lambda spec: replace(spec, **changes))


@blueprint.delete("/rooms/<int:room>", responses={"204": api.NOTHING}, operation_id="deleteRoom")
def delete(path: RoomPath) -> Response:
    """Remove a room that no record waits for."""
    asker("rooms")
    rooms.delete(service().engine, path.room)
    return Response(status=204)


@blueprint.get(
    "/rooms/<int:room>/sources", responses={"200": SourcesOut}, operation_id="listSources"
)
def sources(path: RoomPath) -> Response:
    """List the sources of a room."""
    asker("read")
    return api.reply({"sources": rooms.one(service().engine, path.room)["sources"]})


@blueprint.post("/rooms/<int:room>/sources", responses={"201": SourceOut}, operation_id="addSource")
def add_source(path: RoomPath, body: SourceIn) -> Response:
    """Add a source to a room."""
    asker("rooms")
    added = SourceSpec(**body.model_dump())

    def add(spec: RoomSpec) -> RoomSpec:
        return replace(spec, sources=(*spec.sources, added))

    _edited(path.room, add)
    told = rooms.one(service().engine, path.room)["sources"]
    return api.reply(next(source for source in told if source["name"] == added.name), 201)


@blueprint.get(
    "/rooms/<int:room>/sources/<int:source>",
    responses={"200": SourceOut},
    operation_id="showSource",
)
def show_source(path: SourcePath) -> Response:
    """Show a source."""
    asker("read")
    return api.reply(_source(path))


@blueprint.patch(
    "/rooms/<int:room>/sources/<int:source>",
    responses={"200": SourceOut},
    operation_id="changeSource",
)
def change_source(path: SourcePath, body: SourceChange) -> Response:
    """Change a source: what is left out stays as it is, but credentials are not kept elsewhere.

    With another kind, or another scheme, host or port in the address, and no credentials beside it,
    those that were stored are removed: has_credentials is false then.
    """
    asker("rooms")
    known = _source(path)["name"]
    changes = {name: value for name, value in api.given(body).items() if name not in _OWN}
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

    _edited(path.room, lambda spec: replace(spec, sources=tuple(map(changed, spec.sources))))
    return api.reply(_source(path))


@blueprint.delete(
    "/rooms/<int:room>/sources/<int:source>",
    responses={"204": api.NOTHING},
    operation_id="deleteSource",
)
def delete_source(path: SourcePath) -> Response:
    """Remove a source; what was collected of it is forgotten."""
    asker("rooms")
    known = _source(path)["name"]

    def without(spec: RoomSpec) -> RoomSpec:
        left = tuple(source for source in spec.sources if source.name != known)
        return replace(spec, sources=left)

    _edited(path.room, without)
    return Response(status=204)


def _source(path: SourcePath) -> dict[str, Any]:
    for source in rooms.one(service().engine, path.room)["sources"]:
        if source["id"] == path.source:
            return dict(source)
    raise Refused("source", f"room {path.room} has no source {path.source}")


def _edited(room: int, act: Callable[[RoomSpec], RoomSpec]) -> Response:
    rooms.edit(service().engine, room, act, service().recorder_of)
    return api.reply(rooms.one(service().engine, room))

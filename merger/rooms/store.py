"""Rooms and their sources in the tables: compared with those of a file, written, listed.

A file is the whole truth about the rooms that it lists, and says nothing about any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Engine, Select, func, select
from sqlalchemy.orm import Session, selectinload

from merger.db.engine import reading, writing
from merger.errors import Conflict, Invalid, NotFound
from merger.i18n import Message
from merger.ports.recorder import Recorder
from merger.rooms.rules import check_room
from merger.rooms.spec import RoomSpec, SourceSpec, mask_passwords
from models import Record, Room, Source

RecorderOf = Callable[[str], Recorder]


def differences(engine: Engine, specs: Sequence[RoomSpec]) -> list[Message]:
    """Return what `apply_rooms` would change, and change nothing."""
    return _changes(stored_rooms(engine), specs)


def apply_rooms(engine: Engine, specs: Sequence[RoomSpec]) -> list[Message]:
    """Make the tables say what a file says, in one transaction; return what changed."""

    def act(session: Session) -> list[Message]:
        names = [spec.name for spec in specs]
        query = _all_rooms().where(Room.name.in_(names)).with_for_update()
        rows = {row.name: row for row in session.scalars(query)}
        changes = _changes([_spec_of(row) for row in rows.values()], specs)
        for spec in specs:
            _write(session, rows.get(spec.name), spec)
        return changes

    return writing(engine, act)


def stored_rooms(engine: Engine) -> list[RoomSpec]:
    """Return all rooms of the tables, unchecked, with credentials."""
    with reading(engine) as session:
        return [_spec_of(row) for row in session.scalars(_all_rooms())]


def create_room(engine: Engine, spec: RoomSpec, recorder_of: RecorderOf) -> int:
    """Add a room; return its id. Raises Invalid, with the field as its code."""
    check_room(spec, recorder_of)

    def add(session: Session) -> int:
        _check_name_is_free(session, spec.name)
        row = _write(session, None, spec)
        session.flush()
        return row.id

    return writing(engine, add)


def edit_room(
    engine: Engine, room: int, act: Callable[[RoomSpec], RoomSpec], recorder_of: RecorderOf
) -> None:
    """Make a room what `act` returns for it. A source with another name is another source.

    Raises:
        NotFound: there is no such room.
        Invalid: the new room has a mistake; the code is the field.
    """

    def change(session: Session) -> None:
        row = _room_row(session, room, lock=True)
        before = _spec_of(row)
        after = act(before)
        check_room(after, recorder_of)
        if after.name != before.name:
            _check_name_is_free(session, after.name)
            row.name = after.name
        _write(session, row, after)

    writing(engine, change)


def _check_name_is_free(session: Session, name: str) -> None:
    if session.scalar(select(Room.id).where(Room.name == name)) is not None:
        raise Invalid("name", "rooms.exists", room=name)


def delete_room(engine: Engine, room: int) -> None:
    """Remove a room; the records that were made of it stay.

    Raises:
        NotFound: there is no such room.
        Conflict: records of it are not finished.
    """

    def remove(session: Session) -> None:
        row = _room_row(session, room, lock=True)
        waiting = session.scalar(
            select(func.count()).where(
                Record.room_id == room, Record.status.in_(("queued", "running"))
            )
        )
        if waiting:
            raise Conflict("conflict", "rooms.in_use", room=row.name, count=waiting)
        session.delete(row)

    writing(engine, remove)


def drive_folder_of(engine: Engine, room: str) -> str | None:
    """Return the folder in Drive of a room, by its name; None if it has none."""
    with reading(engine) as session:
        return session.scalar(select(Room.drive_folder).where(Room.name == room))


def _room_row(session: Session, room: int, *, lock: bool = False) -> Room:
    query = _all_rooms().where(Room.id == room)
    row = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound("room_id", "rooms.no_room", room=room)
    return row


def get_room(engine: Engine, room: int) -> dict[str, Any]:
    """Return a room as plain values, with ids, without credentials. Raises NotFound."""
    with reading(engine) as session:
        return _document(_room_row(session, room))


def list_rooms(engine: Engine) -> list[dict[str, Any]]:
    """Return all rooms as plain values, with ids, without credentials."""
    with reading(engine) as session:
        return [_document(row) for row in session.scalars(_all_rooms())]


def page_of_rooms(
    engine: Engine, after: str | None = None, limit: int | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return rooms as `list_rooms` does, and after which name the next page begins, if any.

    Args:
        after: the name after which this page begins.
        limit: None for all.
    """
    query = _all_rooms()
    if after is not None:
        query = query.where(Room.name > after)
    if limit is not None:
        query = query.limit(limit + 1)
    with reading(engine) as session:
        found = [_document(row) for row in session.scalars(query)]
    if limit is None or len(found) <= limit:
        return found, None
    return found[:limit], found[limit - 1]["name"]


def zones_of_rooms(engine: Engine) -> dict[str, str]:
    """Return the names of all rooms, in order, with their time zones."""
    with reading(engine) as session:
        rows = session.execute(select(Room.name, Room.zone).order_by(Room.name))
        return {row.name: row.zone for row in rows}


def rooms_document(engine: Engine) -> list[dict[str, Any]]:
    """Return all rooms as plain values, in the form of the file, without credentials."""
    return [_file_entry(spec) for spec in stored_rooms(engine)]


def _document(row: Room) -> dict[str, Any]:
    entry = _file_entry(_spec_of(row))
    for source, shown in zip(row.sources, entry["sources"], strict=True):
        shown |= {"id": source.id, "has_credentials": bool(source.credentials)}
    return {"id": row.id, **entry}


def _file_entry(room: RoomSpec) -> dict[str, Any]:
    return {
        "name": room.name,
        "zone": room.zone,
        "chunk": _length(room.chunk_s),
        "early": _length(room.early_s),
        "late": _length(room.late_s),
        "sound_source": room.sound_source,
        "drive_folder": room.drive_folder,
        "calendar_id": room.calendar_id,
        "mails": room.mails,
        "uploads_raw": room.uploads_raw,
        "sources": [
            {"name": s.name, "role": s.role, "kind": s.kind, "address": mask_passwords(s.address)}
            for s in room.sources
        ],
    }


def _all_rooms() -> Select[Room]:
    with_sources = selectinload(Room.sources).undefer(Source.credentials)
    return select(Room).options(with_sources).order_by(Room.name)


def _spec_of(row: Room) -> RoomSpec:
    sources = tuple(
        SourceSpec(s.name, s.role, s.kind, s.address, s.credentials) for s in row.sources
    )
    return RoomSpec(
        row.name, row.zone, row.chunk_s, row.sound_source, row.drive_folder, row.calendar_id,
        sources, row.early_s, row.late_s, row.mails, row.uploads_raw,
    )  # fmt: skip


def _write(session: Session, row: Room | None, spec: RoomSpec) -> Room:
    if row is None:
        row = Room(name=spec.name)
        session.add(row)
    row.zone, row.chunk_s, row.sound_source = spec.zone, spec.chunk_s, spec.sound_source
    row.early_s, row.late_s = spec.early_s, spec.late_s
    row.drive_folder, row.calendar_id = spec.drive_folder, spec.calendar_id
    row.mails, row.uploads_raw = spec.mails, spec.uploads_raw
    by_name = {source.name: source for source in row.sources}
    # Sources that are no longer listed are deleted, because they have no room any more.
    row.sources = [by_name.get(source.name) or Source(name=source.name) for source in spec.sources]
    for source, new in zip(row.sources, spec.sources, strict=True):
        source.role, source.kind, source.address = new.role, new.kind, new.address
        source.credentials = new.credentials
    return row


# --- what a file changes --------------------------------------------------------------------------


def _changes(before: Iterable[RoomSpec], after: Iterable[RoomSpec]) -> list[Message]:
    """Return what makes some rooms of the tables those of a file."""
    by_name = {room.name: room for room in before}
    changes: list[Message] = []
    for room in after:
        old = by_name.get(room.name)
        if old is None:
            chunk = _length(room.chunk_s)
            changes.append(
                Message("rooms.change.added_room", room=room.name, zone=room.zone, chunk=chunk)
            )
            changes += [_added_source(source, room) for source in room.sources]
        else:
            changes += _room_changes(old, room)
    return changes


def _room_changes(old: RoomSpec, new: RoomSpec) -> list[Message]:
    changes = _value_changes(
        Message("rooms.place.room", room=new.name),
        ("zone", old.zone, new.zone),
        ("chunk", _length(old.chunk_s), _length(new.chunk_s)),
        ("early", _length(old.early_s), _length(new.early_s)),
        ("late", _length(old.late_s), _length(new.late_s)),
        ("sound_source", old.sound_source, new.sound_source),
        ("drive_folder", old.drive_folder, new.drive_folder),
        ("calendar_id", old.calendar_id, new.calendar_id),
        ("mails", _yes_or_no(old.mails), _yes_or_no(new.mails)),
        ("uploads_raw", _yes_or_no(old.uploads_raw), _yes_or_no(new.uploads_raw)),
    )
    by_name = {source.name: source for source in old.sources}
    for source in new.sources:
        if source.name in by_name:
            changes += _source_changes(by_name.pop(source.name), source, new)
        else:
            changes.append(_added_source(source, new))
    changes += [Message("rooms.change.removed_source", where=_place(name, new)) for name in by_name]
    return changes


def _added_source(source: SourceSpec, room: RoomSpec) -> Message:
    added = Message(
        "rooms.change.added_source", source=source.name, room=room.name, role=source.role,
        kind=source.kind, address=mask_passwords(source.address),
    )  # fmt: skip
    if not source.credentials:
        return added
    return Message("rooms.change.added_source_with_credentials", **added.params)


def _source_changes(old: SourceSpec, new: SourceSpec, room: RoomSpec) -> list[Message]:
    where = _place(new.name, room)
    changes = _value_changes(
        where,
        ("role", old.role, new.role),
        ("kind", old.kind, new.kind),
        ("address", old.address, new.address),
    )
    if old.credentials != new.credentials:
        if not new.credentials:
            changes.append(Message("rooms.change.removed_credentials", where=where))
        elif old.credentials:
            changes.append(Message("rooms.change.changed_credentials", where=where))
        else:
            changes.append(Message("rooms.change.added_credentials", where=where))
    return changes


def _place(source: str, room: RoomSpec) -> Message:
    return Message("rooms.place.source_of_room", source=source, room=room.name)


def _value_changes(where: Message, *values: tuple[str, str | None, str | None]) -> list[Message]:
    return [
        Message(
            "rooms.change.changed",
            field=field,
            where=where,
            before=_value_message(old),
            after=_value_message(new),
        )
        for field, old, new in values
        if old != new
    ]


def _value_message(text: str | None) -> Message:
    if text is None:
        return Message("rooms.change.nothing")
    return Message("rooms.change.value", text=mask_passwords(text))


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def _length(seconds: int) -> str:
    """Return a length as a file has it."""
    for unit, name in ((3600, "h"), (60, "m")):
        if seconds and seconds % unit == 0:
            return f"{seconds // unit}{name}"
    return f"{seconds}s"

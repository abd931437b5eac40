"""Rooms and their sources in the tables: compared with those of a file, written, listed.

A file is the whole truth about the rooms that it lists, and says nothing about any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Engine, Select, func, select
from sqlalchemy.orm import Session, selectinload

from merger.db.engine import reading, writing
from merger.errors import Refused
from merger.ports.recorder import Recorder
from merger.rooms.rules import check_room
from merger.rooms.spec import RoomSpec, SourceSpec, masked
from models import Record, Room, Source

RecorderOf = Callable[[str], Recorder]


def differences(engine: Engine, specs: Sequence[RoomSpec]) -> list[str]:
    """Return in words what `apply_rooms` would change, and change nothing."""
    return _words(stored_rooms(engine), specs)


def apply_rooms(engine: Engine, specs: Sequence[RoomSpec]) -> list[str]:
    """Make the tables say what a file says, in one transaction; return in words what changed."""

    def act(session: Session) -> list[str]:
        names = [spec.name for spec in specs]
        wanted = _all_rooms().where(Room.name.in_(names)).with_for_update()
        rows = {row.name: row for row in session.scalars(wanted)}
        words = _words([_spec_of(row) for row in rows.values()], specs)
        for spec in specs:
            _write(session, rows.get(spec.name), spec)
        return words

    return writing(engine, act)


def stored_rooms(engine: Engine) -> list[RoomSpec]:
    """Return all rooms of the tables, with credentials. Nothing of them has been checked."""
    with reading(engine) as session:
        return [_spec_of(row) for row in session.scalars(_all_rooms())]


def create_room(engine: Engine, spec: RoomSpec, recorder_of: RecorderOf) -> int:
    """Add a room; return its id. Raises Refused, whose code is the field."""
    check_room(spec, recorder_of)

    def add(session: Session) -> int:
        if session.scalar(select(Room.id).where(Room.name == spec.name)) is not None:
            raise Refused("name", f"there is a room {spec.name!r} already")
        row = _write(session, None, spec)
        session.flush()
        return row.id

    return writing(engine, add)


def edit_room(
    engine: Engine, room: int, act: Callable[[RoomSpec], RoomSpec], recorder_of: RecorderOf
) -> None:
    """Make a room what a function makes of it. Raises Refused.

    A source is known by its name: under another one, it is another source.
    """

    def change(session: Session) -> None:
        row = _row(session, room, lock=True)
        before = _spec_of(row)
        after = act(before)
        check_room(after, recorder_of)
        if after.name != before.name:
            if session.scalar(select(Room.id).where(Room.name == after.name)) is not None:
                raise Refused("name", f"there is a room {after.name!r} already")
            row.name = after.name
        _write(session, row, after)

    writing(engine, change)


def delete_room(engine: Engine, room: int) -> None:
    """Remove a room that no record waits for; what was made of it stays. Raises Refused."""

    def remove(session: Session) -> None:
        row = _row(session, room, lock=True)
        waiting = session.scalar(
            select(func.count()).where(
                Record.room_id == room, Record.status.in_(("queued", "running"))
            )
        )
        if waiting:
            message = f"{waiting} records of room {row.name!r} are not done; cancel them"
            if waiting == 1:
                message = f"1 record of room {row.name!r} is not done; cancel it"
            raise Refused("conflict", message)
        session.delete(row)

    writing(engine, remove)


def drive_folder_of(engine: Engine, room: str) -> str | None:
    """Return the folder in Drive of a room by its name; None where it has none."""
    with reading(engine) as session:
        return session.scalar(select(Room.drive_folder).where(Room.name == room))


def _row(session: Session, room: int, *, lock: bool = False) -> Room:
    wanted = _all_rooms().where(Room.id == room)
    row = session.scalars(wanted.with_for_update() if lock else wanted).one_or_none()
    if row is None:
        raise Refused("room_id", f"there is no room {room}")
    return row


def get_room(engine: Engine, room: int) -> dict[str, Any]:
    """Return a room as plain values, with ids, without credentials. Raises Refused."""
    with reading(engine) as session:
        return _told(_row(session, room))


def list_rooms(engine: Engine) -> list[dict[str, Any]]:
    """Return all rooms as plain values, with ids, without credentials."""
    with reading(engine) as session:
        return [_told(row) for row in session.scalars(_all_rooms())]


def rooms_document(engine: Engine) -> list[dict[str, Any]]:
    """Return all rooms as plain values, in the form of the file, without credentials."""
    return [_as_in_a_file(spec) for spec in stored_rooms(engine)]


def _told(row: Room) -> dict[str, Any]:
    told = _as_in_a_file(_spec_of(row))
    for source, shown in zip(row.sources, told["sources"], strict=True):
        shown |= {"id": source.id, "has_credentials": bool(source.credentials)}
    return {"id": row.id, **told}


def _as_in_a_file(room: RoomSpec) -> dict[str, Any]:
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
            {"name": s.name, "role": s.role, "kind": s.kind, "address": masked(s.address)}
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
    known = {source.name: source for source in row.sources}
    # Those that are no longer listed are deleted, for want of a room.
    row.sources = [known.get(source.name) or Source(name=source.name) for source in spec.sources]
    for source, wanted in zip(row.sources, spec.sources, strict=True):
        source.role, source.kind, source.address = wanted.role, wanted.kind, wanted.address
        source.credentials = wanted.credentials
    return row


def _words(before: Iterable[RoomSpec], after: Iterable[RoomSpec]) -> list[str]:
    """Return in words what makes some rooms of the tables those of a file."""
    known = {room.name: room for room in before}
    words: list[str] = []
    for room in after:
        old = known.get(room.name)
        if old is None:
            words.append(f"added room {room.name!r} ({room.zone}, chunks of {_chunk(room)})")
            words += [_added(source, room) for source in room.sources]
        else:
            words += _changed(old, room)
    return words


def _changed(old: RoomSpec, new: RoomSpec) -> list[str]:
    words = _became(
        f"room {new.name!r}",
        ("zone", old.zone, new.zone),
        ("chunk", _chunk(old), _chunk(new)),
        ("early", _length(old.early_s), _length(new.early_s)),
        ("late", _length(old.late_s), _length(new.late_s)),
        ("sound_source", old.sound_source, new.sound_source),
        ("drive_folder", old.drive_folder, new.drive_folder),
        ("calendar_id", old.calendar_id, new.calendar_id),
        ("mails", _yes_or_no(old.mails), _yes_or_no(new.mails)),
        ("uploads_raw", _yes_or_no(old.uploads_raw), _yes_or_no(new.uploads_raw)),
    )
    known = {source.name: source for source in old.sources}
    for source in new.sources:
        if source.name in known:
            words += _changed_source(known.pop(source.name), source, new)
        else:
            words.append(_added(source, new))
    for name in known:
        what = f"source {name!r} of room {new.name!r}"
        words.append(f"removed {what}; what was collected of it is forgotten")
    return words


def _added(source: SourceSpec, room: RoomSpec) -> str:
    what = f"{source.role}, {source.kind} {_shown(source.address)}"
    credentials = ", with credentials" if source.credentials else ""
    return f"added source {source.name!r} to room {room.name!r} ({what}{credentials})"


def _changed_source(old: SourceSpec, new: SourceSpec, room: RoomSpec) -> list[str]:
    where = f"source {new.name!r} of room {room.name!r}"
    words = _became(
        where,
        ("role", old.role, new.role),
        ("kind", old.kind, new.kind),
        ("address", old.address, new.address),
    )
    if old.credentials != new.credentials:
        how = "changed" if old.credentials else "added"
        words.append(f"{how if new.credentials else 'removed'} credentials of {where}")
    return words


def _became(where: str, *values: tuple[str, str | None, str | None]) -> list[str]:
    return [
        f"changed {what} of {where} from {_shown(before)} to {_shown(after)}"
        for what, before, after in values
        if before != after
    ]


def _shown(text: str | None) -> str:
    return "nothing" if text is None else repr(masked(text))


def _chunk(room: RoomSpec) -> str:
    return _length(room.chunk_s)


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def _length(seconds: int) -> str:
    """Return a length as a file has it."""
    for unit, name in ((3600, "h"), (60, "m")):
        if seconds and seconds % unit == 0:
            return f"{seconds // unit}{name}"
    return f"{seconds}s"

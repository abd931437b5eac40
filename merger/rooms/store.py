"""Rooms and their sources in the tables: compared with those of a file, written, listed.

A file is the whole truth about the rooms that it lists, and says nothing about any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from sqlalchemy import Engine, Select, func, select
from sqlalchemy.orm import Session, selectinload

from merger.accounts.permissions import Principal
from merger.accounts.room_policy import may_request, policy_as_json, policy_of_json
from merger.db.engine import reading, writing
from merger.errors import Conflict, Invalid, NotFound
from merger.i18n import Message
from merger.ports.recorder import Recorder
from merger.rooms.changes import changes_of, length_text, policy_text, removals_of, shortest_text
from merger.rooms.rules import Problem, check_room, problems_of
from merger.rooms.spec import RoomSpec, SourceSpec, Unmatched, mask_passwords
from merger.timeline.screen.decisions import Decide
from models import Record, Room, Source

RecorderOf = Callable[[str], Recorder]


def differences(engine: Engine, specs: Sequence[RoomSpec]) -> list[Message]:
    """Return what `apply_rooms` would change, and change nothing."""
    return changes_of(stored_rooms(engine), specs)


def removals(engine: Engine, specs: Sequence[RoomSpec]) -> list[Message]:
    """Return the places of the sources that `apply_rooms` would remove, and change nothing."""
    return removals_of(stored_rooms(engine), specs)


def apply_rooms(
    engine: Engine, specs: Sequence[RoomSpec], *, may_remove: bool = False
) -> list[Message]:
    """Make the tables say what a file says, in one transaction; return what changed.

    Args:
        may_remove: sources that the file no longer lists are to be removed.

    Raises:
        Conflict: sources would be removed, and may not be; then nothing is changed.
    """

    def act(session: Session) -> list[Message]:
        names = [spec.name for spec in specs]
        query = _all_rooms().where(Room.name.in_(names)).with_for_update()
        rows = {row.name: row for row in session.scalars(query)}
        before = [_spec_of(row) for row in rows.values()]
        removed = () if may_remove else tuple(removals_of(before, specs))
        if removed:
            raise Conflict("remove", "rooms.would_remove", sources=removed, count=len(removed))
        changes = changes_of(before, specs)
        for spec in specs:
            _write(session, rows.get(spec.name), spec)
        return changes

    return writing(engine, act)


def stored_rooms(engine: Engine) -> list[RoomSpec]:
    """Return all rooms of the tables, unchecked, with credentials."""
    with reading(engine) as session:
        return rooms_of(session)


def rooms_of(session: Session) -> list[RoomSpec]:
    """Return all rooms within a transaction, unchecked, with credentials."""
    return [_spec_of(row) for row in session.scalars(_all_rooms())]


def create_room(engine: Engine, spec: RoomSpec, recorder_of: RecorderOf) -> int:
    """Add a room; return its id. Raises Invalid, with the field as its code."""
    check_room(spec, recorder_of)
    return writing(engine, lambda session: insert_room(session, spec))


def insert_room(session: Session, spec: RoomSpec) -> int:
    """Add a room that is right within a transaction; return its id. Raises Invalid."""
    _check_name_is_free(session, spec.name)
    row = _write(session, None, spec)
    session.flush()
    return row.id


def edit_room(
    engine: Engine, room: int, act: Callable[[RoomSpec], RoomSpec], recorder_of: RecorderOf
) -> None:
    """Make a room what `act` returns for it. A source with another name is another source.

    Raises:
        NotFound: there is no such room.
        Invalid, InvalidFields: the new room has mistakes; they are named by field.
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


def problems_of_change(
    engine: Engine,
    room: int | None,
    act: Callable[[RoomSpec], RoomSpec],
    recorder_of: RecorderOf,
) -> list[Problem]:
    """Return all that is wrong with what `act` makes of a room, and change nothing.

    Args:
        room: its id; None for a new one.

    Raises:
        NotFound: there is no such room.
    """
    with reading(engine) as session:
        before = RoomSpec("", "") if room is None else _spec_of(_room_row(session, room))
        after = act(before)
        is_taken = after.name != before.name and _has_room(session, after.name)
    problems = list(problems_of(after, recorder_of))
    return [*problems, ("name", _exists(after.name))] if is_taken else problems


def _check_name_is_free(session: Session, name: str) -> None:
    if _has_room(session, name):
        raise Invalid("name", _exists(name))


def _has_room(session: Session, name: str) -> bool:
    return session.scalar(select(Room.id).where(Room.name == name)) is not None


def _exists(name: str) -> Message:
    return Message("rooms.exists", room=name)


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


def spec_of_room(engine: Engine, room: int) -> RoomSpec:
    """Return a room, unchecked, with credentials. Raises NotFound."""
    with reading(engine) as session:
        return _spec_of(_room_row(session, room))


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


def room_rows(session: Session) -> Sequence[Room]:
    """Return the rows of all rooms, with their sources, without credentials."""
    query = select(Room).options(selectinload(Room.sources)).order_by(Room.id)
    return session.scalars(query).all()


def zones_of_rooms(engine: Engine, who: Principal | None = None) -> dict[str, str]:
    """Return the names of rooms, in order, with their time zones.

    Args:
        who: of whose rooms: in which they may request; None for all.
    """
    with reading(engine) as session:
        rows = session.execute(select(Room.name, Room.zone, Room.requesters).order_by(Room.name))
        return {
            row.name: row.zone
            for row in rows
            if who is None or may_request(policy_of_json(row.requesters), who)
        }


def rooms_document(engine: Engine) -> list[dict[str, Any]]:
    """Return all rooms as plain values, in the form of the file, without credentials."""
    return [_file_entry(spec) for spec in stored_rooms(engine)]


def _document(row: Room) -> dict[str, Any]:
    entry = _file_entry(_spec_of(row))
    for source, shown in zip(row.sources, entry["sources"], strict=True):
        shown |= {"id": source.id, "has_credentials": bool(source.credentials)}
    return {
        "id": row.id, **entry,
        "requesters": policy_as_json(policy_of_json(row.requesters)),
        "watchers": policy_as_json(policy_of_json(row.watchers)),
    }  # fmt: skip


def _file_entry(room: RoomSpec) -> dict[str, Any]:
    return {
        "name": room.name,
        "zone": room.zone,
        "chunk": length_text(room.chunk_s),
        "decide": room.decide,
        "shows_both": room.shows_both,
        "both_after": length_text(room.both_after_s),
        "early": length_text(room.early_s),
        "late": length_text(room.late_s),
        "sound_source": room.sound_source,
        "drive_folder": room.drive_folder,
        "calendar_id": room.calendar_id,
        "mails": room.mails,
        "uploads_raw": room.uploads_raw,
        "papers": room.papers,
        "archives": room.archives,
        "requesters": policy_text(room.requesters),
        "watchers": policy_text(room.watchers),
        "default_course": room.default_course,
        "unmatched": room.unmatched,
        "shortest": shortest_text(room.shortest_s),
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
        policy_of_json(row.requesters), policy_of_json(row.watchers), row.papers,
        row.default_course, cast(Unmatched | None, row.unmatched), row.shortest_s,
        row.archives, cast(Decide, row.decide), row.shows_both, row.both_after_s,
    )  # fmt: skip


def _write(session: Session, row: Room | None, spec: RoomSpec) -> Room:
    if row is None:
        row = Room(name=spec.name)
        session.add(row)
    row.zone, row.chunk_s, row.sound_source = spec.zone, spec.chunk_s, spec.sound_source
    row.decide, row.shows_both, row.both_after_s = spec.decide, spec.shows_both, spec.both_after_s
    row.early_s, row.late_s = spec.early_s, spec.late_s
    row.drive_folder, row.calendar_id = spec.drive_folder, spec.calendar_id
    row.mails, row.uploads_raw, row.papers = spec.mails, spec.uploads_raw, spec.papers
    row.requesters = policy_as_json(spec.requesters)
    row.watchers = policy_as_json(spec.watchers)
    row.default_course, row.unmatched = spec.default_course, spec.unmatched
    row.shortest_s, row.archives = spec.shortest_s, spec.archives
    by_name = {source.name: source for source in row.sources}
    # Sources that are no longer listed are deleted, because they have no room any more.
    row.sources = [by_name.get(source.name) or Source(name=source.name) for source in spec.sources]
    for source, new in zip(row.sources, spec.sources, strict=True):
        source.role, source.kind, source.address = new.role, new.kind, new.address
        source.credentials = new.credentials
    return row

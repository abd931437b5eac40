"""What a file of rooms changes in the tables, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from merger.accounts.room_policy import RoomPolicy
from merger.i18n import Message
from merger.rooms.spec import RoomSpec, SourceSpec, mask_passwords


def changes_of(before: Iterable[RoomSpec], after: Iterable[RoomSpec]) -> list[Message]:
    """Return what makes some rooms of the tables those of a file."""
    by_name = {room.name: room for room in before}
    changes: list[Message] = []
    for room in after:
        old = by_name.get(room.name)
        if old is None:
            chunk = length_text(room.chunk_s)
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
        ("chunk", length_text(old.chunk_s), length_text(new.chunk_s)),
        ("decide", old.decide, new.decide),
        ("shows_both", _yes_or_no(old.shows_both), _yes_or_no(new.shows_both)),
        ("both_after", length_text(old.both_after_s), length_text(new.both_after_s)),
        ("early", length_text(old.early_s), length_text(new.early_s)),
        ("late", length_text(old.late_s), length_text(new.late_s)),
        ("sound_source", old.sound_source, new.sound_source),
        ("drive_folder", old.drive_folder, new.drive_folder),
        ("calendar_id", old.calendar_id, new.calendar_id),
        ("mails", _yes_or_no(old.mails), _yes_or_no(new.mails)),
        ("uploads_raw", _yes_or_no(old.uploads_raw), _yes_or_no(new.uploads_raw)),
        ("papers", _yes_or_no(old.papers), _yes_or_no(new.papers)),
        ("archives", _yes_or_no(old.archives), _yes_or_no(new.archives)),
        ("requesters", policy_text(old.requesters), policy_text(new.requesters)),
        ("watchers", policy_text(old.watchers), policy_text(new.watchers)),
        ("default_course", old.default_course, new.default_course),
        ("unmatched", old.unmatched, new.unmatched),
        ("shortest", shortest_text(old.shortest_s), shortest_text(new.shortest_s)),
    )
    by_name = {source.name: source for source in old.sources}
    for source in new.sources:
        if source.name in by_name:
            changes += _source_changes(by_name.pop(source.name), source, new)
        else:
            changes.append(_added_source(source, new))
    changes += [Message("rooms.change.removed_source", where=_place(name, new)) for name in by_name]
    return changes


def removals_of(before: Iterable[RoomSpec], after: Iterable[RoomSpec]) -> list[Message]:
    """Return the places of the sources that a file removes, because it lists their rooms alone."""
    by_name = {room.name: room for room in after}
    return [
        _place(source.name, old)
        for old in before
        if (new := by_name.get(old.name)) is not None
        for source in old.sources
        if source.name not in {kept.name for kept in new.sources}
    ]


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


def policy_text(policy: RoomPolicy | None) -> str | None:
    """Return who may, as a file has it; None for the default."""
    return None if policy is None else str(policy)


def shortest_text(seconds: int | None) -> str | None:
    """Return the length that a room ignores below, as a file has it; None for the default."""
    return None if seconds is None else length_text(seconds)


def length_text(seconds: int) -> str:
    """Return a length as a file has it."""
    for unit, name in ((3600, "h"), (60, "m")):
        if seconds and seconds % unit == 0:
            return f"{seconds // unit}{name}"
    return f"{seconds}s"

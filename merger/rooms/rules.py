"""What makes a room one that can be recorded. Pure, except for what recorders check."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from merger.errors import MergerError, Refused, did_you_mean, refuse
from merger.i18n import Message, Param, verbatim
from merger.ports.recorder import ChecksCredentials, Recorder, SourceOfRoom
from merger.rooms.spec import (
    LONGEST_KEY,
    LONGEST_NAME,
    LONGEST_TEXT,
    UNMATCHED,
    RoomSpec,
    SourceSpec,
    mask_passwords,
)
from merger.timeline.screen.decisions import DECIDES
from merger.timeline.zones import LONGEST_MARGIN, SHORTEST_STANDING, zone_named
from models import ROLES

LONGEST_CHUNK = timedelta(hours=24)

Problem = tuple[str, Message]


def problems_of(room: RoomSpec, recorder_of: Callable[[str], Recorder]) -> Iterator[Problem]:
    """Yield what is wrong with a room: the field, such as `sources.0.address`, and why."""
    if why := _problem_of_name(room.name):
        yield "name", why
    try:
        zone = zone_named(room.zone)
    except Refused as error:
        yield "zone", error.message
        zone = ZoneInfo("UTC")  # all the rest is looked at as well
    if not 1 <= room.chunk_s <= LONGEST_CHUNK.total_seconds():
        yield "chunk", Message("rooms.chunk", seconds=room.chunk_s)
    if room.decide not in DECIDES:
        yield (
            "decide",
            Message("rooms.no_choice", word=room.decide, hint=did_you_mean(room.decide, DECIDES)),
        )
    if not SHORTEST_STANDING <= timedelta(seconds=room.both_after_s) <= LONGEST_MARGIN:
        yield "both_after", Message("rooms.both_after", seconds=room.both_after_s)
    for field, margin_s in (("early", room.early_s), ("late", room.late_s)):
        if not 0 <= margin_s <= LONGEST_MARGIN.total_seconds():
            yield field, Message("rooms.margin", seconds=margin_s)
    for field, text in _texts(room):
        if len(text or "") > LONGEST_KEY:
            yield field, Message("error.too_long", longest=LONGEST_KEY)
    if room.unmatched not in (None, *UNMATCHED):
        yield "unmatched", Message(
            "rooms.no_choice", word=room.unmatched or "",
            hint=did_you_mean(room.unmatched or "", UNMATCHED),
        )  # fmt: skip
    if not 0 <= (room.shortest_s or 0) <= LONGEST_MARGIN.total_seconds():
        yield "shortest", Message("rooms.margin", seconds=room.shortest_s or 0)
    names = [source.name for source in room.sources]
    if room.sound_source is not None and room.sound_source not in names:
        yield "sound_source", no_source(room.sound_source, names)
    roles: dict[str, str] = {}
    for n, source in enumerate(room.sources):
        field = f"sources.{n}"
        if why := _problem_of_name(source.name):
            yield f"{field}.name", why
        elif source.name in names[:n]:
            yield f"{field}.name", _of_source(source, Message("rooms.listed_twice"))
        if source.role not in ROLES:
            why = Message("rooms.no_role", text=source.role, roles=ROLES)
            yield f"{field}.role", _of_source(source, why)
        elif (other := roles.setdefault(source.role, source.name)) != source.name:
            yield f"{field}.role", _of_source(source, role_taken(other, source.role))
        for key, text in (("address", source.address), ("credentials", source.credentials)):
            if len(text or "") > LONGEST_TEXT:
                yield f"{field}.{key}", Message("error.too_long", longest=LONGEST_TEXT)
        seen = SourceOfRoom(
            room.name, source.name, source.role, source.kind, source.address, zone,
            source.credentials,
        )  # fmt: skip
        for refusal in _refusals(seen, recorder_of):
            known = refusal.code in ("kind", "address", "credentials")
            code = refusal.code if known else "address"
            why = without_secrets(reason_of(source.name, refusal.message), source.credentials)
            yield f"{field}.{code}", _of_source(source, why)


def _texts(room: RoomSpec) -> Iterator[tuple[str, str | None]]:
    """Yield the optional texts of a room, by field."""
    yield "drive_folder", room.drive_folder
    yield "calendar_id", room.calendar_id
    yield "default_course", room.default_course


def _refusals(
    source: SourceOfRoom, recorder_of: Callable[[str], Recorder]
) -> Iterator[MergerError]:
    """Yield what its recorder refuses of a source: the kind, or the address and the credentials."""
    try:
        recorder = recorder_of(source.kind)
    except MergerError as error:
        yield error
        return
    try:
        recorder.check(source)
    except MergerError as error:
        yield error
        if error.code == "address" and isinstance(recorder, ChecksCredentials):
            try:
                recorder.check_credentials(source)
            except MergerError as another:
                yield another


def check_room(room: RoomSpec, recorder_of: Callable[[str], Recorder]) -> None:
    """Raise Invalid, or InvalidFields, with all that is wrong with a room, by its fields."""
    wrong: dict[str, Message] = {}
    for field, why in problems_of(room, recorder_of):
        wrong.setdefault(field, why)
    refuse(wrong)


def kept_credentials(before: SourceSpec, kind: str, address: str) -> str | None:
    """Return the credentials that a source keeps when it is changed without new ones. Pure.

    They are not kept for another place: whoever changes a room may not know them, and must not
    have them sent to a host of their choice.
    """
    is_there = (kind, _place(address)) == (before.kind, _place(before.address))
    return before.credentials if is_there else None


def _place(address: str) -> tuple[object, ...]:
    """Return where an address leads, without what is requested there."""
    try:
        parts = urlsplit(address)
        return parts.scheme, parts.hostname, parts.port
    except ValueError:  # a port that isn't a number
        return (address,)


# --- reasons that the file of rooms gives, too ----------------------------------------------------


def no_source(source: str, names: list[str]) -> Message:
    """Return that a room has no source of a name."""
    return Message("rooms.no_source", source=source, hint=did_you_mean(source, names))


def role_taken(source: str, role: str) -> Message:
    """Return that another source of the room has a role already."""
    return Message("rooms.role_taken", source=source, role=role)


def reason_of(source: str, message: Message) -> Message:
    """Return a message about a source without the source's name, for where that is shown anyway."""
    why = message.params.get("why")
    if message.params.get("source") == source and isinstance(why, Message):
        return why
    prefix = f"source {source!r}: "
    text = message.params.get("text")
    if message.key == "verbatim" and isinstance(text, str) and text.startswith(prefix):
        return verbatim(text.removeprefix(prefix))
    return message


def _of_source(source: SourceSpec, why: Message) -> Message:
    return Message("error.of_source", source=source.name, why=why)


def _problem_of_name(name: str) -> Message | None:
    """Return why something cannot be a name, which becomes a part of file names."""
    if not name.strip():
        return Message("error.missing")
    if name != name.strip():
        return Message("rooms.name_spaces", name=name)
    if name != unicodedata.normalize("NFC", name):
        return Message("rooms.name_not_nfc", name=name)
    if "/" in name or not name.isprintable():
        return Message("rooms.name_unsafe", name=name)
    if len(name.encode()) > LONGEST_NAME:
        return Message("rooms.name_too_long", longest=LONGEST_NAME)
    return None


def without_secrets(message: Message, credentials: str | None) -> Message:
    """Return a message about a source without the credentials, and passwords, that got into it."""

    def clean(value: Param) -> Param:
        if isinstance(value, str):
            text = value.replace(credentials, "***") if credentials else value
            return mask_passwords(text)
        if isinstance(value, tuple):
            return tuple(clean(part) for part in value)  # type: ignore[misc]
        return without_secrets(value, credentials) if isinstance(value, Message) else value

    return Message(message.key, **{name: clean(value) for name, value in message.items})

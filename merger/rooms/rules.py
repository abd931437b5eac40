"""What makes a room one that records can be made of. Pure, but for what recorders look at."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from merger.errors import MergerError, Refused, did_you_mean
from merger.ports.recorder import Recorder, SourceOfRoom
from merger.rooms.spec import (
    LONGEST_KEY,
    LONGEST_NAME,
    LONGEST_TEXT,
    RoomSpec,
    SourceSpec,
    masked,
)
from merger.timeline.zones import LONGEST_MARGIN, zone_named
from models import ROLES

LONGEST_CHUNK = timedelta(hours=24)


def problems_of(
    room: RoomSpec, recorder_of: Callable[[str], Recorder]
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a room: the field, like `sources.0.address`, and a sentence."""
    if why := _no_name(room.name):
        yield "name", why
    try:
        zone = zone_named(room.zone)
    except Refused as error:
        yield "zone", str(error)
        return
    if not 1 <= room.chunk_s <= LONGEST_CHUNK.total_seconds():
        yield "chunk", f"chunks of {room.chunk_s} s make no sense; write 1s to 24h"
    for field, margin_s in (("early", room.early_s), ("late", room.late_s)):
        if not 0 <= margin_s <= LONGEST_MARGIN.total_seconds():
            yield field, f"a margin of {margin_s} s makes no sense; write 0s to 1h"
    for field, text in (("drive_folder", room.drive_folder), ("calendar_id", room.calendar_id)):
        if len(text or "") > LONGEST_KEY:
            yield field, _too_long(LONGEST_KEY)
    names = [source.name for source in room.sources]
    if room.sound_source is not None and room.sound_source not in names:
        meant = did_you_mean(room.sound_source, names)
        yield "sound_source", f"there is no source {room.sound_source!r} in this room{meant}"
    roles: dict[str, str] = {}
    for n, source in enumerate(room.sources):
        field = f"sources.{n}"
        if why := _no_name(source.name):
            yield f"{field}.name", why
        elif source.name in names[:n]:
            yield f"{field}.name", f"source {source.name!r} is listed twice"
        if source.role not in ROLES:
            why = f"the role {source.role!r} is none of {', '.join(ROLES)}"
            yield f"{field}.role", f"source {source.name!r}: {why}"
        elif (other := roles.setdefault(source.role, source.name)) != source.name:
            why = f"{other!r} has the role {source.role} already; a room has one of each"
            yield f"{field}.role", f"source {source.name!r}: {why}"
        for key, text in (("address", source.address), ("credentials", source.credentials)):
            if len(text or "") > LONGEST_TEXT:
                yield f"{field}.{key}", _too_long(LONGEST_TEXT)
        seen = SourceOfRoom(
            room.name, source.name, source.role, source.kind, source.address, zone,
            source.credentials,
        )  # fmt: skip
        try:
            recorder_of(source.kind).check(seen)
        except MergerError as error:
            # Recorders name the source themselves; who looks for one by its kind does not.
            said = str(error).removeprefix(f"source {source.name!r}: ")
            code = error.code if error.code in ("kind", "address", "credentials") else "address"
            yield f"{field}.{code}", f"source {source.name!r}: {_without_secrets(said, source)}"


def check_room(room: RoomSpec, recorder_of: Callable[[str], Recorder]) -> None:
    """Raise Refused, whose code is the field, for the first thing that is wrong with a room."""
    for field, why in problems_of(room, recorder_of):
        raise Refused(field, why)


def kept_credentials(before: SourceSpec, kind: str, address: str) -> str | None:
    """Return the credentials that a source keeps when nobody gives others with its change.

    For another place they are not kept: whoever changes a room may not know them, and must not have
    them sent to a host of theirs. Pure.
    """
    is_there = (kind, _place(address)) == (before.kind, _place(before.address))
    return before.credentials if is_there else None


def _place(address: str) -> tuple[object, ...]:
    """Return where an address leads, whatever is asked for there."""
    try:
        parts = urlsplit(address)
        return parts.scheme, parts.hostname, parts.port
    except ValueError:  # a port that is no number
        return (address,)


def _too_long(longest: int) -> str:
    return f"it is longer than {longest} characters"


def _no_name(name: str) -> str | None:
    """Return why something cannot be a name, which becomes a part of file names."""
    if not name.strip():
        return "it is missing"
    if name != name.strip() or name != unicodedata.normalize("NFC", name):
        return f"{name!r} begins or ends with a space, or is not in Unicode's form NFC"
    if "/" in name or not name.isprintable():
        return f"{name!r} cannot be part of a file name"
    if len(name.encode()) > LONGEST_NAME:
        return f"it is too long for a file name: more than {LONGEST_NAME} bytes"
    return None


def _without_secrets(said: str, source: SourceSpec) -> str:
    """Return what was said of a source without what should not have been said."""
    return masked(said.replace(source.credentials, "***") if source.credentials else said)

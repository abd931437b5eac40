"""The rooms: whether they make sense, and whether their sources have media."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Engine, select

from merger.db.engine import reading
from merger.i18n import Message
from merger.monitoring.findings import Finding
from merger.ports.recorder import Recorder, ReportsMissing, SourceOfRoom
from merger.rooms import store
from merger.rooms.rules import problems_of
from merger.rooms.spec import RoomSpec, warnings
from merger.timeline.zones import zone_named
from models import Record, RecordMedia, Room

# Media of a lecture that ended yesterday may still be on its way.
_LONG_AGO, _LATELY = timedelta(days=8), timedelta(days=1)
# A room has media of these whenever there is a lecture; of a Zoom meeting only if there was one.
_ALWAYS_HAVE_MEDIA = ("folder", "rtsp", "drive")


def look_at_rooms(
    engine: Engine, recorder_of: Callable[[str], Recorder], now: Callable[[], datetime]
) -> Iterator[Finding]:
    """Look at each room: what is wrong with it, and which sources have had no media for a week."""
    rooms = store.stored_rooms(engine)
    media = _media_of_last_week(engine, now())
    if not rooms:
        yield Finding("rooms", "warning", Message("monitoring.no_rooms"))
    for room in rooms:
        what = f"room {room.name!r}"
        findings = [Finding(what, "broken", text) for _, text in problems_of(room, recorder_of)]
        findings += [Finding(what, "warning", text) for text in warnings([room])]
        if all(finding.ok for finding in findings):
            findings += [Finding(what, "warning", t) for t in _silent(room, media[room.name])]
            findings += [Finding(what, "warning", text) for text in _missing(room, recorder_of)]
        names = tuple(source.name for source in room.sources)
        message = Message("monitoring.room", zone=room.zone, sources=names)
        yield from findings or [Finding(what, "ok", message)]


def _missing(room: RoomSpec, recorder_of: Callable[[str], Recorder]) -> Iterator[Message]:
    """Yield what the sources of a room, which is itself right, need and do not find."""
    for source in room.sources:
        recorder = recorder_of(source.kind)
        if not isinstance(recorder, ReportsMissing):
            continue
        seen = SourceOfRoom(
            room.name, source.name, source.role, source.kind, source.address,
            zone_named(room.zone),
        )  # fmt: skip
        if why := recorder.missing(seen):
            yield Message("monitoring.source", source=source.name, why=why)


def _silent(room: RoomSpec, media: Sequence[RecordMedia]) -> Iterator[Message]:
    """Yield which sources have no media of any lecture of the last week. Pure."""
    for source in room.sources:
        has_any = any(of.get("items", {}).get(source.name) for of in media)
        if media and not has_any and source.kind in _ALWAYS_HAVE_MEDIA:
            yield Message("monitoring.silent_week", source=source.name, count=len(media))


def _media_of_last_week(engine: Engine, now: datetime) -> defaultdict[str, list[RecordMedia]]:
    """Return what the recordings of the last week are made of, by the name of the room."""
    query = (
        select(Room.name, Record.media)
        .join(Room, Room.id == Record.room_id)
        .where(
            Record.status != "cancelled",
            Record.start_at > now - _LONG_AGO,
            Record.end_at < now - _LATELY,
        )
    )
    found: defaultdict[str, list[RecordMedia]] = defaultdict(list)
    with reading(engine) as session:
        for room, media in session.execute(query):
            found[room].append(media or RecordMedia())
    return found

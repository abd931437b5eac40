"""Why nothing comes from a source, as far as that is known without asking it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, func, select

from merger.db.engine import reading
from merger.errors import MergerError
from merger.i18n import Message, from_json
from merger.live.bookings import Booking
from merger.live.source_status import Flow
from merger.ports.recorder import Recorder, RecordsLive, SourceOfRoom
from merger.timeline.zones import zone_named
from models import Record, RecordMedia

_JUST_BEGUN = timedelta(seconds=30)  # a recorder needs some seconds to see a booking, and say so


@dataclass(frozen=True)
class Silence:
    """Why nothing comes from a source. missed: the start of a record that has nothing of it."""

    why: Message
    missed: datetime | None = None


@dataclass(frozen=True)
class LastRecord:
    """The newest record of a room that is over: when it began, and what it was made of."""

    start: datetime
    media: RecordMedia


def last_records(engine: Engine, rooms: Iterable[int]) -> dict[int, LastRecord]:
    """Return the newest record of each room for which media was looked for."""
    over = (Record.room_id.in_(list(rooms)), Record.status.in_(("delivered", "failed")))
    newest = (
        select(Record.room_id, func.max(Record.start_at).label("start_at"))
        .where(*over)
        .group_by(Record.room_id)
        .subquery()
    )
    with reading(engine) as session:
        rows = session.execute(
            select(Record.room_id, Record.start_at, Record.media)
            .join(
                newest,
                (Record.room_id == newest.c.room_id) & (Record.start_at == newest.c.start_at),
            )
            .where(*over)
            .order_by(Record.id)
        ).all()
    nothing: RecordMedia = {}
    return {room: LastRecord(start, media or nothing) for room, start, media in rows}


def silence_of_live(
    source: SourceOfRoom,
    recorder_of: Callable[[str], Recorder],
    flow: Flow | None,
    bookings: Iterable[Booking],
    now: datetime,
) -> Silence | None:
    """Return why a source that is to be recorded at this moment sends nothing; None where it does.

    Also None for one that is not to be recorded now.
    """
    if flow is not None:
        if flow.how == "coming":
            return None
        if flow.how == "unknown":
            return Silence(Message("live.recorder_silent"))
        return Silence(flow.why or Message("live.nothing_yet"))
    try:
        recorder = recorder_of(source.kind)
    except MergerError:
        return None  # `app.py check` says so
    if not isinstance(recorder, RecordsLive):
        return None
    is_booked = any(
        booking.room == source.room and booking.span.start <= now - _JUST_BEGUN < booking.span.end
        for booking in bookings
    )
    if is_booked or recorder.is_always_recorded(source):
        return Silence(Message("live.no_recorder"))
    return None


def silence_in(record: LastRecord | None, source: str) -> Silence | None:
    """Return why the newest record of a room has nothing of a source; None where it has. Pure."""
    if record is None or any(_is_of(name, source) and files for name, files in _items(record)):
        return None
    for stored in record.media.get("warnings", ()):
        why = _reason_in(from_json(stored), source)
        if why is not None:
            return Silence(why, record.start)
    if source in record.media.get("incomplete", ()):
        return Silence(Message("live.no_files"), record.start)
    return None  # it is newer than that record, or nothing is known


def _items(record: LastRecord) -> Iterable[tuple[str, list[list[str]]]]:
    return record.media.get("items", {}).items()


def _is_of(name: str, source: str) -> bool:
    """Return whether files are of a source: one that has several roles is called NAME/ROLE, too."""
    return name.partition("/")[0] == source


def _reason_in(warning: Message, source: str) -> Message | None:
    """Return what a warning of a record says of a source; None where it is about something else."""
    if warning.params.get("source") != source:
        return None
    why = warning.params.get("why", warning.params.get("note"))
    return why if isinstance(why, Message) else None


def silences(
    engine: Engine,
    recorder_of: Callable[[str], Recorder],
    rooms: Iterable[Mapping[str, Any]],
    flows: Mapping[int, Flow],
    bookings: Iterable[Booking],
    now: datetime,
) -> dict[int, Silence]:
    """Return why nothing comes from sources of some rooms, by their ids; the others are well."""
    listed, booked = list(rooms), list(bookings)
    last = last_records(engine, [room["id"] for room in listed])
    found: dict[int, Silence] = {}
    for room in listed:
        for source in room["sources"]:
            seen = SourceOfRoom(
                room["name"], source["name"], source["role"], source["kind"], source["address"],
                zone_named(room["zone"]),
            )  # fmt: skip
            number = source["id"]
            silence = silence_of_live(seen, recorder_of, flows.get(number), booked, now)
            if silence is None and number not in flows:
                silence = silence_in(last.get(room["id"]), source["name"])
            if silence is not None:
                found[number] = silence
    return found

"""Where a discovered recording belongs: its room, the lecture that it is of, and its course."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from merger.config import Settings
from merger.i18n import Message
from merger.ports.discovery import DiscoveredRecording, Discovery
from merger.rooms.store import room_rows
from merger.series.lectures import Lecture, find_lectures
from merger.timeline.zones import zone_named
from merger.timetable.matching import Match, NoMatch, match
from models import Room, Source

# What people write where they mean that there is none.
_UNSET = ("", "none")


@dataclass(frozen=True)
class Place:
    """Where a recording belongs.

    Attributes:
        room: None where no room has a source that yields it.
        lecture: None where it is of none. why: it is, or is not.
        course: by the lecture, the room, or the settings.
        unwanted: why it is to become no record of its own, if so.
        shortest: what is shorter is ignored.
    """

    room: str | None
    lecture: Lecture | None
    why: Message
    course: str | None
    unwanted: Message | None
    shortest: timedelta


def first_course(*codes: str | None) -> str | None:
    """Return the first course code that is set, the most important first. Pure."""
    stripped = ((code or "").strip() for code in codes)
    return next((code for code in stripped if code.lower() not in _UNSET), None)


def find_place(
    session: Session, settings: Settings, discovery: Discovery, recording: DiscoveredRecording
) -> Place:
    """Return where a recording belongs."""
    rooms = rooms_of(session, recording, discovery)
    lectures: Sequence[Lecture] = []
    if recording.span is not None:
        ids = [room.id for room in rooms]
        lectures = find_lectures(session, recording.place, ids, recording.span)
    found, lecture = _match(lectures, recording, settings.timetable_tolerance)
    # Of several rooms with the same source, the one in which the lecture is held, or the first.
    held_in = [room for room in rooms if lecture is not None and room.id == lecture.room]
    room = next(iter([*held_in, *rooms]), None)
    course = first_course(
        lecture.course if lecture else None, room.default_course if room else None,
        settings.default_course,
    )  # fmt: skip
    unwanted = None
    if room is not None and (room.unmatched or settings.unmatched) == "ignore":
        unwanted = _why_unwanted(room, found)
    shortest = settings.shortest
    if room is not None and room.shortest_s is not None:
        shortest = timedelta(seconds=room.shortest_s)
    name = room.name if room else None
    return Place(name, lecture, found.why, course, unwanted, shortest)


def _match(
    lectures: Sequence[Lecture], recording: DiscoveredRecording, tolerance: timedelta
) -> tuple[Match | NoMatch, Lecture | None]:
    if recording.span is None:
        return NoMatch(Message("timetable.match.none")), None
    candidates = [lecture.as_candidate(str(n)) for n, lecture in enumerate(lectures)]
    found = match(candidates, recording.span, tolerance)
    return found, lectures[int(found.occurrence.key)] if isinstance(found, Match) else None


def rooms_of(session: Session, recording: DiscoveredRecording, discovery: Discovery) -> list[Room]:
    """Return the rooms with a source that yields a recording."""

    def is_at(source: Source) -> bool:
        is_kind = source.kind == recording.kind
        return is_kind and discovery.place_of(source.address) == recording.place

    return [room for room in room_rows(session) if any(map(is_at, room.sources))]


def _why_unwanted(room: Room, found: Match | NoMatch) -> Message | None:
    """Return why a recording is of no lecture, if so, by the clock of its room."""
    if isinstance(found, Match):
        return None
    if found.nearest is None:
        return Message("discovered.no_lecture", room=room.name)
    at = found.nearest.span.start.astimezone(zone_named(room.zone))
    return Message(
        "discovered.no_lecture_then", room=room.name, name=found.nearest.name,
        day=Message(f"weekday.{at.isoweekday()}"), time=f"{at:%H:%M}",
    )  # fmt: skip

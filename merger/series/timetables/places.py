"""The rooms in which lectures of timetables are held. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from merger.errors import Invalid, did_you_mean
from merger.rooms.spec import RoomSpec, SourceSpec

_ZOOM = "zoom"
# How people group the digits of a meeting's number, by how many these are.
_GROUPS = {9: (3, 3, 3), 10: (3, 3, 4), 11: (3, 4, 4)}


@dataclass(frozen=True)
class Places:
    """The rooms that there are.

    zones: by the names of rooms. of_meetings: the names of rooms by the digits of the numbers of
    meetings that take place there.
    """

    zones: Mapping[str, str]
    of_meetings: Mapping[str, str]

    def require_room(self, name: str) -> str:
        """Return the name of a room that there is. Raises Invalid with the name that was meant."""
        if name not in self.zones:
            hint = did_you_mean(name, sorted(self.zones))
            raise Invalid("room", "records.no_room", room=name, hint=hint)
        return name

    def common_zone(self) -> str:
        """Return the zone of all rooms; empty where they are in several, or there are none."""
        zones = set(self.zones.values())
        return zones.pop() if len(zones) == 1 else ""


def places_of(rooms: Iterable[RoomSpec]) -> Places:
    """Return rooms as places of lectures. Of several rooms with one meeting, it is the first's."""
    zones: dict[str, str] = {}
    of_meetings: dict[str, str] = {}
    for room in rooms:
        zones[room.name] = room.zone
        for source in room.sources:
            if source.kind == _ZOOM and (number := _number(source.address)):
                of_meetings.setdefault(number, room.name)
    return Places(zones, of_meetings)


def online_room(number: str, zone: str) -> RoomSpec:
    """Return a room for a meeting that takes place in none."""
    source = SourceSpec(_ZOOM, "speaker", _ZOOM, f"{_ZOOM}:{number}")
    return RoomSpec(online_name(number), zone, sources=(source,))


def online_name(number: str) -> str:
    """Return the name of a room for a meeting, with its number as people write it."""
    digits, groups = iter(number), _GROUPS.get(len(number), (len(number),))
    return " ".join(["Zoom", *("".join(next(digits) for _ in range(size)) for size in groups)])


def _number(address: str) -> str:
    """Return the digits of the number in the address of a source; empty where it has none."""
    return re.sub(r"[ -]", "", address.partition(":")[2])

"""Addresses of the kind `drive`: which folder they mean, and what the names of its files hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from merger.errors import Refused
from merger.ports.recorder import SourceOfRoom

_ID = re.compile(r"[A-Za-z0-9_-]{5,128}")


@dataclass(frozen=True)
class Place:
    """Where the files are, and what their names hold of room and source."""

    folder: str
    room: str
    source: str


def place_of(source: SourceOfRoom) -> Place:
    """Return what an address says. Raises Refused with what to write instead."""

    def refused(why: str) -> Refused:
        return Refused("address", f"source {source.name!r}: the address {source.address!r} {why}")

    where, marked, part = source.address.partition("#")
    scheme, colon, folder = where.partition(":")
    if where.startswith("https://drive.google.com/"):
        parts = urlsplit(where)
        asked = parse_qs(parts.query).get("id", [])
        scheme, colon, folder = "drive", ":", asked[0] if asked else parts.path.rpartition("/")[2]
    if scheme != "drive" or not colon or not _ID.fullmatch(folder):
        raise refused("is no folder of Drive; write its id like drive:1AbC-dEf, or its link")
    room, underscore, name = part.partition("_") if marked else (source.room, "_", source.name)
    if not (room and underscore and name):
        raise refused("must end in room and source as the files have them, like #504_camera")
    return Place(folder, room, name)

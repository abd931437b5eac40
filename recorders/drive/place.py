"""Addresses of the kind `drive`: which folder they mean, and what the names of its files hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from merger.errors import Invalid
from merger.ports.recorder import SourceOfRoom
from recorders.base import invalid_source

_ID = re.compile(r"[A-Za-z0-9_-]{5,128}")


@dataclass(frozen=True)
class Place:
    """Where the files are, and what their names hold of room and source."""

    folder: str
    room: str
    source: str


def place_of(source: SourceOfRoom) -> Place:
    """Return what an address says. Raises Invalid with what to write instead."""

    def invalid(key: str) -> Invalid:
        key = f"recorders.drive.{key}"
        return invalid_source(source, "address", key, address=source.address)

    where, marked, part = source.address.partition("#")
    scheme, colon, folder = where.partition(":")
    if where.startswith("https://drive.google.com/"):
        parts = urlsplit(where)
        if "/file/" in parts.path:
            raise invalid("link_of_file")
        ids = parse_qs(parts.query).get("id", [])
        scheme, colon, folder = "drive", ":", ids[0] if ids else parts.path.rpartition("/")[2]
    if scheme != "drive" or not colon or not _ID.fullmatch(folder):
        raise invalid("not_a_folder")
    room, underscore, name = part.partition("_") if marked else (source.room, "_", source.name)
    if not (room and underscore and name):
        raise invalid("no_part")
    return Place(folder, room, name)

"""Addresses of the kind `folder`: which folder they mean, and what the names of its files hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from merger.errors import Invalid
from merger.i18n import Message, Param
from merger.timeline.files.filenames import LibraryName, library_name, place_and_source
from recorders.base import SourceOfRoom, invalid_source

QUIET = timedelta(seconds=60)  # without a change: nobody is writing


@dataclass(frozen=True)
class Place:
    """Where the files are, and what their names hold of room and source.

    quiet: so long without a change, nobody is writing a file. is_own: all files are of the source,
    whatever it was called when they were recorded.
    """

    folder: Path
    room: str
    source: str
    quiet: timedelta = QUIET
    is_own: bool = False

    @property
    def part(self) -> str:
        return f"{self.room}_{self.source}"

    def parse_name(self, name: str) -> LibraryName | Message | str:
        """Return what a file's name says, or why it does not fit."""
        room, source = self.room, self.source
        if self.is_own:
            room, _, source = place_and_source(name).partition("_")
        return library_name(name, room, {source})


def place_of(source: SourceOfRoom) -> Place:
    """Return what an address says. Raises Invalid with what to write instead."""

    def invalid(key: str, **params: Param) -> Invalid:
        key = f"recorders.folder.{key}"
        return invalid_source(source, "address", key, address=source.address, **params)

    path, marked, part = source.address.rpartition("#")
    if not marked:
        path, part = source.address, ""
    if not path.startswith("/"):
        raise invalid("not_absolute")
    room, underscore, name = part.partition("_") if marked else (source.room, "_", source.name)
    if not (room and underscore and name):
        raise invalid("no_part")
    if "/" in room + name or "\0" in path + room + name:
        raise invalid("bad_part", part=f"{room}_{name}")
    return Place(Path(path), room, name)

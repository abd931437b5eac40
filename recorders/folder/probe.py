"""What a folder has of a source now, for somebody who has just entered its address."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from merger.analysis.glance import glance_at
from merger.errors import Refused
from merger.i18n import Message
from merger.isolation import reader
from merger.isolation.reader import Unreadable
from merger.logs import printable
from merger.ports.recorder import Probe
from merger.timeline.files.filenames import LibraryName, is_of_another, place_and_source
from recorders.folder.library import list_names, nothing_of
from recorders.folder.place import Place


def probe_folder(place: Place) -> Probe:
    """Return the newest file of a source, and a picture of it.

    Raises:
        MergerError: the folder cannot be read, or has no file of the source.
    """
    starts: dict[str, datetime] = {}
    others: set[str] = set()
    for name in list_names(place.folder):
        parsed = place.parse_name(name)
        if isinstance(parsed, LibraryName):
            starts[name] = parsed.start
        elif is_of_another(name):
            others.add(place_and_source(name))
    if not starts:
        raise Refused("source", nothing_of(place, others))
    newest = max(starts, key=lambda name: (starts[name], name))
    found = Message("recorders.folder.newest", file=printable(newest), count=len(starts))
    return Probe(found, _picture_of(place.folder / newest))


def _picture_of(path: Path) -> bytes | None:
    try:
        return reader.call(glance_at, path)
    except (Unreadable, OSError):
        return None  # it may still be growing

"""What a folder has of a span, and collecting it.

Files are placed as `merger/media/library.py` does. Only names within two days of a span are looked
into: a share holds years, and a sidecar corrects a recorder's clock, not the date of a folder full
of files.
"""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from merger.errors import Invalid
from merger.i18n import Message
from merger.logs import printable
from merger.media.library import LONGEST_SEGMENT
from merger.timeline.clock import Span
from merger.timeline.files.filenames import LibraryName, is_of_another, nearest, place_and_source
from merger.timeline.zones import wall_time
from recorders.base import (
    Collected,
    Found,
    Item,
    SourceOfRoom,
    collect_each,
    explain_failure,
    extension_of,
    reach_over,
)
from recorders.folder.examine import File, examine, instant_of
from recorders.folder.originals import Original, collect_original, is_collected
from recorders.folder.place import Place

_NEAR = timedelta(days=2)
_MOST_EXAMPLES = 5


def find_in(place: Place, source: SourceOfRoom, span: Span, now: datetime) -> Found:
    """Return what a place holds of a span. Raises Temporary where it is not there."""
    files, notes = _list_files(place, source, span, now)
    items = tuple(file.item for file in files)
    is_growing = not all(item.settled for item in items)
    return Found(items, is_growing or not reach_over(items, span), tuple(notes))


def collect_from(
    place: Place,
    source: SourceOfRoom,
    span: Span,
    into: Path,
    now: datetime,
    cancelled: Callable[[], bool],
    believed_for: timedelta,
) -> list[Collected]:
    """Collect the settled files of a place.

    Args:
        believed_for: so long after its last change, a file must be what its sidecar says.
    """

    def collect_to(original: Original, final: Path) -> None:
        if now - instant_of(original.mtime_ns) >= believed_for:
            original = dataclasses.replace(original, sha256=None)
        if not is_collected(final, original):
            collect_original(original, final, cancelled)

    files, _ = _list_files(place, source, span, now)
    items = ((f.item, extension_of(f.item), partial(collect_to, f.original)) for f in files)
    return collect_each(source, into, items, cancelled)


def _list_files(
    place: Place, source: SourceOfRoom, span: Span, now: datetime
) -> tuple[list[File], list[Message]]:
    """Return the files that may reach into a span, in order of time, and notes for people."""
    files: list[File] = []
    notes: list[Message] = []
    others: set[str] = set()
    starts: dict[str, datetime] = {}
    for name in list_names(place.folder):
        parsed = place.parse_name(name)
        if not isinstance(parsed, LibraryName):
            if is_of_another(name):
                others.add(place_and_source(name))
            continue
        start, odd = wall_time(parsed.start, source.zone)
        starts[name] = start
        if not span.start - LONGEST_SEGMENT - _NEAR < start < span.end + _NEAR:
            continue
        try:
            file = examine(place.folder / name, start, odd, span, now, place.quiet)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ELOOP):  # gone, or a link to nowhere
                why = error.strerror or str(error)
                notes.append(_of_file(name, Message("recorders.folder.not_examined", why=why)))
            continue
        if isinstance(file, File):
            files.append(file)
        elif file:
            notes.append(_of_file(name, file))
    if not starts:
        notes.append(nothing_of(place, others))
    files.sort(key=lambda file: (file.item.start, file.item.origin))
    files = [file for file in files if not _is_over_before(file.item, files, span.start)]
    if not files and (near := nearest(starts, span)):
        folder = printable(str(place.folder))
        notes.append(Message("recorders.folder.nothing_then", folder=folder, nearest=near))
    notes += [_of_file(file.item.origin, why) for file in files for why in file.notes]
    return files, notes


def _of_file(name: str, why: Message) -> Message:
    return Message("recorders.of_file", file=printable(name), why=why)


def list_names(folder: Path) -> list[str]:
    """Return the names in a folder. Raises Invalid for a file, Temporary, Broken."""
    try:
        return sorted(path.name for path in folder.iterdir())
    except NotADirectoryError as error:
        place = printable(str(folder))
        raise Invalid("address", "recorders.folder.is_file", folder=place) from error
    except OSError as error:
        raise explain_failure(error, folder) from error


def nothing_of(place: Place, others: set[str]) -> Message:
    """Return a note for a person who mistyped a name, or whose share is not mounted."""
    folder, part = printable(str(place.folder)), printable(place.part)
    if not others:
        return Message("recorders.folder.nothing", folder=folder, part=part)
    examples = tuple(printable(other) for other in sorted(others)[:_MOST_EXAMPLES])
    if len(others) > _MOST_EXAMPLES:
        examples += ("...",)
    return Message("recorders.folder.only_others", folder=folder, part=part, others=examples)


def _is_over_before(item: Item, files: Sequence[File], instant: datetime) -> bool:
    """Return whether an item ended before an instant.

    A recorder writes one file at a time: one without a known end is over when the next begins.
    """
    if item.start >= instant:
        return False
    if item.end is None:
        return any(item.start < other.item.start <= instant for other in files)
    return item.end <= instant

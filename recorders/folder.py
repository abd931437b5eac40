"""Kind `folder`: a library that somebody else uploads to, such as a network share.

The address is an absolute path, with `#504_camera` where the files are named by another room and
source than those of the tables. Files are placed as `merger/media/library.py` does. Only names
within two days of a span are looked into: a share holds years, and a sidecar corrects a recorder's
clock, not the date of a folder full of files.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path

import av

from merger.errors import Invalid
from merger.i18n import Message, Param
from merger.logs import printable
from merger.media.container import demuxer_for, open_container
from merger.media.library import LONGEST_SEGMENT
from merger.media.sidecar import LARGEST_SIDECAR, Sidecar, read_sidecar, sidecar_path
from merger.timeline.clock import Span
from merger.timeline.filenames import (
    LibraryName,
    is_of_another,
    library_name,
    nearest,
    place_and_source,
)
from merger.timeline.zones import wall_time
from recorders.base import (
    Collected,
    Found,
    Item,
    Original,
    SourceOfRoom,
    collect_each,
    collect_item,
    explain_failure,
    extension_of,
    invalid_source,
    is_collected,
    reach_over,
    refuse_credentials,
)

QUIET = timedelta(seconds=60)  # without a change: nobody is writing
CLOCKS_DIFFER = timedelta(minutes=5)  # ours and the share's, at most, where both are set
_NEAR = timedelta(days=2)
_NOT_OF_NOW = timedelta(days=1)
_MOST_EXAMPLES = 5


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


@dataclass(frozen=True)
class _File:
    """A file that may belong to a span: what the service is told, and what collecting it needs."""

    item: Item
    original: Original
    notes: tuple[Message, ...]


@dataclass(frozen=True)
class Folder:
    """Files that appear in a folder."""

    settle: timedelta = timedelta(minutes=60)

    def check(self, source: SourceOfRoom) -> None:
        """Raise Invalid where the address makes no sense; whether it is there is found later."""
        _address(source)
        refuse_credentials(source)

    def missing(self, source: SourceOfRoom) -> Message | None:
        """Return that a folder is not there; that its share hangs is not found out."""
        folder = _address(source).folder
        if folder.is_dir():
            return None
        return Message("recorders.folder.missing", folder=printable(str(folder)))

    def find(self, source: SourceOfRoom, span: Span, now: datetime) -> Found:
        """Return what exists of a span. Raises Temporary for a share that is not mounted.

        more_expected is about the media alone, whatever the time: a file is still growing, or the
        files do not reach over the whole span. How long that is waited for is the service's to say.
        """
        return find_in(_address(source), source, span, now)

    def collect(
        self,
        source: SourceOfRoom,
        span: Span,
        into: Path,
        now: datetime,
        cancelled: Callable[[], bool],
    ) -> list[Collected]:
        """Bring settled files: a second name on one file system, a copy between two.

        A file that is not what its sidecar's sha256 says may be half uploaded, and is left out. An
        hour after its last change nothing better will come: then it is brought as it is, for the
        merge uses what it can of damaged files and says so.
        """
        return collect_from(_address(source), source, span, into, now, cancelled, self.settle)


def find_in(place: Place, source: SourceOfRoom, span: Span, now: datetime) -> Found:
    """Return what a place holds of a span. Raises Temporary where it is not there."""
    files, notes = _files(place, source, span, now)
    items = tuple(file.item for file in files)
    growing = not all(item.settled for item in items)
    return Found(items, growing or not reach_over(items, span), tuple(notes))


def collect_from(
    place: Place,
    source: SourceOfRoom,
    span: Span,
    into: Path,
    now: datetime,
    cancelled: Callable[[], bool],
    believed_for: timedelta,
) -> list[Collected]:
    """Bring the settled files of a place.

    believed_for: so long after its last change, a file must be what its sidecar says.
    """

    def bring_to(original: Original, final: Path) -> None:
        if now - _instant(original.mtime_ns) >= believed_for:
            original = dataclasses.replace(original, sha256=None)
        if not is_collected(final, original):
            collect_item(original, final, cancelled)

    files, _ = _files(place, source, span, now)
    wanted = ((f.item, extension_of(f.item), partial(bring_to, f.original)) for f in files)
    return collect_each(source, into, wanted, cancelled)


def _address(source: SourceOfRoom) -> Place:
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


def _files(
    address: Place, source: SourceOfRoom, span: Span, now: datetime
) -> tuple[list[_File], list[Message]]:
    """Return the files that may reach into a span, in order of time, and notes for people."""
    files: list[_File] = []
    notes: list[Message] = []
    others: set[str] = set()
    starts: dict[str, datetime] = {}
    for name in _names(address.folder):
        parsed = address.parse_name(name)
        if not isinstance(parsed, LibraryName):
            if is_of_another(name):
                others.add(place_and_source(name))
            continue
        start, odd = wall_time(parsed.start, source.zone)
        starts[name] = start
        if not span.start - LONGEST_SEGMENT - _NEAR < start < span.end + _NEAR:
            continue
        try:
            file = _examine(address.folder / name, start, odd, span, now, address.quiet)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ELOOP):  # gone, or a link to nowhere
                why = error.strerror or str(error)
                notes.append(_of_file(name, Message("recorders.folder.not_examined", why=why)))
            continue
        if isinstance(file, _File):
            files.append(file)
        elif file:
            notes.append(_of_file(name, file))
    if not starts:
        notes.append(_nothing_of(address, others))
    files.sort(key=lambda file: (file.item.start, file.item.origin))
    files = [file for file in files if not _is_over_before(file.item, files, span.start)]
    if not files and (near := nearest(starts, span)):
        folder = printable(str(address.folder))
        notes.append(Message("recorders.folder.nothing_then", folder=folder, nearest=near))
    notes += [_of_file(file.item.origin, why) for file in files for why in file.notes]
    return files, notes


def _of_file(name: str, why: Message) -> Message:
    return Message("recorders.of_file", file=printable(name), why=why)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except NotADirectoryError as error:
        place = printable(str(folder))
        raise Invalid("address", "recorders.folder.is_file", folder=place) from error
    except OSError as error:
        raise explain_failure(error, folder) from error


def _nothing_of(address: Place, others: set[str]) -> Message:
    """Return a note for a person who mistyped a name, or whose share is not mounted."""
    folder, part = printable(str(address.folder)), printable(address.part)
    if not others:
        return Message("recorders.folder.nothing", folder=folder, part=part)
    examples = tuple(printable(other) for other in sorted(others)[:_MOST_EXAMPLES])
    if len(others) > _MOST_EXAMPLES:
        examples += ("...",)
    return Message("recorders.folder.only_others", folder=folder, part=part, others=examples)


def _examine(
    path: Path,
    start: datetime,
    odd: Message | str | None,
    span: Span,
    now: datetime,
    quiet: timedelta,
) -> _File | Message | None:
    """Return a file as it is now; why it cannot be used; None where it is not meant.

    Args:
        start: by its name. odd: what is strange about that.

    Raises:
        OSError: it cannot be examined.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        return None  # a folder, or a pipe, that is named like media
    note, noted_at = _sidecar_bytes(path)
    sidecar, complaint = read_sidecar(path)
    start = sidecar.start or start
    if start >= span.end or start + LONGEST_SEGMENT <= span.start:
        return None
    notes = [Message("recorders.folder.start_by_name", why=complaint)] if complaint else []
    if odd and not sidecar.start:
        notes.append(Message("recorders.odd_time", why=odd))
    if not os.access(path, os.R_OK):
        return Message("recorders.folder.no_permission")
    end = _end(path, status, start, sidecar, span)
    changed = _instant(max(status.st_mtime_ns, noted_at))
    settled = _is_quiet(changed, end, now, quiet)
    if status.st_size == 0 and settled:
        return Message("recorders.folder.empty") if start >= span.start else None
    item = Item(
        origin=path.name,
        fingerprint=_fingerprint(status, note),
        start=start,
        end=end,
        size_bytes=status.st_size,
        settled=settled,
    )
    original = Original(path, status.st_size, status.st_mtime_ns, note, sidecar.sha256)
    return _File(item, original, tuple(notes))


def _sidecar_bytes(path: Path) -> tuple[bytes | None, int]:
    """Return the sidecar of a file, and when it was changed (ns); None and 0 without."""
    sidecar = sidecar_path(path)
    try:
        status = sidecar.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_SIDECAR:
            return None, 0
        return sidecar.read_bytes(), status.st_mtime_ns
    except OSError:
        return None, 0  # read_sidecar says what is wrong with it, if it is there


def _fingerprint(status: os.stat_result, sidecar: bytes | None) -> str:
    # Another sidecar places the same media elsewhere.
    mark = f"-{hashlib.sha256(sidecar).hexdigest()[:16]}" if sidecar is not None else ""
    return f"{status.st_size}-{status.st_mtime_ns}{mark}"


def _is_quiet(changed: datetime, end: datetime | None, now: datetime, quiet: timedelta) -> bool:
    """Return whether nobody is writing a file, as far as the time of its last change tells.

    A share whose clock is ahead by minutes only makes us wait longer. Further ahead the time says
    nothing (a share that takes local time for UTC): then media that says itself where it ends, and
    has ended, is complete; and a time of another day is no clock's but a mistake, never to pass.
    """
    if changed <= now + CLOCKS_DIFFER:
        return changed <= now - quiet
    return (end is not None and end <= now - quiet) or changed > now + _NOT_OF_NOW


def _end(
    path: Path, status: os.stat_result, start: datetime, sidecar: Sidecar, span: Span
) -> datetime | None:
    """Return where a file ends: by its sidecar, else by its header; None where neither says so.

    A sidecar that ends before a span is checked with the header: an end that is wrong must not
    cost the media, which is used as far as it goes.
    """
    if sidecar.end and (sidecar.end > span.start or start >= span.start):
        return sidecar.end
    try:
        length = _length_by_header(path, status.st_size, status.st_mtime_ns)
    except OSError:
        length = None
    by_header = start + length if length else None
    if sidecar.end and by_header:
        return max(sidecar.end, by_header)
    return sidecar.end or by_header


@lru_cache(maxsize=4096)
def _length_by_header(path: Path, size_bytes: int, mtime_ns: int) -> timedelta | None:
    """Return how long a file says that it is; None where it does not, or cannot be believed.

    The files of a day are asked for every few minutes, over a network: once each is enough, as
    long as size and time are the same. Raises OSError.
    """
    with path.open("rb") as file:
        demuxer = demuxer_for(file.read(188 * 8))
    try:
        if demuxer is None:
            return None
        with open_container(path, demuxer) as container:
            length = timedelta(microseconds=container.duration or 0)
    except (av.FFmpegError, ValueError, OverflowError):
        return None  # half a file has no header yet; the merge says what is wrong with a broken one
    return length if timedelta() < length <= LONGEST_SEGMENT else None


def _is_over_before(item: Item, files: Sequence[_File], instant: datetime) -> bool:
    """Return whether an item ended before an instant.

    A recorder writes one file at a time: one without a known end is over when the next begins.
    """
    if item.start >= instant:
        return False
    if item.end is None:
        return any(item.start < other.item.start <= instant for other in files)
    return item.end <= instant


def _instant(ns: int) -> datetime:
    """Return a file time as an instant; one that no calendar holds as one far away."""
    try:
        return datetime.fromtimestamp(ns // 1_000_000_000, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.max.replace(tzinfo=UTC) if ns > 0 else datetime.min.replace(tzinfo=UTC)

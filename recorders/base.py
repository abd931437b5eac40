"""The recorders' side of the contract in `merger.ports.recorder`, and what all kinds share.

Media is brought through a work folder inside the folder that it is for, so that it gets its final
name in one step and whatever a killed run left is swept away by the next. Its sidecar is there
first: whoever sees the media sees what is known about it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from merger.errors import Broken, Cancelled, Invalid, MergerError, Temporary
from merger.failpoints import failpoint
from merger.i18n import Message, Param
from merger.logs import printable
from merger.media.sidecar import sidecar_path
from merger.ports.recorder import Collected, Found, Item, Recorder, SourceOfRoom
from merger.storage.copying import sha256_of
from merger.storage.disk_space import require_space
from merger.storage.files import AWAY, make_folder, publish, sweep_leftovers, work_folder
from merger.timeline.clock import Span

__all__ = [
    "Collected",
    "Found",
    "Item",
    "Original",
    "Recorder",
    "Skipped",
    "SourceOfRoom",
    "collect_each",
    "collect_item",
    "explain_failure",
    "extension_of",
    "file_name",
    "invalid_source",
    "is_collected",
    "prepare_folder",
    "publish_media",
    "reach_over",
    "refuse_credentials",
    "require_space",
    "stop_if",
    "work_folder",
]  # fmt: skip

JOINT = timedelta(seconds=2)  # between two files, or at an edge: no media is missing there
BLOCK = 1 << 20  # bytes between two questions whether to stop
# Of file times: the coarsest file system in use keeps them to two seconds.
_COARSE_NS = 2_000_000_000
_LONGEST_STEM = 50  # characters, of up to 4 bytes; a name has room for 255 bytes
# A share that is not mounted is away, too.
_AWAY = AWAY | {errno.ENOENT}


@dataclass(frozen=True)
class Original:
    """A file where a recorder looks, as it was when it was looked at.

    sidecar: the bytes of the one beside it. sha256: what the file must hash to, where that counts.
    """

    path: Path
    size_bytes: int
    mtime_ns: int
    sidecar: bytes | None = None
    sha256: str | None = None

    def is_unchanged(self) -> bool:
        """Return whether size and time of the file are still those. Raises OSError."""
        stat = self.path.stat()
        return (stat.st_size, stat.st_mtime_ns) == (self.size_bytes, self.mtime_ns)


class Skipped(Exception):
    """An item that cannot be brought now, while others can; `trouble`: what else to say of it."""

    def __init__(self, trouble: MergerError | None = None) -> None:
        super().__init__("left out")
        self.trouble = trouble


def stop_if(cancelled: Callable[[], bool]) -> None:
    """Raise Cancelled where somebody asked to stop."""
    if cancelled():
        raise Cancelled("cancelled", "recorders.stopped")


def invalid_source(source: SourceOfRoom, field: str, key: str, /, **params: Param) -> Invalid:
    """Return the error of a source that cannot be used as it is described.

    Args:
        field: that is wrong, `address` or `credentials`.
        key: of the reason, with its parameters.
    """
    return Invalid(field, "error.of_source", source=source.name, why=Message(key, **params))


def refuse_credentials(source: SourceOfRoom) -> None:
    """Raise Invalid where there are credentials that this kind has no use for."""
    if source.credentials:
        key = "recorders.no_credentials_needed"
        raise invalid_source(source, "credentials", key, kind=source.kind)


def reach_over(items: Sequence[Item], span: Span) -> bool:
    """Return whether items, in order of time, reach over a span without a hole.

    An item without a known end reaches to the start of the next; the last one proves nothing.
    """
    at = span.start
    for n, item in enumerate(items):
        if item.start > at + JOINT:
            return False
        following = items[n + 1].start if n + 1 < len(items) else item.start
        at = max(at, item.end or following)
    return at >= span.end - JOINT


def file_name(source: SourceOfRoom, item: Item, extension: str) -> str:
    """Return the name of an item where it is brought to: readable, safe, and nobody else's.

    extension: without the dot. Other content, and the same origin in another source, give another.
    """
    whole = "\0".join((source.room, source.name, item.origin, item.fingerprint))
    mark = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    stem = re.sub(r"[^\w-]+", "_", Path(item.origin).stem)[:_LONGEST_STEM]
    return f"{stem}~{mark}.{extension}"


def prepare_folder(into: Path) -> None:
    """Make the folder that media is brought to, and remove what killed runs left in it."""
    make_folder(into, "MERGER_DATA")
    sweep_leftovers(into)


def collect_each(
    source: SourceOfRoom,
    into: Path,
    wanted: Iterable[tuple[Item, str, Callable[[Path], None]]],
    cancelled: Callable[[], bool],
) -> list[Collected]:
    """Bring what is settled, each item under its own name; one bad file never stops the others.

    wanted: each item, its extension, and what brings it to a path unless it is there. It may raise
    LeftOut, whose trouble is raised where nothing at all could be brought. Raises Cancelled.
    """
    prepare_folder(into)
    there: list[Collected] = []
    trouble: MergerError | None = None
    for item, extension, bring_to in wanted:
        if not item.settled:
            continue
        stop_if(cancelled)
        final = into / file_name(source, item, extension)
        try:
            bring_to(final)
        except Skipped as left:
            trouble = left.trouble or trouble
            continue
        there.append(Collected(item, final))
    if trouble and not there:
        raise trouble
    return there


def extension_of(item: Item) -> str:
    """Return the extension of a file that is called like its origin, without the dot."""
    return item.origin.rpartition(".")[2].lower()


def is_collected(final: Path, original: Original) -> bool:
    """Return whether a file was brought earlier, and is still what it was then."""
    try:
        stat = final.stat()
        if original.sidecar is not None:
            sidecar_path(final).stat()
    except OSError:
        return False  # bringing it says what is wrong
    apart = abs(stat.st_mtime_ns - original.mtime_ns)
    return stat.st_size == original.size_bytes and apart <= _COARSE_NS


def collect_item(original: Original, final: Path, cancelled: Callable[[], bool]) -> None:
    """Bring a file and its sidecar under a final name; the time of its change is kept.

    The cache knows files by that time. Raises LeftOut for a file that vanished, changed meanwhile,
    is not what its sidecar says or cannot be read; Cancelled; Temporary or Broken for the folder,
    Temporary before anything is copied that has no room there.
    """
    with work_folder(final.parent) as work:
        partial = work / final.name
        try:
            digest = None
            if not _linked(original, partial):
                require_space(final.parent, original.size_bytes, original.path.name)
                digest = _copied(original, partial, cancelled)
            with _reading():
                unchanged = original.is_unchanged()
        except _ReadingFailed as failed:
            gone = isinstance(failed.error, FileNotFoundError)
            raise Skipped(
                None if gone else explain_failure(failed.error, original.path)
            ) from failed
        if not unchanged or partial.stat().st_size != original.size_bytes:
            raise Skipped
        if original.sha256:
            digest = digest or sha256_of(partial, lambda: stop_if(cancelled))
            if digest != original.sha256.lower():
                raise Skipped
        failpoint("recorder.copied")
        publish_media(partial, original.sidecar, final)


def publish_media(partial: Path, sidecar: bytes | None, final: Path) -> None:
    """Give media, complete in a work folder, its final name, its sidecar before it."""
    if sidecar is not None:
        note = sidecar_path(partial)
        note.write_bytes(sidecar)
        publish(note, sidecar_path(final))
    failpoint("recorder.sidecar")
    publish(partial, final)


class _ReadingFailed(Exception):
    """Reading the original failed, not writing to our own folder."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _ReadingFailed(error) from error


def _linked(original: Original, partial: Path) -> bool:
    """Give a file a second name where that is possible: nothing is copied on one file system.

    What is written into the original later shows in ours, too; it then has another fingerprint.
    """
    try:
        os.link(os.path.realpath(original.path), partial)
    except OSError:
        return False  # another file system, or one without links: copied, or told by the copy
    return True


def _copied(original: Original, partial: Path, cancelled: Callable[[], bool]) -> str:
    """Copy a file in blocks, with its time; return its SHA-256."""
    digest = hashlib.sha256()
    with _reading():
        file = original.path.open("rb")
    with file, partial.open("wb") as copy:
        while True:
            stop_if(cancelled)
            with _reading():
                block = file.read(BLOCK)
            if not block:
                break
            digest.update(block)
            copy.write(block)
    os.utime(partial, ns=(original.mtime_ns, original.mtime_ns))
    return digest.hexdigest()


def explain_failure(error: OSError, where: Path) -> Temporary | Broken:
    """Return what it means that something cannot be read where a recorder looks."""
    place, why = printable(str(where)), error.strerror or str(error)
    if error.errno in _AWAY:
        return Temporary("source_away", "recorders.away", place=place, why=why)
    if error.errno in (errno.EACCES, errno.EPERM):
        return Broken("source_permission", "recorders.no_permission", place=place, why=why)
    return Broken("source", "recorders.unreadable", place=place, why=why)

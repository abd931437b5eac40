"""Files where a recorder looks, and collecting them: by a second name, or a copy."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from merger.failpoints import failpoint
from merger.media.sidecar import sidecar_path
from merger.storage.copying import sha256_of
from recorders import base
from recorders.base import Skipped, explain_failure, publish_media, stop_if, work_folder

# Of file times: the coarsest file system in use keeps them to two seconds.
_COARSE_NS = 2_000_000_000


@dataclass(frozen=True)
class Original:
    """A file where a recorder looks, as it was then.

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


def is_collected(final: Path, original: Original) -> bool:
    """Return whether a file was collected earlier, and is still what it was then."""
    try:
        stat = final.stat()
        if original.sidecar is not None:
            sidecar_path(final).stat()
    except OSError:
        return False  # collecting it shows what is wrong
    apart = abs(stat.st_mtime_ns - original.mtime_ns)
    return stat.st_size == original.size_bytes and apart <= _COARSE_NS


def collect_original(original: Original, final: Path, cancelled: Callable[[], bool]) -> None:
    """Collect a file and its sidecar under a final name, with the time of its change.

    The cache knows files by that time.

    Raises:
        Skipped: it vanished, changed meanwhile, is not what its sidecar says or cannot be read.
        Cancelled: `cancelled` says so.
        Temporary, Broken: our own folder; Temporary before anything is copied that has no room.
    """
    with work_folder(final.parent) as work:
        partial = work / final.name
        try:
            digest = None
            if not _link(original, partial):
                base.require_space(final.parent, original.size_bytes, original.path.name)
                digest = _copy(original, partial, cancelled)
            with _reading():
                is_unchanged = original.is_unchanged()
        except _ReadingFailed as failed:
            is_gone = isinstance(failed.error, FileNotFoundError)
            trouble = None if is_gone else explain_failure(failed.error, original.path)
            raise Skipped(trouble) from failed
        if not is_unchanged or partial.stat().st_size != original.size_bytes:
            raise Skipped
        if original.sha256:
            digest = digest or sha256_of(partial, lambda: stop_if(cancelled))
            if digest != original.sha256.lower():
                raise Skipped
        failpoint("recorder.copied")
        publish_media(partial, original.sidecar, final)


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


def _link(original: Original, partial: Path) -> bool:
    """Give a file a second name where that is possible: nothing is copied on one file system.

    What is written into the original later shows in ours, too; it then has another fingerprint.
    """
    try:
        os.link(os.path.realpath(original.path), partial)
    except OSError:
        return False  # another file system, or one without links; the copy shows anything else
    return True


def _copy(original: Original, partial: Path, cancelled: Callable[[], bool]) -> str:
    """Copy a file in blocks, with its time; return its SHA-256."""
    digest = hashlib.sha256()
    with _reading():
        file = original.path.open("rb")
    with file, partial.open("wb") as copy:
        while True:
            stop_if(cancelled)
            with _reading():
                block = file.read(base.BLOCK)
            if not block:
                break
            digest.update(block)
            copy.write(block)
    os.utime(partial, ns=(original.mtime_ns, original.mtime_ns))
    return digest.hexdigest()

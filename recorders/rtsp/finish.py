"""Makes complete files of what was recorded: `python -m recorders.rtsp.finish FOLDER`.

A process of its own, so that whoever records does not wait for the disk.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import av

from merger.errors import MergerError
from merger.failpoints import failpoint
from merger.logs import printable
from merger.media.sidecar import MalformedSidecar, load_sidecar, sidecar_bytes
from merger.storage.copying import never_cancelled, sha256_of
from merger.storage.disk_space import require_space
from merger.storage.files import translate_write_errors, work_folder
from recorders.base import publish_media
from recorders.rtsp.recordings import (
    RAW,
    Journal,
    file_name,
    instant_of,
    load_journal,
    raw_files,
)
from recorders.rtsp.remux import RawBytes, length_of, open_raw, remux

_SECOND = timedelta(seconds=1)
_JOURNALS = (".json.partial", ".json")


def finish_all(folder: Path) -> list[Path]:
    """Finish what nobody is recording any more; return the finished files.

    One that cannot be finished now never stops the others.

    Raises:
        Temporary, Broken: the first that could not be finished.
    """
    finished: list[Path] = []
    trouble: MergerError | None = None
    for raw in raw_files(folder):
        try:
            with translate_write_errors(folder), lock(raw) as is_free:
                if is_free and (final := finish(raw, folder)):
                    finished.append(final)
        except MergerError as error:
            trouble = trouble or error
    with translate_write_errors(folder):
        _remove_orphans(folder)
    if trouble is not None:
        raise trouble
    return finished


@contextmanager
def lock(raw: Path) -> Iterator[bool]:
    """Hold the lock of a raw file, as whoever writes it does; yield whether it was free.

    The file itself is locked (`raw_file`): filelock would truncate it, or leave a file beside it.
    """
    try:
        handle = os.open(raw, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # finished by somebody else this very moment
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_free = True
    except BlockingIOError:
        is_free = False
    try:
        yield is_free
    finally:
        os.close(handle)


def finish(raw: Path, folder: Path) -> Path | None:
    """Make a complete file of a raw one, which is removed then; None where it holds nothing.

    What makes no sense is set aside, with `.broken` added to its name.

    Raises:
        Temporary: there is no room; it stays as it is.
        OSError: it cannot be read; it stays as it is.
    """
    journal = load_journal(raw) or recover(raw)
    if journal is None:
        if raw.stat().st_size:
            raw.replace(raw.with_name(f"{raw.name}.broken"))
        else:
            _remove(raw)  # the disk was full when it was begun
        return None
    require_space(folder, raw.stat().st_size, printable(raw.name))
    final = _free_name(folder, journal)
    with work_folder(folder) as work:
        partial = work / final.name
        if not remux(raw, partial, journal.shifts_us):
            _remove(raw)
            return None
        end = journal.end or journal.start + length_of(partial)
        sidecar = sidecar_bytes(
            journal.start, journal.end, sha256_of(partial, never_cancelled),
            room=journal.room, source=journal.source, clock=journal.by,
        )  # fmt: skip
        # Files are kept by the time of their change: that of the media, as from any recorder.
        end_s = end.timestamp()
        os.utime(partial, (end_s, end_s))
        failpoint("recording.finished")
        publish_media(partial, sidecar, final)
    failpoint("recording.published")
    _remove(raw)
    return final


def recover(raw: Path) -> Journal | None:
    """Return the journal that a raw file holds by itself where its own was lost, as by a power cut.

    Its name holds its instant, as exactly as that was known when it was begun; its header holds
    room and source. Raises OSError.
    """
    with RawBytes(raw) as data:
        try:
            start = instant_of(raw)
            with open_raw(data) as container:
                tags = {name.lower(): text for name, text in container.metadata.items()}
            return Journal(tags["room"], tags["source"], tags["zone"], start, by="name")
        except (ValueError, KeyError, av.FFmpegError):
            data.check()
            return None


def _free_name(folder: Path, journal: Journal) -> Path:
    """Return a name that no file has: in the repeated hour of autumn, one may have it already.

    One that was finished from this raw file before a crash is the same file, and written over.
    """
    at = journal.start
    while True:
        final = folder / file_name(at, journal.zone, journal.room, journal.source)
        with suppress(MalformedSidecar):
            sidecar = load_sidecar(final)
            if sidecar is None or sidecar.start == journal.start:
                return final
        at += _SECOND


def _remove(raw: Path) -> None:
    """Remove a raw file, and then its journal: without that, its name alone would place it anew."""
    raw.unlink(missing_ok=True)
    failpoint("recording.removed")
    for suffix in _JOURNALS:
        raw.with_suffix(suffix).unlink(missing_ok=True)


def _remove_orphans(folder: Path) -> None:
    """Remove the journals of files that are gone. A file is there before its journal is."""
    for suffix in _JOURNALS:
        for journal in (folder / RAW).glob(f"*{suffix}"):
            if not (folder / RAW / journal.name.replace(suffix, ".mkv")).exists():
                journal.unlink(missing_ok=True)


def main() -> int:
    """Finish what lies in a folder."""
    try:
        finish_all(Path(sys.argv[1]))
    except MergerError as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The files that are recorded here: where they lie, while they grow and when they are finished.

A source has a folder, called by its number in the tables. In its subfolder `raw` lies what is being
recorded: Matroska that can be read up to its last second whatever happens, and beside it a journal.
`finish` makes a complete file with its sidecar out of it, in the folder itself, under the name that
any library has.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import av
import av.container

from merger.errors import MergerError
from merger.failpoints import failpoint
from merger.logs import printable
from merger.media.sidecar import MalformedSidecar, load_sidecar, sidecar_bytes
from merger.storage.copying import never_cancelled, sha256_of
from merger.storage.disk_space import require_space
from merger.storage.files import translate_write_errors, work_folder
from recorders.base import publish_media

RAW = "raw"
_RAW_NAME = "%Y%m%dT%H%M%S.%fZ"
# Pictures are decoded up to so long before they are shown: more than any camera reorders.
_REORDERED_US = 1_000_000
_SECOND = timedelta(seconds=1)
_BLOCK = 1 << 20  # bytes
_JOURNALS = (".json.partial", ".json")


def folder_of(recorded: Path, source: int) -> Path:
    """Return the folder of a source, by its number: room and source may get other names."""
    return recorded / str(source)


def raw_name(at: datetime) -> str:
    """Return the name of a raw file: by the instant, as those of a folder must not meet."""
    return f"{at.astimezone(UTC):{_RAW_NAME}}.mkv"


def file_name(at: datetime, zone: str, room: str, source: str) -> str:
    """Return the name of a file that begins at an instant, as a library has it."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d_%H-%M-%S}_{room}_{source}.mkv"


@dataclass(frozen=True)
class Journal:
    """What is known of a file that is being recorded; written anew whenever more is.

    shifts_us: by number of stream, how much later it is than it was written. by: what the instants
    are known by: the camera's clock, the arrival of its packets, or the name of the file alone.
    """

    room: str
    source: str
    zone: str
    start: datetime
    end: datetime | None = None
    by: str = "arrival"
    shifts_us: dict[int, int] = field(default_factory=dict)

    def write(self, raw: Path) -> None:
        """Write it beside its file, whole or not at all, also after a power cut. Raises OSError."""
        said: dict[str, Any] = asdict(self)
        said["start"] = self.start.isoformat()
        said["end"] = self.end and self.end.isoformat()
        partial = raw.with_suffix(".json.partial")
        with partial.open("w") as file:
            file.write(json.dumps(said))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(raw.with_suffix(".json"))


def read_journal(raw: Path) -> Journal | None:
    """Return the journal of a file; None where there is none that can be read."""
    try:
        return _told(raw)
    except OSError:
        return None


def _told(raw: Path) -> Journal | None:
    """Return the journal of a file; None where there is none, or a half. Raises OSError."""
    try:
        said = json.loads(raw.with_suffix(".json").read_text())
        return Journal(
            room=said["room"],
            source=said["source"],
            zone=said["zone"],
            start=datetime.fromisoformat(said["start"]),
            end=datetime.fromisoformat(said["end"]) if said["end"] else None,
            by=said["by"],
            shifts_us={int(n): us for n, us in said["shifts_us"].items()},
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def recover(raw: Path) -> Journal | None:
    """Return what a raw file tells by itself where its journal was lost, as by a power cut.

    Its name holds its instant, as well as that was known when it was begun; its header, of what it
    is. Raises OSError.
    """
    with RawBytes(raw) as data:
        try:
            start = datetime.strptime(raw.stem, _RAW_NAME).replace(tzinfo=UTC)
            with _opened(data) as container:
                said = {name.lower(): text for name, text in container.metadata.items()}
            return Journal(said["room"], said["source"], said["zone"], start, by="name")
        except (ValueError, KeyError, av.FFmpegError):
            data.check()
            return None


@contextmanager
def lock(raw: Path) -> Iterator[bool]:
    """Hold the lock of a raw file, which who writes it holds; yield whether it was free."""
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


def raw_files(folder: Path) -> list[Path]:
    """Return what is being recorded into a folder, or was when its recorder was killed."""
    return sorted((folder / RAW).glob("*.mkv"))


def finish_all(folder: Path) -> list[Path]:
    """Finish what nobody is recording any more; return the finished files.

    One that cannot be finished now never stops the others. Raises Temporary or Broken for it then.
    """
    done: list[Path] = []
    trouble: MergerError | None = None
    for raw in raw_files(folder):
        try:
            with translate_write_errors(folder), lock(raw) as free:
                if free and (final := finish(raw, folder)):
                    done.append(final)
        except MergerError as error:
            trouble = trouble or error
    with translate_write_errors(folder):
        _remove_orphans(folder)
    if trouble is not None:
        raise trouble
    return done


def finish(raw: Path, folder: Path) -> Path | None:
    """Make a complete file of a raw one, which is removed then; None where it holds nothing.

    What makes no sense is set aside, with `.broken` added to its name. Raises Temporary where
    there is no room, OSError where it cannot be read: then it stays as it is.
    """
    journal = _told(raw) or recover(raw)
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
        if not _remuxed(raw, partial, journal):
            _remove(raw)
            return None
        end = journal.end or journal.start + timedelta(microseconds=_length_us(partial))
        sidecar = sidecar_bytes(
            journal.start, journal.end, sha256_of(partial, never_cancelled),
            room=journal.room, source=journal.source, clock=journal.by,
        )  # fmt: skip
        # Files are kept by the time of their change: that of the media, as from any recorder.
        ended = end.timestamp()
        os.utime(partial, (ended, ended))
        failpoint("recording.finished")
        publish_media(partial, sidecar, final)
    failpoint("recording.published")
    _remove(raw)
    return final


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


def _remuxed(raw: Path, partial: Path, journal: Journal) -> int:
    """Write a file anew with an index, its streams where they belong; return how many packets.

    The last cluster of a file whose recorder was killed is cut off: what is whole is kept. Raises
    OSError where the system does not give all of it.
    """
    with RawBytes(raw) as data:
        try:
            source = _opened(data)
        except av.FFmpegError:
            packets = 0  # killed before anything was written
        else:
            packets = _copied(source, partial, journal)
        data.check()
    return packets


def _copied(source: av.container.InputContainer, partial: Path, journal: Journal) -> int:
    packets = 0
    with source, av.open(str(partial), "w", format="matroska") as made:
        streams = {s.index: made.add_stream_from_template(s) for s in source.streams}
        last: dict[int, int] = {}
        reader = source.demux()
        while True:
            try:
                packet = next(reader, None)
            except av.FFmpegError:
                break
            if packet is None:
                break
            if packet.pts is None or packet.size == 0 or packet.is_corrupt:
                continue
            base = packet.time_base
            at = packet.pts + round(journal.shifts_us.get(packet.stream_index, 0) / 10**6 / base)
            if at < 0:
                continue  # sound from before the first picture
            early = round(_REORDERED_US / 10**6 / base) if packet.stream.type == "video" else 0
            before = last.get(packet.stream_index, at - early - 1)
            packet.pts, packet.dts = at, max(before + 1, at - early)
            if packet.dts > packet.pts:
                continue  # a timestamp twice
            last[packet.stream_index] = packet.dts
            packet.stream = streams[packet.stream_index]
            made.mux(packet)
            packets += 1
    return packets


class RawBytes:
    """What is in a raw file. Demuxers take a failure to read for the end: here it is not lost."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._error: OSError | None = None

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            self._error = error
            raise

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def check(self) -> None:
        """Raise the OSError of a read that failed, if any has."""
        if self._error is not None:
            raise self._error

    def __enter__(self) -> RawBytes:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _opened(data: RawBytes) -> av.container.InputContainer:
    options = {"protocol_whitelist": "file"}
    return av.open(data, "r", format="matroska", options=options, buffer_size=_BLOCK)


def _length_us(path: Path) -> int:
    with av.open(str(path), format="matroska") as container:
        return max(0, container.duration or 0)


def main() -> int:
    """Finish what lies in a folder: `python -m recorders.rtsp.recordings FOLDER`."""
    try:
        finish_all(Path(sys.argv[1]))
    except MergerError as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

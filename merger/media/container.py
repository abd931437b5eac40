"""Opening media files, and telling a failure of the system from a fault of the data.

Files are data from a network. The demuxer is chosen by the first bytes out of three and forced, so
that a playlist called `.mp4` stays unreadable instead of fetching what it names.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container

from merger.errors import Broken, Temporary
from merger.storage.files import AWAY, translate_os_error
from merger.timeline.media import MediaFile

_BLOCK = 1 << 20  # bytes
# What only the system answers. libav says EIO, EAGAIN and ENOMEM of bad data, too.
_OF_THE_SYSTEM = (AWAY - {errno.EIO, errno.EAGAIN}) | {errno.ENOENT, errno.EMFILE, errno.ENFILE}


def demuxer_for(head: bytes) -> str | None:
    """Return the demuxer for a file's first bytes, out of the three that a library may hold."""
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"styp", b"pnot"):
        return "mov"
    for packet in (188, 192, 204):  # plain, with a time code (M2TS), with error correction
        first = 4 if packet == 192 else 0
        syncs = [head[i : i + 1] for i in range(first, len(head), packet)]
        if len(syncs) >= 2 and all(s == b"\x47" for s in syncs):
            return "mpegts"
    # A transport stream that was cut anywhere begins in the middle of a packet.
    for first in range(1, 188):
        if len(head) > first + 4 * 188 and all(
            head[i] == 0x47 for i in range(first, len(head), 188)
        ):
            return "mpegts"
    return None


@contextmanager
def open_container(path: Path, demuxer: str) -> Iterator[av.container.InputContainer]:
    """Open a file with a forced demuxer; nothing but the file itself is read."""
    options = {"protocol_whitelist": "file"}
    with closing(
        av.open(str(path), format=demuxer, options=options, metadata_errors="replace")
    ) as c:
        assert isinstance(c, av.container.InputContainer)
        yield c


@dataclass(frozen=True)
class Header:
    """What a file says of itself, which need not be true."""

    demuxer: str
    length_us: int  # 0 where it does not say
    has_pictures: bool


def read_header(path: Path) -> Header | None:
    """Return what a file's header says; None where it has none that can be read.

    Raises:
        OSError: the file itself cannot be read.
    """
    with path.open("rb") as file:
        demuxer = demuxer_for(file.read(188 * 8))
    if demuxer is None:
        return None
    try:
        with open_container(path, demuxer) as container:
            length_us = max(0, container.duration or 0)
            return Header(demuxer, length_us, bool(container.streams.video))
    except (av.FFmpegError, ValueError):
        return None


_kept: list[av.AudioLayout] = []


def channel_count(of: av.AudioCodecContext | av.AudioFrame) -> int:
    """Return how many channels a sound has.

    PyAV 18.1 frees a layout of QuickTime's own (say: right, left) twice, with the object that
    stands for it and with what it belongs to, and the process ends. So the former is kept.
    """
    layout = of.layout
    _kept.append(layout)
    return layout.nb_channels


def seek(container: av.container.InputContainer, stream: Any, media: MediaFile, at: int) -> None:
    """Have a stream be read from its key frame at or before a time.

    Args:
        at: in the time base of the stream.
    """
    try:
        container.seek(at, stream=stream)
    except av.FFmpegError:
        # In a transport stream of few packets no time is found: it is read from its beginning.
        before = Fraction(media.zero_us, 1_000_000) - 1
        container.seek(math.floor(before / stream.time_base), stream=stream)


def explain_failure(media: MediaFile, error: av.FFmpegError) -> None:
    """Raise Temporary or Broken where a failure is the system's and says nothing of the data."""
    if isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM:
        raise _translate(media.path, error) from error
    if isinstance(error, OSError | MemoryError):
        check_readable(media)


def check_readable(media: MediaFile) -> None:
    """Read a file as plain bytes. Raises Temporary or Broken unless it is there as it was.

    To be called before anything is concluded from pictures that did not come: demuxers take a
    failure to read for the end of the file.
    """
    try:
        stat = media.path.stat()
        with media.path.open("rb", buffering=0) as file:
            while file.read(_BLOCK):
                pass
    except OSError as error:
        raise _translate(media.path, error) from error
    if (stat.st_size, stat.st_mtime_ns) != (media.size_bytes, media.mtime_ns):
        raise Temporary("input_changed", "media.changed", path=str(media.path))


def _translate(path: Path, error: OSError) -> Temporary | Broken:
    if error.errno in (*_OF_THE_SYSTEM, errno.ENOMEM):
        return Temporary(
            "storage_away", "media.away", path=str(path), why=error.strerror or str(error)
        )
    return translate_os_error(error, path.parent)

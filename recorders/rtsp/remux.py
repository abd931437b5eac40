"""Writes a raw file anew, with an index and its streams where they belong. Nothing is encoded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import av
import av.container

from recorders.rtsp.capture_clock import SECOND_US
from recorders.rtsp.recordings import REORDERED_US

_BLOCK = 1 << 20  # bytes


def remux(raw: Path, partial: Path, shifts_us: Mapping[int, int]) -> int:
    """Write a raw file anew; return how many packets it has.

    The last cluster of a file whose recorder was killed is cut off: what is whole is kept.

    Args:
        shifts_us: by number of stream, how much later it is than it was written.

    Raises:
        OSError: the system does not give all of it.
    """
    with RawBytes(raw) as data:
        try:
            source = open_raw(data)
        except av.FFmpegError:
            packets = 0  # killed before anything was written
        else:
            packets = _copy_packets(source, partial, shifts_us)
        data.check()
    return packets


def _copy_packets(
    source: av.container.InputContainer, partial: Path, shifts_us: Mapping[int, int]
) -> int:
    packets = 0
    with source, av.open(str(partial), "w", format="matroska") as target:
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        newest: dict[int, int] = {}
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
            at = packet.pts + round(shifts_us.get(packet.stream_index, 0) / SECOND_US / base)
            if at < 0:
                continue  # sound from before the first picture
            early = round(REORDERED_US / SECOND_US / base) if packet.stream.type == "video" else 0
            before = newest.get(packet.stream_index, at - early - 1)
            packet.pts, packet.dts = at, max(before + 1, at - early)
            if packet.dts > packet.pts:
                continue  # a timestamp twice
            newest[packet.stream_index] = packet.dts
            packet.stream = streams[packet.stream_index]
            target.mux(packet)
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


def open_raw(data: RawBytes) -> av.container.InputContainer:
    """Open a raw file to read its streams. Raises av.FFmpegError where it holds none."""
    options = {"protocol_whitelist": "file"}
    return av.open(data, "r", format="matroska", options=options, buffer_size=_BLOCK)


def length_of(path: Path) -> timedelta:
    """Return how long a file says that it is."""
    with av.open(str(path), format="matroska") as container:
        return timedelta(microseconds=max(0, container.duration or 0))

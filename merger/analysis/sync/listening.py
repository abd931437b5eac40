"""The sound of a file as few samples on the clock of a record; runs in a reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from merger.analysis.sync.loudness import SAMPLE_RATE
from merger.media.container import channel_count, explain_failure, open_container, seek
from merger.timeline.media import MediaFile

_SAMPLE_BYTES = 2
_MARGIN_US = 500_000  # a decoder needs a packet or two to get going


@dataclass(frozen=True)
class Piece:
    """A stretch of one sound stream of a file, and where it lies among the samples of a record.

    rate: seconds of wall clock per second of the file.
    """

    stream: int
    start_us: int
    end_us: int
    first: int
    rate: Fraction

    def sample(self, at_us: Fraction | int) -> int:
        """Return the number of the sample at a time of the file."""
        return self.first + round((at_us - self.start_us) * self.rate * SAMPLE_RATE / 1_000_000)


class SampleFile:
    """The samples of a file: no more of them are in memory than are looked at."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = path.stat().st_size // _SAMPLE_BYTES

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, wanted: slice) -> npt.NDArray[np.int16]:
        first, end, _ = wanted.indices(self._count)
        count = max(0, end - first)
        return np.fromfile(self._path, np.int16, count, offset=first * _SAMPLE_BYTES)


def write_samples(media: MediaFile, pieces: Sequence[Piece], target: Path) -> int:
    """Write the sound of a file into a file of samples, and return how many.

    What cannot be decoded stays silent: whoever encodes it will say what is wrong with it.

    Args:
        target: 16-bit samples, mono, as many as the record has; only those of the pieces change.
    """
    written = 0
    length = target.stat().st_size // _SAMPLE_BYTES
    try:
        with target.open("r+b") as file, open_container(media.path, media.demuxer) as container:
            for piece in pieces:
                begins, ends = max(0, piece.first), min(length, piece.sample(piece.end_us))
                for at, block in _decoded(container, media, piece):
                    first, end = max(begins, at), min(ends, at + len(block))
                    if first < end:
                        file.seek(first * _SAMPLE_BYTES)
                        written += file.write(block[first - at : end - at].tobytes())
    except av.FFmpegError as error:
        explain_failure(media, error)
    return written // _SAMPLE_BYTES


def _decoded(
    container: Any, media: MediaFile, piece: Piece
) -> Iterator[tuple[int, npt.NDArray[np.int16]]]:
    """Yield the sound of a piece, each block with the number of its first sample."""
    stream = container.streams[piece.stream]
    if stream.time_base is None:
        return
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    begins_us = max(piece.start_us - _MARGIN_US, media.zero_us)
    seek(container, stream, media, round(begins_us / stream.time_base / 1_000_000))
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue
        for frame in frames:
            if frame.pts is None or not frame.samples:
                continue
            channel_count(frame)  # keeps what PyAV would free twice
            for made in resampler.resample(frame):
                if made.pts is None or made.time_base is None:
                    continue
                at_us = made.pts * made.time_base * 1_000_000
                if at_us >= piece.end_us:
                    return
                yield piece.sample(at_us), _samples_of(made)


def _samples_of(frame: av.AudioFrame) -> npt.NDArray[np.int16]:
    return np.frombuffer(memoryview(frame.planes[0]), np.int16, frame.samples)

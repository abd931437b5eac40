"""Checking outputs: what a file must hold to be accepted, found by reading every packet of it.

ffmpeg ends with 0 and a wrong video after a truncated input, a killed source or a full disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from merger.i18n import Message
from merger.isolation import reader
from merger.isolation.reader import Unreadable
from merger.media.container import open_container
from merger.timeline.layout import Size
from merger.timeline.profiles import SAMPLE_RATE, Codec

# The sound ends with a packet that is filled up, and one of encoder delay.
_SOUND_TOLERANCE = 2 * 1024


@dataclass(frozen=True)
class Expected:
    """What the plan says of an output. frames or samples of 0: no such stream."""

    frames: int = 0
    rate: Fraction = Fraction(25)
    size: Size | None = None
    codec: Codec = "h264"
    samples: int = 0
    moov_in_front: bool = False


def find_mismatch(path: Path, expected: Expected) -> list[Message]:
    """Read every packet of an output; return all that is not as expected: nothing if accepted."""
    try:
        return reader.call(_read_and_compare, path, expected)
    except (Unreadable, OSError) as error:
        return [Message("media.output_unreadable", why=str(error))]


def _read_and_compare(path: Path, expected: Expected) -> list[Message]:
    try:
        with open_container(path, "mov") as container:
            return _mismatches(path, container, expected)
    except av.FFmpegError as error:
        return [Message("media.output_unreadable", why=str(error))]


def has_same_codec_header(paths: Sequence[Path]) -> bool:
    """Return whether files can be joined by copying: their codec parameters are the same."""
    try:
        return reader.call(_compare_codec_headers, list(paths))
    except Unreadable:
        return False


def _compare_codec_headers(paths: list[Path]) -> bool:
    headers = set()
    for path in paths:
        with open_container(path, "mov") as container:
            headers.add(container.streams.video[0].codec_context.extradata)
    return len(headers) <= 1


def _mismatches(
    path: Path, container: av.container.InputContainer, expected: Expected
) -> list[Message]:
    wrong: list[Message] = []
    counts = (len(container.streams.video), len(container.streams.audio))
    promised = (int(bool(expected.frames)), int(bool(expected.samples)))
    if counts != promised:
        return [
            Message(
                "media.streams",
                video=counts[0],
                audio=counts[1],
                expected_video=promised[0],
                expected_audio=promised[1],
            )
        ]
    times: list[int] = []
    heard: list[tuple[int, int]] = []
    corrupt = 0
    starts_with_key = True
    for packet in container.demux():
        if packet.size == 0 or packet.pts is None:
            continue
        corrupt += packet.is_corrupt
        if packet.stream.type == "audio":
            heard.append((packet.pts, packet.duration or 0))
            continue
        if packet.stream.type != "video":  # the names of chapters
            continue
        if not times:
            starts_with_key = packet.is_keyframe
        times.append(packet.pts)
    if corrupt:
        wrong.append(Message("media.corrupt_packets", count=corrupt))
    if expected.frames:
        stream = container.streams.video[0]
        context = stream.codec_context
        size = expected.size
        if size and (context.width, context.height) != (size.width, size.height):
            wrong.append(
                Message(
                    "media.wrong_size",
                    found=f"{context.width}x{context.height}",
                    expected=f"{size.width}x{size.height}",
                )
            )
        if context.pix_fmt not in ("yuv420p", "yuvj420p"):
            wrong.append(Message("media.wrong_pixels", found=str(context.pix_fmt)))
        if not _is_codec(context.name, expected.codec):
            wrong.append(Message("media.wrong_codec", found=context.name, expected=expected.codec))
        if not starts_with_key:
            wrong.append(Message("media.no_key_frame_first"))
        wrong += _grid_mismatches(times, stream.time_base or Fraction(1), expected)
    if expected.samples:
        wrong += _sound_mismatches(heard, container.streams.audio[0], expected.samples)
    if expected.moov_in_front and not has_moov_in_front(path):
        wrong.append(Message("media.index_not_in_front"))
    return wrong


def _is_codec(name: str, codec: Codec) -> bool:
    return "av1" in name if codec == "av1" else name == "h264"


def _grid_mismatches(times: list[int], base: Fraction, expected: Expected) -> list[Message]:
    if len(times) != expected.frames:
        return [Message("media.frames", count=len(times), expected=expected.frames)]
    ticks = 1 / (base * expected.rate)
    if ticks.denominator != 1:
        return [Message("media.time_base", base=str(base), rate=str(expected.rate))]
    grid = np.arange(len(times), dtype=np.int64) * int(ticks)
    off = int(np.count_nonzero(np.sort(np.array(times, np.int64)) != grid))
    return [Message("media.off_grid", count=off)] if off else []


def _sound_mismatches(heard: list[tuple[int, int]], stream: object, samples: int) -> list[Message]:
    base = getattr(stream, "time_base", None) or Fraction(1, SAMPLE_RATE)
    if not heard:
        return [Message("media.no_sound")]
    starts = np.array([h[0] for h in heard], np.int64)
    ends = starts + np.array([h[1] for h in heard], np.int64)
    wrong: list[Message] = []
    if np.any(np.abs(starts[1:] - ends[:-1]) * float(base) > 0.002):
        wrong.append(Message("media.sound_holes"))
    lasts = round(int(ends[-1]) * base * SAMPLE_RATE)
    if abs(lasts - samples) > _SOUND_TOLERANCE or int(starts[0]) * base * SAMPLE_RATE > 1:
        wrong.append(Message("media.sound_length", samples=lasts, expected=samples))
    return wrong


def has_moov_in_front(path: Path) -> bool:
    """Return whether an MP4's index comes before its media, so that playing begins at once."""
    with path.open("rb") as file:
        while len(head := file.read(16)) >= 8:
            size, kind = int.from_bytes(head[:4]), head[4:8]
            if kind in (b"moov", b"mdat"):
                return kind == b"moov"
            if size == 1:
                size = int.from_bytes(head[8:16])
            if size < 8:
                return False
            file.seek(size - len(head), 1)
    return False

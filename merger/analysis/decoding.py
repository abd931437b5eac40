"""Pictures of a file, decoded: those that are wanted, and as little else as can be.

Runs in a reader: `merger.isolation.reader`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import groupby
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.frame import VideoFrame

from merger.analysis.standard_colours import in_standard_colours
from merger.analysis.targets import Target
from merger.media.container import check_readable, explain_failure, open_container, seek
from merger.timeline.media import MAX_PIXELS, MediaFile

Plane = npt.NDArray[np.uint8]


def sample_targets(
    file: MediaFile, wanted: Sequence[Target]
) -> Iterator[tuple[Target, VideoFrame]]:
    """Decode some pictures of a file, by seeking, in the colours of BT.709.

    One that cannot be decoded is left out.

    Those after the same key frame that come one after another are decoded in one go.

    Raises:
        Temporary, Broken: the file cannot be read, which says nothing of its pictures.
    """
    assert file.video is not None
    seen = 0
    try:
        with open_container(file.path, file.demuxer) as container:
            stream = cast(Any, container.streams[file.video.stream])
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
            for (_, is_key), group in groupby(wanted, lambda t: (t.key, _is_key(file, t))):
                decode = _decode_keys if is_key else _decode_forward
                for target, frame in decode(container, stream, file, list(group)):
                    seen += 1
                    yield target, in_standard_colours(frame, file.video)
    except av.FFmpegError as error:
        explain_failure(file, error)
    if seen < len(wanted):
        check_readable(file)


def decode_from(file: MediaFile, start_us: int, until_us: int) -> Iterator[tuple[int, VideoFrame]]:
    """Decode every picture of a file between two times, both included, in the colours of BT.709.

    Begins with a key frame from which the first is right; what cannot be decoded is left out.

    Raises:
        Temporary, Broken: the file cannot be read, which says nothing of its pictures.
    """
    assert file.video is not None
    key = file.key_before(start_us) or 0
    try:
        with open_container(file.path, file.demuxer) as container:
            stream = cast(Any, container.streams[file.video.stream])
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
            _seek(container, stream, file, Target(str(file.path), key, start_us))
            for packet in container.demux(stream):
                for frame in _decode_packet(packet):
                    if frame.pts is None:
                        continue
                    at_us = round(frame.pts * stream.time_base * 1_000_000)
                    if at_us > until_us:
                        return
                    if at_us >= start_us:
                        yield at_us, in_standard_colours(frame, file.video)
    except av.FFmpegError as error:
        explain_failure(file, error)


def _is_key(file: MediaFile, target: Target) -> bool:
    return bool(len(file.key_us)) and int(file.key_us[target.key]) == target.at_us


def _decode_keys(
    container: InputContainer, stream: Any, file: MediaFile, wanted: Sequence[Target]
) -> Iterator[tuple[Target, VideoFrame]]:
    for target in wanted:
        frame = _decode_key(container, stream, file, target)
        if frame is not None:
            yield target, frame


def _decode_key(
    container: InputContainer, stream: Any, file: MediaFile, target: Target
) -> VideoFrame | None:
    # After a flush nothing but the key frame has been sent: it comes out without waiting for
    # pictures that would be shown before it.
    stream.codec_context.skip_frame = "NONKEY"
    base = stream.time_base
    try:
        _seek(container, stream, file, target)
        for packet in container.demux(stream):
            pts = packet.pts if packet.pts is not None else packet.dts
            if pts is None:
                break
            if not packet.is_keyframe or pts < _ticks(target.at_us, base) - 1:
                continue
            frames = [*packet.decode(), *stream.codec_context.decode(None)]
            return cast(Any, frames[0]) if frames else None
    except av.FFmpegError as error:
        explain_failure(file, error)
    return None


def _decode_forward(
    container: InputContainer, stream: Any, file: MediaFile, wanted: Sequence[Target]
) -> Iterator[tuple[Target, VideoFrame]]:
    """Decode from a key frame on, and yield what is shown at each of some times after it."""
    stream.codec_context.skip_frame = "DEFAULT"
    waiting = deque(wanted)
    shown: VideoFrame | None = None
    try:
        _seek(container, stream, file, waiting[0])
        for packet in container.demux(stream):
            for frame in _decode_packet(packet):
                if frame.pts is None:
                    continue
                at_us = frame.pts * stream.time_base * 1_000_000
                while waiting and at_us > waiting[0].at_us:
                    yield waiting.popleft(), shown or frame
                if not waiting:
                    return
                shown = frame
    except av.FFmpegError as error:
        explain_failure(file, error)
        return
    if shown is not None:  # the last picture of the file
        yield from ((target, shown) for target in waiting)


def _decode_packet(packet: Any) -> list[VideoFrame]:
    """Decode a packet; a broken one is one picture less."""
    try:
        return cast(list[VideoFrame], packet.decode())
    except av.FFmpegError:
        return []


def _seek(container: InputContainer, stream: Any, file: MediaFile, target: Target) -> None:
    read_us = int(file.key_read_us[target.key]) if len(file.key_us) else target.at_us
    seek(container, stream, file, _ticks(read_us, stream.time_base) + 1)


def _ticks(us: int, base: Fraction) -> int:
    return round(Fraction(us, 1_000_000) / base)


def planes(frame: VideoFrame) -> tuple[Plane, tuple[Plane, Plane] | None]:
    """Return luma (H, W) and the two chroma planes, or None for grey, of a picture.

    8-bit arrays, without copying where it is so stored.
    """
    name = frame.format.name
    if name == "gray":
        return _plane(frame, 0), None
    if not (name.startswith(("yuv4", "yuvj4")) and name[-1] == "p"):  # 10 bit, RGB, NV12 …
        frame = frame.reformat(format="yuv420p")
    return _plane(frame, 0), (_plane(frame, 1), _plane(frame, 2))


def _plane(frame: VideoFrame, n: int) -> Plane:
    plane = frame.planes[n]
    rows = np.frombuffer(memoryview(plane), np.uint8)[: plane.height * plane.line_size]
    return rows.reshape(plane.height, plane.line_size)[:, : plane.width]

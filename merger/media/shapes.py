"""Where in a transport stream the shape of the pictures changes, found without decoding all of it.

The headers that stand before a key frame say it. Only key frames whose headers are others than
those before are decoded. (In the other containers the header of the file holds for all of it; a
size that changes nevertheless is followed by the filters.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from merger.timeline.media import MAX_PIXELS

_LOOKED_AT = 4096  # bytes of a key frame: enough for what stands before its picture
_START = re.compile(b"\x00\x00\x01")
_ORIENTATION = 47  # of the messages (SEI) of H.264 and HEVC


@dataclass(frozen=True)
class Change:
    """A key frame with other headers than those before: when it is shown, what came out of it."""

    pts: int
    picture: VideoFrame
    pixel_aspect: Fraction
    is_oriented: bool  # it says how it is to be turned; else that stays as it was


class ShapeWatch:
    """Watches the key frames of a stream, and keeps those with which its shape may change."""

    def __init__(self, stream: Any) -> None:
        self.changes: list[Change] = []
        self._codec = stream.codec_context.name if stream is not None else ""
        self._shape = self._orientation = b""

    def look(self, packet: Any, pts: int) -> None:
        """Look at a key frame."""
        shape, orientation = headers_of(self._codec, bytes(memoryview(packet)[:_LOOKED_AT]))
        # What is not repeated goes on.
        known = self._shape, self._orientation
        found = shape or self._shape, orientation or self._orientation
        if found == known:
            return
        if self._shape:  # the first shape is that of the first picture
            decoded = _decode(self._codec, bytes(packet))
            if decoded is None:
                return
            self.changes.append(Change(pts, *decoded, bool(orientation)))
        self._shape, self._orientation = found


def headers_of(codec: str, data: bytes) -> tuple[bytes, bytes]:
    """Return what a key frame says of the size of pictures, and of how they are to be turned."""
    kept = _KEPT.get(codec)
    units = [unit.rstrip(b"\x00") for unit in _START.split(data)[1:]] if kept else []
    found = [kept(unit) for unit in units if unit] if kept else []
    return b"".join(shape for shape, _ in found), b"".join(turned for _, turned in found)


def _kept_of_h264(unit: bytes) -> tuple[bytes, bytes]:
    kind = unit[0] & 31
    return unit if kind == 7 else b"", _orientation(unit[1:]) if kind == 6 else b""


def _kept_of_hevc(unit: bytes) -> tuple[bytes, bytes]:
    kind = unit[0] >> 1 & 63
    return unit if kind == 33 else b"", _orientation(unit[2:]) if kind == 39 else b""


def _kept_of_mpeg2(unit: bytes) -> tuple[bytes, bytes]:
    if unit[0] == 0xB3:
        return unit[:5], b""  # size, aspect and rate; then comes the bit rate, which may vary
    is_extension = unit[0] == 0xB5 and len(unit) > 1 and unit[1] >> 4 in (1, 2)
    return unit if is_extension else b"", b""


def _orientation(messages: bytes) -> bytes:
    """Return the message of how a picture is to be turned, out of several messages."""
    for kind, message in _messages(messages):
        if kind == _ORIENTATION:
            return message
    return b""


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 1 < len(data):
        kind, at, length = data[at], at + 1, 0
        while at < len(data) - 1 and data[at] == 255:
            length, at = length + 255, at + 1
        length, at = length + data[at], at + 1
        yield kind, data[at : at + length]
        at += length


_KEPT: Mapping[str, Callable[[bytes], tuple[bytes, bytes]]] = {
    "h264": _kept_of_h264,
    "hevc": _kept_of_hevc,
    "mpeg1video": _kept_of_mpeg2,
    "mpeg2video": _kept_of_mpeg2,
}


def _decode(codec: str, data: bytes) -> tuple[VideoFrame, Fraction] | None:
    context = cast(VideoCodecContext, av.CodecContext.create(codec, "r"))
    context.options = {"max_pixels": str(MAX_PIXELS)}
    try:
        frames = [*context.decode(av.Packet(data)), *context.decode(None)]
    except av.FFmpegError:
        return None
    return (frames[0], Fraction(context.sample_aspect_ratio or 1)) if frames else None

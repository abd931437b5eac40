"""Where in a transport stream the shape of the pictures changes, found without decoding all of it.

The headers that stand before a key frame say it. Only key frames whose headers are others than
those before are decoded. (In the other containers the header of the file holds for all of it; a
size that changes nevertheless is followed by the filters.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import av
from av.video.codeccontext import VideoCodecContext

from merger.media.colour import colours_of, matrix_of
from merger.media.recovery import sei_payload
from merger.timeline.media import MAX_PIXELS

_LOOKED_AT = 4096  # bytes of a key frame: enough for what stands before its picture
_MOST_DECODED = 200  # key frames of a file; what changes more often is broken
_START = re.compile(b"\x00\x00\x01")
_ORIENTATION = 47  # of the messages (SEI) of H.264 and HEVC


@dataclass(frozen=True)
class Change:
    """A key frame with other headers than those before: when it is shown, what it looks like."""

    pts: int
    look: dict[str, Any]
    is_oriented: bool  # it says how it is to be turned; else that stays as it was


class ShapeWatch:
    """Watches the key frames of a stream, and keeps those with which its shape may change."""

    def __init__(self, stream: Any) -> None:
        self.changes: list[Change] = []
        self._codec = stream.codec_context.name if stream is not None else ""
        self._shape = self._orientation = b""
        self._decoded = 0

    def look(self, packet: Any, pts: int) -> None:
        """Look at a key frame."""
        shape, orientation = headers_of(self._codec, bytes(memoryview(packet)[:_LOOKED_AT]))
        # What is not repeated goes on.
        known = self._shape, self._orientation
        found = shape or self._shape, orientation or self._orientation
        if found == known:
            return
        if self._shape:  # the first shape is that of the first picture
            if self._decoded == _MOST_DECODED:
                return
            self._decoded += 1
            look = _decode(self._codec, bytes(packet))
            if look is None:
                return
            self.changes.append(Change(pts, look, bool(orientation)))
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
    return sei_payload(messages, _ORIENTATION) or b""


_KEPT: Mapping[str, Callable[[bytes], tuple[bytes, bytes]]] = {
    "h264": _kept_of_h264,
    "hevc": _kept_of_hevc,
    "mpeg1video": _kept_of_mpeg2,
    "mpeg2video": _kept_of_mpeg2,
}


def look_of(picture: Any, pixel_aspect: Fraction | None) -> dict[str, Any]:
    """Return what a picture says of itself, as fields of `Video`."""
    is_possible = pixel_aspect is not None and Fraction(1, 8) <= pixel_aspect <= 8
    return {
        "width": picture.width,
        "height": picture.height,
        "pixel_aspect": Fraction(pixel_aspect) if pixel_aspect and is_possible else Fraction(1),
        "rotation": round(picture.rotation / 90) % 4 * 90,
        "pixel_format": picture.format.name,
        "full_range": int(picture.color_range) == 2 or picture.format.name.startswith("yuvj"),
        "matrix": matrix_of(picture),
        "interlaced": bool(picture.interlaced_frame),
        "colours": colours_of(picture),
    }


def _decode(codec: str, data: bytes) -> dict[str, Any] | None:
    context = cast(VideoCodecContext, av.CodecContext.create(codec, "r"))
    context.options = {"max_pixels": str(MAX_PIXELS)}
    try:
        frames = [*context.decode(av.Packet(data)), *context.decode(None)]
    except av.FFmpegError:
        return None
    return look_of(frames[0], context.sample_aspect_ratio) if frames else None

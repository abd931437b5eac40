"""A picture of a file, without reading all of it: for somebody who waits, and for lists."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import av.video.frame
import av.video.stream

from merger.analysis.jpeg import encode_shown
from merger.media.container import Header, open_container, read_header
from merger.timeline.layout import Size

_LARGEST = Size(640, 640)
_SMALL = Size(384, 216)  # twice what a list shows
_FROM_END_US = 2_000_000


def glance_at(path: Path) -> bytes | None:
    """Return a picture near the end of a file, else its first, as a JPEG; runs in a reader.

    None where no picture can be decoded.

    Raises:
        OSError: the file itself cannot be read.
    """
    header = read_header(path)
    if header is None or not header.has_pictures:
        return None
    from_end_us = max(0, header.length_us - _FROM_END_US)
    return _picture_at(path, header, from_end_us, _LARGEST) or _picture_at(
        path, header, 0, _LARGEST
    )


def small_picture(path: Path, share: float) -> bytes | None:
    """Return a key frame near a share of a video, as a small JPEG; runs in a reader.

    None where no picture can be decoded.

    Raises:
        OSError: the file itself cannot be read.
    """
    header = read_header(path)
    if header is None or not header.has_pictures:
        return None
    return _picture_at(path, header, int(header.length_us * share), _SMALL)


def _picture_at(path: Path, header: Header, at_us: int, largest: Size) -> bytes | None:
    try:
        with open_container(path, header.demuxer) as container:
            stream = container.streams.video[0]
            if at_us:
                container.seek((container.start_time or 0) + at_us)
            for frame in container.decode(stream):
                return _jpeg(frame, stream, largest)
    except (av.FFmpegError, ValueError):
        pass
    return None


def _jpeg(
    frame: av.video.frame.VideoFrame, stream: av.video.stream.VideoStream, largest: Size
) -> bytes:
    pixel = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
    aspect = Fraction(frame.width, frame.height) * pixel
    rotation = frame.rotation % 360 // 90 * 90
    return encode_shown(frame, float(1 / aspect if rotation % 180 else aspect), rotation, largest)

"""What key frames of a stream hold: the form of its pictures, and the picture itself as a JPEG."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import av
import av.video.codeccontext
import av.video.frame

_WIDEST = 640  # of a picture for people to recognise a room by
_SPS = {"h264": (0x1F, 0, 7), "hevc": (0x7E, 1, 33)}  # mask, shift, type of its first byte
_START = re.compile(rb"\x00\x00\x01")


def parameter_sets(codec: str, packet: bytes) -> bytes:
    """Return what a key frame says about the size and form of all pictures; b"" where nothing."""
    if codec not in _SPS:
        return b""
    mask, shift, kind = _SPS[codec]
    starts = [match.end() for match in _START.finditer(packet)]
    found = []
    for n, begins in enumerate(starts):
        ends = starts[n + 1] - 3 if n + 1 < len(starts) else len(packet)
        if begins < len(packet) and (packet[begins] & mask) >> shift == kind:
            found.append(packet[begins:ends].rstrip(b"\x00"))
    return b"".join(dict.fromkeys(found))


def jpeg_of(codec: Any, packet: bytes) -> bytes | None:
    """Return a key frame as a JPEG, at most 640 pixels wide; None where it cannot be decoded.

    codec: the context of its stream, for which a fresh decoder is created.
    """
    try:
        decoder = av.CodecContext.create(codec.name, "r")
        assert isinstance(decoder, av.video.codeccontext.VideoCodecContext)
        decoder.thread_count = 1
        if codec.extradata:
            decoder.extradata = codec.extradata
        frames = [*decoder.decode(av.Packet(packet)), *decoder.decode(None)]
        return _jpeg(frames[0]) if frames else None
    except (av.FFmpegError, ValueError):
        return None


def _jpeg(frame: av.video.frame.VideoFrame) -> bytes:
    width = min(_WIDEST, frame.width) // 2 * 2
    height = max(2, round(frame.height * width / frame.width) // 2 * 2)
    small = frame.reformat(width, height, "yuvj420p")
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, av.video.codeccontext.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    small.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)])

"""How large an image is, from its header: so that one too large is never decoded. Pure."""

from __future__ import annotations

from collections.abc import Callable

Shape = tuple[int, int]  # width and height, in pixels

# Markers of JPEG that begin a frame: C4, C8 and CC in between are tables.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))  # without a length


def image_size(data: bytes) -> Shape | None:
    """Return the size of an image; None unless it is a PNG, JPEG, BMP, GIF or WebP."""
    for start, measure in _KINDS:
        if data.startswith(start):
            return measure(data)
    return None


def _png(data: bytes) -> Shape | None:
    if len(data) < 24 or data[12:16] != b"IHDR":
        return None
    return _big(data[16:20]), _big(data[20:24])


def _jpeg(data: bytes) -> Shape | None:
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # one of any number that fill up
            at += 1
        elif marker in _ALONE:
            at += 2
        elif marker in _FRAMES:
            return _big(data[at + 7 : at + 9]), _big(data[at + 5 : at + 7])
        else:
            at += 2 + _big(data[at + 2 : at + 4])
    return None


def _bmp(data: bytes) -> Shape | None:
    if len(data) < 26:
        return None
    if _little(data[14:18]) == 12:  # of OS/2
        return _little(data[18:20]), _little(data[20:22])
    width, height = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (18, 22))
    return abs(width), abs(height)  # a negative height is of rows from the top


def _gif(data: bytes) -> Shape | None:
    return (_little(data[6:8]), _little(data[8:10])) if len(data) >= 10 else None


def _webp(data: bytes) -> Shape | None:
    if len(data) < 30 or data[8:12] != b"WEBP":
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + _little(data[24:27]), 1 + _little(data[27:30])
    if kind == b"VP8L":
        bits = _little(data[21:25])
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        return _little(data[26:28]) & 0x3FFF, _little(data[28:30]) & 0x3FFF
    return None


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")


_KINDS: tuple[tuple[bytes, Callable[[bytes], Shape | None]], ...] = (
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"\xff\xd8", _jpeg),
    (b"BM", _bmp),
    (b"GIF8", _gif),
    (b"RIFF", _webp),
)

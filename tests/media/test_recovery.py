"""Recovery points: how many pictures after a key frame's packet all is right."""

from __future__ import annotations

import pytest

from merger.media.recovery import pictures_until_recovery

pytestmark = pytest.mark.quick

AVCC = bytes([1, 100, 0, 31, 0xFF, 0xE1])  # units with lengths of four bytes
HVCC = bytes([1, *[0] * 20, 0xFF, 3])


def golomb(value: int) -> bytes:
    """Return an unsigned Exp-Golomb code, with the bits after it that end the message."""
    bits = f"{value + 1:b}"
    bits = "0" * (len(bits) - 1) + bits + "1"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8)


def sei(payload: bytes, kind: int = 6, before: bytes = b"") -> bytes:
    return b"\x06" + before + bytes([kind, len(payload)]) + payload + b"\x80"


def with_start_codes(*units: bytes) -> bytes:
    return b"".join(b"\x00\x00\x00\x01" + unit for unit in units)


def with_lengths(*units: bytes) -> bytes:
    return b"".join(len(unit).to_bytes(4) + unit for unit in units)


SLICE, IDR, PARAMETERS, DELIMITER = b"\x41slice", b"\x65slice", b"\x67sps", b"\x09\xf0"
OTHER = bytes([5, 3]) + b"xyz"  # a message of an encoder's own, in the same unit


@pytest.mark.parametrize(
    ("units", "pictures"),
    [
        ((DELIMITER, PARAMETERS, sei(golomb(49)), SLICE), 49),
        ((sei(golomb(0)), SLICE), 0),  # an open group of pictures
        ((sei(golomb(249), before=OTHER), SLICE), 249),
        ((sei(golomb(300)), SLICE), 300),
        ((sei(b"abc", kind=5), sei(golomb(12)), SLICE), 12),
        ((PARAMETERS, IDR), 0),
        ((IDR, sei(golomb(7))), 0),  # said of another picture
        ((SLICE,), 0),
        ((sei(b""), SLICE), 0),
        ((b"\x06", b""), 0),
        ((b"\x06\xff\xff\xff",), 0),
    ],
)
def test_recovery_of_h264(units: tuple[bytes, ...], pictures: int) -> None:
    assert pictures_until_recovery("h264", None, with_start_codes(*units)) == pictures
    assert pictures_until_recovery("h264", AVCC, with_lengths(*units)) == pictures


def test_bytes_that_keep_start_codes_apart_are_not_read() -> None:
    payload = golomb((1 << 16) - 1)[:2] + b"\x03" + golomb((1 << 16) - 1)[2:]
    assert payload.startswith(b"\x00\x00\x03")
    assert pictures_until_recovery("h264", None, with_start_codes(sei(payload), SLICE)) == 65535


@pytest.mark.parametrize(("code", "pictures"), [(golomb(2 * 20 - 1), 20), (golomb(2 * 3), 3)])
def test_recovery_of_h265_is_counted_with_a_sign(code: bytes, pictures: int) -> None:
    message = bytes([39 << 1, 1, 6, len(code)]) + code
    cut = bytes([1 << 1, 1]) + b"slice"
    assert pictures_until_recovery("hevc", None, with_start_codes(message, cut)) == pictures
    assert pictures_until_recovery("hevc", HVCC, with_lengths(message, cut)) == pictures
    whole = bytes([19 << 1, 1]) + b"slice"
    assert pictures_until_recovery("hevc", HVCC, with_lengths(whole, message)) == 0


@pytest.mark.parametrize("codec", ["vp9", "av1", "mpeg4", "mpeg2video"])
def test_other_codecs_have_none(codec: str) -> None:
    assert pictures_until_recovery(codec, None, with_start_codes(sei(golomb(9)), SLICE)) == 0

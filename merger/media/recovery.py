"""After which key frames pictures are right only later: recovery points of H.264 and H.265. Pure.

Encoders for little delay refresh the picture in strips instead of by whole key frames. Containers
call the places where a refresh begins key frames all the same; the stream itself says how many
pictures later all is refreshed (ITU-T H.264 D.2.8, H.265 D.3.8: the SEI message "recovery point").
"""

from __future__ import annotations

from collections.abc import Iterator

_RECOVERY_POINT = 6  # the payload type, of both codecs
_MOST_PICTURES = 1 << 16


def pictures_until_recovery(codec: str, extradata: bytes | None, packet: bytes) -> int:
    """Return how many pictures after a key frame's packet pictures are right again; 0: at once.

    Args:
        codec: FFmpeg's name of it.
        extradata: of the stream, which says how its packets are divided.
    """
    if codec not in ("h264", "hevc"):
        return 0
    is_h264 = codec == "h264"
    header = 1 if is_h264 else 2
    for unit in _units(packet, _size_of_lengths(extradata, is_h264=is_h264)):
        if len(unit) <= header:
            continue
        kind = unit[0] & 0x1F if is_h264 else unit[0] >> 1 & 0x3F
        if kind == (6 if is_h264 else 39):
            payload = sei_payload(unit[header:], _RECOVERY_POINT)
            if payload is not None:
                return min(abs(_first_number(payload, is_signed=not is_h264)), _MOST_PICTURES)
        elif kind <= (5 if is_h264 else 31):  # a slice: what is said of it came before
            return 0
    return 0


def _size_of_lengths(extradata: bytes | None, *, is_h264: bool) -> int:
    """Return of how many bytes the length in front of each unit is; 0: units have start codes."""
    at = 4 if is_h264 else 21
    if not extradata or len(extradata) <= at or extradata[0] != 1:
        return 0
    return (extradata[at] & 3) + 1


def _units(packet: bytes, size: int) -> Iterator[bytes]:
    """Yield the units of a packet."""
    if not size:
        parts = packet.split(b"\x00\x00\x01")
        yield from parts[1:]
        return
    at = 0
    while at + size <= len(packet):
        length = int.from_bytes(packet[at : at + size])
        yield packet[at + size : at + size + length]
        at += size + length


def sei_payload(messages: bytes, wanted: int) -> bytes | None:
    """Return the payload of a type out of SEI messages."""
    data = messages.replace(b"\x00\x00\x03", b"\x00\x00")
    at = 0
    while at + 2 < len(data):
        kind, at = _sum_of_bytes(data, at)
        length, at = _sum_of_bytes(data, at)
        if kind == wanted:
            return data[at : at + length]
        at += length
    return None


def _sum_of_bytes(data: bytes, at: int) -> tuple[int, int]:
    total = 0
    while at < len(data):
        total += data[at]
        at += 1
        if data[at - 1] != 0xFF:
            break
    return total, at


def _first_number(payload: bytes, *, is_signed: bool) -> int:
    """Return the Exp-Golomb code that a payload begins with; 0 for none."""
    bits = "".join(f"{byte:08b}" for byte in payload[:9])
    zeros = len(bits) - len(bits.lstrip("0"))
    code = bits[zeros : 2 * zeros + 1]
    if len(code) <= zeros:
        return 0
    value = int(code, 2) - 1
    if not is_signed:
        return value
    return (value + 1) // 2 if value % 2 else -(value // 2)

"""Transport streams whose pictures and sound go on under other numbers (PIDs): one number each.

A recorder that begins anew, or another program on the same input, announces new numbers in the
middle of a file. Demuxers go on reading the old ones alone, of which nothing comes any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

_PACKET = 188
_NOTHING = 0x1FFF  # the PID of packets without content
_CHUNK = 188 * 65_536
_MOST_CHANGES = 20  # of a recorder that began anew, in half an hour
_VIDEO = {0x01, 0x02, 0x10, 0x1B, 0x24}
_AUDIO = {0x03, 0x04, 0x0F, 0x11, 0x06, 0x81, 0x87}


Packets = npt.NDArray[np.uint8]
Streams = tuple[tuple[int, int], ...]  # type and PID of each


@dataclass
class _Programs:
    """What tables have announced so far."""

    tables: set[int] = field(default_factory=set)  # PIDs of tables of streams
    list: bytes = b""  # of programs, at first
    first: Streams = field(default_factory=tuple)
    known: Streams = field(default_factory=tuple)  # those of the newest table
    mapping: dict[int, int] = field(default_factory=dict)
    changes: int = 0


def changes_streams(path: Path) -> bool:
    """Return whether a transport stream announces other streams later than at first."""
    programs = _Programs()
    for packets in _chunks(path):
        numbers = _numbers(packets)
        tables = [0, *_tables_in(packets, numbers, programs)]
        for at in np.flatnonzero(np.isin(numbers, tables)).tolist():
            _announces_the_first(packets[at].tobytes(), programs)
    return 0 < programs.changes <= _MOST_CHANGES


def unify_streams(source: Path, target: Path) -> bool:
    """Write a transport stream in which pictures and sound keep the numbers that they began with.

    Returns whether there was anything to change; else there is no target.
    """
    programs = _Programs()
    changed = False
    with target.open("wb") as writing:
        for packets in _chunks(source):
            changed |= _map_chunk(packets, programs)
            writing.write(packets.tobytes())
    # Programs side by side announce themselves in turn: their streams must not be mixed.
    is_mended = changed and programs.changes <= _MOST_CHANGES
    if not is_mended:
        target.unlink()
    return is_mended


def _chunks(path: Path) -> Iterator[Packets]:
    """Yield the packets of a file in arrays of (n, 188) bytes, which may be changed."""
    with path.open("rb") as file:
        file.seek(_first_sync(file.read(_PACKET * 4)))
        while data := file.read(_CHUNK):
            whole = len(data) // _PACKET * _PACKET
            yield np.frombuffer(bytearray(data[:whole]), np.uint8).reshape(-1, _PACKET)


def _numbers(packets: Packets) -> npt.NDArray[np.int32]:
    return (packets[:, 1].astype(np.int32) & 0x1F) << 8 | packets[:, 2]


def _first_sync(head: bytes) -> int:
    for at in range(_PACKET):
        if len(head) > at + 2 * _PACKET and all(head[at + n * _PACKET] == 0x47 for n in range(3)):
            return at
    return 0


def _map_chunk(packets: Packets, programs: _Programs) -> bool:
    """Give packets their first numbers, in place; return whether any was changed."""
    numbers = _numbers(packets)
    changed, begun = False, 0
    tables = [0, *_tables_in(packets, numbers, programs)]
    announcing = np.flatnonzero(np.isin(numbers, tables)).tolist()
    for at in [*announcing, len(packets)]:
        for old, new in programs.mapping.items():
            rows = begun + np.flatnonzero(numbers[begun:at] == old)
            packets[rows, 1] = packets[rows, 1] & 0xE0 | new >> 8
            packets[rows, 2] = new & 0xFF
            changed |= bool(len(rows))
        begun = at
        if at < len(packets) and not _announces_the_first(packets[at].tobytes(), programs):
            packets[at, 1], packets[at, 2] = _NOTHING >> 8, _NOTHING & 0xFF
    return changed


def _announces_the_first(packet: bytes, programs: _Programs) -> bool:
    """Take note of what a table announces; return whether that is what was announced at first."""
    if section := _section(packet, 0x00):
        programs.list = programs.list or section
        return section == programs.list
    streams = tuple(_streams_in(packet))
    programs.first = programs.first or streams
    if streams and streams != programs.known:
        programs.changes += bool(programs.known)
        programs.known = streams
        programs.mapping = _mapping(streams, programs.first)
    return programs.known == programs.first


def _tables_in(packets: Packets, numbers: npt.NDArray[np.int32], programs: _Programs) -> list[int]:
    """Return the PIDs of the tables that the lists of programs announce."""
    for at in np.flatnonzero(numbers == 0).tolist():
        section = _section(packets[at].tobytes(), 0x00)
        for n in range(8, len(section) - 4, 4):
            if any(section[n : n + 2]):  # else it is about the network
                programs.tables.add(int.from_bytes(section[n + 2 : n + 4]) & 0x1FFF)
    return sorted(programs.tables)


def _streams_in(packet: bytes) -> Iterator[tuple[int, int]]:
    """Yield type and PID of the streams that a packet's table announces."""
    section = _section(packet, 0x02)
    if len(section) < 16:
        return
    at = 12 + (int.from_bytes(section[10:12]) & 0x0FFF)
    while at + 5 <= len(section) - 4:
        yield section[at], int.from_bytes(section[at + 1 : at + 3]) & 0x1FFF
        at += 5 + (int.from_bytes(section[at + 3 : at + 5]) & 0x0FFF)


def _section(packet: bytes, table: int) -> bytes:
    """Return the section of a table that begins in a packet and ends in it; empty for none."""
    if not packet[1] & 0x40:
        return b""
    at = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
    if at >= _PACKET:
        return b""
    at += 1 + packet[at]
    if at + 3 > _PACKET or packet[at] != table:
        return b""
    return packet[at : at + 3 + (int.from_bytes(packet[at + 1 : at + 3]) & 0x0FFF)]


def _mapping(streams: Streams, first: Streams) -> dict[int, int]:
    """Return which number each stream had at first: of the same kind, in order."""
    mapping = {}
    for kinds in (_VIDEO, _AUDIO):
        now = [one for one in streams if one[0] in kinds]
        then = [one for one in first if one[0] in kinds]
        for (kind, pid), (kind_then, pid_then) in zip(now, then, strict=False):
            if kind == kind_then and pid != pid_then:
                mapping[pid] = pid_then
    # A number that meant something else at first must not be taken for that.
    for kind, pid in streams:
        if pid not in mapping and (kind, pid) not in first and pid in {p for _, p in first}:
            mapping[pid] = _NOTHING
    return mapping

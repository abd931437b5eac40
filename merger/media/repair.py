"""Files whose clock jumps, or whose streams go on under other numbers: written anew by copy.

Whoever reads the copy (ffmpeg, samples, thumbnails) has one clock and one number for each stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.packet
from av.container import OutputContainer

from merger.media.container import open_container
from merger.media.transport import unify_streams
from merger.storage.files import disk_full, is_full
from merger.timeline.files.continuity import continuous

_US = 1_000_000
# A picture is not shown this much before or after it is decoded: its time is a stray one.
_MOST_REORDERED_US = 10 * _US


def repair(path: Path, demuxer: str, target: Path) -> None:
    """Write a file anew, with times that do not jump and streams that keep their numbers.

    Args:
        target: without an extension that means anything; the demuxer is found by its content.

    Raises:
        av.FFmpegError, ValueError: it cannot be done.
        Temporary: there is no room for the copy, which says nothing about the file.
    """
    source = path
    unified = target.with_name(f"unified-{target.name}")
    try:
        if demuxer == "mpegts" and unify_streams(path, unified):
            source = unified
        times = _mended_times(source, demuxer)
        _write(source, demuxer, target, times)
    except OSError as error:
        if is_full(error):
            raise disk_full(target.parent) from error
        raise
    finally:
        unified.unlink(missing_ok=True)


def _mended_times(path: Path, demuxer: str) -> dict[int, list[int]]:
    """Return the decoding times of all packets in microseconds, by stream."""
    raw: dict[int, list[int]] = {}
    with open_container(path, demuxer) as container:
        pictures = {stream.index for stream in container.streams.video}
        with suppress(av.FFmpegError, IndexError):  # what comes before is kept
            for packet in container.demux():
                if (at_us := _decoded_us(packet)) is not None:
                    raw.setdefault(packet.stream_index, []).append(at_us)
    mended: dict[int, list[int]] = {}
    steps: list[int] = []
    for index in sorted(raw, key=lambda index: index not in pictures):
        mended[index], taken = continuous(raw[index], steps)
        steps = steps or taken
    return mended


def _decoded_us(packet: av.packet.Packet[Any]) -> int | None:
    at = packet.dts if packet.dts is not None else packet.pts
    if at is None or packet.size == 0 or packet.time_base is None:
        return None
    return round(at * packet.time_base * _US)


def _write(path: Path, demuxer: str, target: Path, times: Mapping[int, list[int]]) -> None:
    # Matroska takes whatever MP4 holds, and times of any size.
    form = "mpegts" if demuxer == "mpegts" else "matroska"
    with open_container(path, demuxer) as source, av.open(str(target), "w", format=form) as copy:
        streams = {
            stream.index: copy.add_stream_from_template(stream)
            for stream in source.streams
            if stream.index in times and stream.type in ("video", "audio")
        }
        counts = dict.fromkeys(streams, 0)
        last: dict[int, int] = {}
        try:
            for packet in source.demux():
                number = packet.stream_index
                at_us = _decoded_us(packet)
                if at_us is None or number not in streams:
                    continue
                _mux(copy, packet, streams[number], times[number][counts[number]], at_us, last)
                counts[number] += 1
        except (av.FFmpegError, IndexError) as error:  # what comes before is kept
            if is_full(error):
                raise


def _mux(
    copy: OutputContainer,
    packet: av.packet.Packet[Any],
    stream: Any,
    mended_us: int,
    raw_us: int,
    last: dict[int, int],
) -> None:
    base = packet.time_base or Fraction(1, _US)
    pts_us = raw_us if packet.pts is None else round(packet.pts * base * _US)
    ahead_us = pts_us - raw_us
    if abs(ahead_us) > _MOST_REORDERED_US:
        ahead_us = 0
    dts = round(Fraction(mended_us, _US) / base)
    # Muxers take no time twice.
    dts = max(dts, last.get(stream.index, dts - 1) + 1)
    last[stream.index] = dts
    packet.dts = dts
    packet.pts = max(dts, round(Fraction(mended_us + ahead_us, _US) / base))
    packet.stream = stream
    copy.mux(packet)

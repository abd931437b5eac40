"""A file that is being recorded: whatever kills its process takes two seconds of it at most."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import av.container
import av.packet
import av.stream

from merger.errors import Refused
from recorders.rtsp.capture_clock import SECOND_US, Offset, StreamClock, end_offset, from_epoch_us
from recorders.rtsp.recordings import REORDERED_US, Journal

log = logging.getLogger(__name__)

# A cluster is what Matroska loses when it is cut off; each goes to the system at once.
_OPTIONS = {"cluster_time_limit": "1000", "flush_packets": "1"}
# The first estimates of a connection are those of packets that waited while it was opened.
_SETTLED_US = 12 * SECOND_US
_JOURNAL_EVERY_US = 10 * SECOND_US


@dataclass
class RawFile:
    """A file being written. lead: the number of the stream that its time is counted by."""

    path: Path
    journal: Journal
    lead: int
    zero_us: int
    shifts_us: Mapping[int, int]
    _start: Offset
    _container: av.container.OutputContainer
    _streams: Mapping[int, Any]
    _lock: int
    _newest: dict[int, int] = field(default_factory=dict)
    _journaled_us: int = 0
    _is_settled: bool = False
    end_us: int = 0  # in the time of the leading stream
    has_ended: bool = False

    def position_of(self, number: int, at_us: int) -> int:
        """Return where a packet of a stream lies in this file, in microseconds from its zero."""
        return at_us + self.shifts_us.get(number, 0) - self.zero_us

    def write(self, packet: av.packet.Packet[Any], number: int, at_us: int) -> None:
        """Write a packet at its time in its stream. Raises av.FFmpegError, OSError.

        A stream copy has no decoding times for pictures that are sent in another order than they
        are shown. Matroska keeps none, so any that fit will do.
        """
        if packet.is_corrupt:  # cut off, as the last one of a connection may be
            return
        if number not in self._streams:
            return
        base = packet.time_base
        length_us = round((packet.duration or 0) * base * SECOND_US)
        if number == self.lead:
            self.end_us = max(self.end_us, at_us + length_us)
        place = round(self.position_of(number, at_us) / SECOND_US / base)
        early = round(REORDERED_US / SECOND_US / base) if packet.stream.type == "video" else 0
        before = self._newest.get(number, place - early - 1)
        packet.pts, packet.dts = place, max(before + 1, place - early)
        if packet.pts < 0 or packet.dts > packet.pts:
            return
        self._newest[number] = packet.dts
        packet.stream = self._streams[number]
        self._container.mux(packet)

    def update_journal(self, clocks: Mapping[int, StreamClock], *, ends: bool = False) -> None:
        """Write down now and then when all this was captured, as far as it is known.

        Raises OSError.
        """
        age_us = self.end_us - self.zero_us
        pause_us = _JOURNAL_EVERY_US if self._is_settled else _JOURNAL_EVERY_US // 4
        if not ends and age_us - self._journaled_us < pause_us:
            return
        self._journaled_us = age_us
        offset = clocks[self.lead].offset
        if not self._is_settled or (self._start.by == "arrival" and offset.by == "camera"):
            self._start = offset
            self._is_settled = age_us >= _SETTLED_US
        last = end_offset(self._start, offset, age_us)
        # Whoever finishes the file knows its streams by the numbers that they have in there.
        shifts = {
            self._streams[number].index: clock.offset.us - offset.us - self.shifts_us.get(number, 0)
            for number, clock in clocks.items()
            if number != self.lead
            and number in self._streams
            and clock.is_known
            and clock.offset.by == offset.by
        }
        self.journal = replace(
            self.journal,
            start=from_epoch_us(self.zero_us + self._start.us),
            end=from_epoch_us(self.end_us + last.us) if ends else None,
            by=self._start.by,
            shifts_us=shifts,
        )
        self.journal.write(self.path)

    def close(self, clocks: Mapping[int, StreamClock]) -> None:
        """End the file: what is in it is complete."""
        if self.has_ended:
            return
        self.has_ended = True
        try:
            self._container.close()
            self.update_journal(clocks, ends=True)
        finally:
            os.close(self._lock)


def open_raw_file(
    path: Path,
    journal: Journal,
    streams: Sequence[av.stream.Stream],
    clocks: Mapping[int, StreamClock],
    lead: int,
    zero_us: int,
) -> RawFile:
    """Begin a file at an instant of its leading stream. Raises av.FFmpegError, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The file is its own lock, so that nothing is left beside it: no lock file of filelock's.
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    fcntl.flock(lock, fcntl.LOCK_EX)
    start = clocks[lead].offset
    journal = replace(journal, start=from_epoch_us(zero_us + start.us), by=start.by)
    journal.write(path)
    container = av.open(str(path), "w", format="matroska", options=_OPTIONS)
    # Whose it is can be read from it alone, should its journal be lost (finish.recover).
    container.metadata.update(room=journal.room, source=journal.source, zone=journal.zone)
    return RawFile(
        path=path,
        journal=journal,
        lead=lead,
        zero_us=zero_us,
        shifts_us={n: c.offset.us - start.us for n, c in clocks.items() if c.is_known},
        _start=start,
        _container=container,
        _streams=_add_streams(container, streams, lead),
        _lock=lock,
        end_us=zero_us,
    )


def _add_streams(
    container: av.container.OutputContainer, streams: Sequence[av.stream.Stream], lead: int
) -> dict[int, Any]:
    """Add streams to a file; sound of a kind that it cannot hold costs no picture."""
    added: dict[int, Any] = {}
    for stream in streams:
        try:
            added[stream.index] = container.add_stream_from_template(stream)
        except (ValueError, av.FFmpegError) as error:
            codec = stream.codec_context.name
            if stream.index == lead:
                raise Refused("media", "recorders.rtsp.codec", codec=codec) from error
            log.warning("its sound (%s) cannot be recorded", codec)
    return added

"""Writes what comes on one connection into raw files that are cut on the grid of the room's day."""

from __future__ import annotations

import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import av
import av.packet
import av.stream

from merger.storage.disk_space import require_space
from merger.timeline.clock import Span
from merger.timeline.zones import half_hour_chunks
from recorders.rtsp.capture_clock import SECOND_US, OwnClock, StreamClock, from_epoch_us
from recorders.rtsp.connection import ConnectionOver
from recorders.rtsp.keyframes import jpeg_of, parameter_sets
from recorders.rtsp.raw_file import RawFile, open_raw_file
from recorders.rtsp.recordings import RAW, Journal, raw_name
from recorders.rtsp.wire import Arriving, FileClosed, Job, PictureTaken, Progress, emit

_REPORT_EVERY_S = 0.5
_PICTURE_EVERY_S = 60.0
_STRAGGLERS_US = 2 * SECOND_US  # sound may come so much later than the pictures of its instant
_CLOCK_SET_US = 2 * SECOND_US
_ROOM_BYTES = 64_000_000  # some seconds of the best camera, beside what is in reserve
_PRFT_WALLCLOCK = struct.Struct("=q")  # AVProducerReferenceTime.wallclock, in microseconds


@dataclass
class StreamWriter:
    """Writes the packets of a connection, and reports what came of it.

    lead: the stream that files are cut by, the pictures where there are any. Times of a stream are
    in microseconds of its own clock (`at`).
    """

    job: Job
    streams: tuple[av.stream.Stream, ...]
    lead: av.stream.Stream
    clocks: dict[int, StreamClock] = field(default_factory=dict)
    current: RawFile | None = None
    closing: RawFile | None = None  # waits for the sound of its last pictures
    until: datetime | None = None  # the current file's end on the grid
    size_bytes: int = 0
    key_us: int | None = None  # when the newest key frame was captured
    own_clock: OwnClock = field(default_factory=OwnClock)
    _parameters: bytes = b""
    _newest: dict[int, tuple[int, int]] = field(default_factory=dict)  # at, arrived; by stream
    _pictured_s: float = -_PICTURE_EVERY_S
    _reported_s: float = 0.0
    _first_at: int | None = None  # the first key frame

    def check_clock(self, wall_us: int, counted_us: int) -> None:
        """Look at this machine's own clocks whenever a packet arrives.

        What was recorded before it was set may lie at a wrong time; what comes then does not.

        Raises:
            ConnectionOver: the wall clock was set.
        """
        if step_us := self.own_clock.set_by(wall_us, counted_us):
            seconds = f"{step_us / SECOND_US:+.0f}"
            raise ConnectionOver("clock_set", "recorders.rtsp.clock_set", seconds=seconds)

    def write(self, packet: av.packet.Packet[Any], arrived_us: int) -> None:
        """Write a packet where it belongs. Raises ConnectionOver, OSError, av.FFmpegError."""
        number = packet.stream_index
        at = self._time_of(packet, arrived_us)
        if at is None:
            return
        self.size_bytes += packet.size
        leads = number == self.lead.index
        if leads and (packet.is_keyframe or self.lead.type != "video"):
            self._note_key_frame(packet, at)
        if leads:
            self._report(at)  # also where there is nothing yet that a file can begin with
        if self.current is None:
            return
        file = self.current
        if not leads and self.closing and file.position_of(number, at) < 0:
            file = self.closing
        file.write(packet, number, at)
        if leads:
            file.update_journal(self.clocks)
            if self.closing and at - file.zero_us > _STRAGGLERS_US:
                self._close_file(self.closing)
                self.closing = None

    def _time_of(self, packet: av.packet.Packet[Any], arrived_us: int) -> int | None:
        """Return the time of a packet in its stream; None for one that has none."""
        number = packet.stream_index
        if packet.size == 0 or packet.pts is None:
            return None
        pts_us = round(packet.pts * packet.time_base * SECOND_US)
        clock = self.clocks.setdefault(number, StreamClock())
        at = clock.time_of(pts_us, arrived_us, _reported_us(packet))
        before, before_arrived = self._newest.get(number, (at, arrived_us))
        self._newest[number] = at, arrived_us
        step, waited = at - before, arrived_us - before_arrived
        if abs(step - waited) > _CLOCK_SET_US and abs(step) > _CLOCK_SET_US:
            raise ConnectionOver("clock_set", "recorders.rtsp.timestamps_jumped")
        return at

    def _note_key_frame(self, packet: av.packet.Packet[Any], at: int) -> None:
        """Look at a key frame, at which a file can begin."""
        if self._first_at is None:
            self._first_at, self._reported_s = at, time.monotonic()
        self.key_us = at + self.clocks[self.lead.index].offset.us
        if self.lead.type == "video":
            parameters = parameter_sets(self.lead.codec_context.name, bytes(packet))
            if self._parameters and parameters and parameters != self._parameters:
                raise ConnectionOver("changed", "recorders.rtsp.changed")
            self._parameters = parameters or self._parameters
            self._take_picture(packet, self.key_us)
        if self.job.look:
            raise ConnectionOver("seen", "recorders.rtsp.seen")
        instant = from_epoch_us(self.key_us)
        if self.current is None or (self.until and instant >= self.until):
            self._begin_file(instant, at)

    def _take_picture(self, packet: av.packet.Packet[Any], at_us: int) -> None:
        now_s = time.monotonic()
        if now_s - self._pictured_s < _PICTURE_EVERY_S:
            return
        self._pictured_s = now_s
        jpeg = jpeg_of(self.lead.codec_context, bytes(packet))
        if jpeg:
            emit(PictureTaken(at_us, jpeg))

    def _begin_file(self, instant: datetime, at: int) -> None:
        job = self.job
        folder = Path(job.folder)
        require_space(folder, _ROOM_BYTES, job.source)
        journal = Journal(job.room, job.source, job.zone, instant)
        path = folder / RAW / raw_name(instant)
        if self.closing:
            self._close_file(self.closing)
        self.closing = self.current
        self.current = open_raw_file(path, journal, self.streams, self.clocks, self.lead.index, at)
        day = Span(instant, instant + timedelta(days=1))
        grid = timedelta(seconds=job.grid_s)
        self.until = half_hour_chunks(day, grid, ZoneInfo(job.zone))[0].end

    def _report(self, at: int) -> None:
        """Report now and then how much came, and of when it is.

        Not at once after the first key frame: what came while the stream was looked at comes late,
        and all together. Only the last of that shows by how much.
        """
        now_s = time.monotonic()
        if now_s - self._reported_s < _REPORT_EVERY_S:
            return
        self._reported_s = now_s
        if self._first_at is None or self.key_us is None:
            emit(Arriving(self.size_bytes))
            return
        offset = self.clocks[self.lead.index].offset
        at_us, from_us = at + offset.us, self._first_at + offset.us
        emit(Progress(self.size_bytes, at_us, from_us, self.key_us, offset.by))

    def _close_file(self, file: RawFile) -> None:
        file.close(self.clocks)
        emit(FileClosed(file.path.name))

    def close(self) -> None:
        """Close what is open, as well as that is possible."""
        for file in (self.closing, self.current):
            if file and not file.has_ended:
                with suppress(OSError, av.FFmpegError):
                    self._close_file(file)


def _reported_us(packet: av.packet.Packet[Any]) -> int | None:
    """Return when a packet was captured by the camera's clock; None where it does not say so."""
    if not packet.has_sidedata("prft"):
        return None
    data = bytes(packet.get_sidedata("prft"))
    return int(_PRFT_WALLCLOCK.unpack(data[: _PRFT_WALLCLOCK.size])[0])

"""The process that records one source: `python -m recorders.rtsp.child`, its job on stdin.

What becomes of it is written to stdout (`wire`). Credentials come over stdin and go into
libavformat, and nowhere else.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import stat
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import av
import av.container
import av.logging
import av.packet
import av.stream

from merger.errors import MergerError, Refused, Temporary
from merger.i18n import Message, Param
from merger.storage.disk_space import require_space
from merger.storage.files import disk_full, is_full, translate_os_error
from merger.timeline.clock import Span
from merger.timeline.zones import half_hour_chunks
from recorders.rtsp.capture_clock import SECOND_US, OwnClock, StreamClock, from_epoch_us
from recorders.rtsp.first_picture import FirstPicture
from recorders.rtsp.keyframes import jpeg_of, parameter_sets
from recorders.rtsp.local_hosts import forbidden_reason, is_forbidden, resolve
from recorders.rtsp.raw_file import RawFile, open_raw_file
from recorders.rtsp.recordings import RAW, Journal, raw_name
from recorders.rtsp.redirects import refuse_redirects
from recorders.rtsp.wire import (
    Arriving,
    Ended,
    FileClosed,
    Job,
    PictureTaken,
    Progress,
    emit,
    from_line,
)

OPEN_S, READ_S = 10.0, 5.0  # without an answer; without a packet
_TOLD_EVERY_S = 0.5
_PICTURE_EVERY_S = 60.0
_STRAGGLERS_US = 2 * SECOND_US  # sound may come so much later than the pictures of its instant
_CLOCK_SET_US = 2 * SECOND_US
_ROOM_BYTES = 64_000_000  # some seconds of the best camera, beside what is in reserve
_PORTS = {"rtsp": 554, "rtsps": 322}
_PRFT_WALLCLOCK = struct.Struct("=q")  # AVProducerReferenceTime.wallclock, in microseconds


class ConnectionOver(Exception):
    """The connection is over. code: why, for the supervisor."""

    def __init__(self, code: str, key: str, /, **params: Param) -> None:
        super().__init__(code)
        self.ended = Ended(code, Message(key, **params))


@dataclass
class Recording:
    """One connection, as long as it lasts."""

    job: Job
    streams: tuple[av.stream.Stream, ...]
    lead: av.stream.Stream
    clocks: dict[int, StreamClock] = field(default_factory=dict)
    current: RawFile | None = None
    closing: RawFile | None = None  # waits for the sound of its last pictures
    until: datetime | None = None  # the current file's end on the grid
    size_bytes: int = 0
    key_us: int | None = None
    own_clock: OwnClock = field(default_factory=OwnClock)
    _parameters: bytes = b""
    _last: dict[int, tuple[int, int]] = field(default_factory=dict)
    _pictured_s: float = -_PICTURE_EVERY_S
    _told_s: float = 0.0
    _first_at: int | None = None  # the first key frame, by its stream

    def notice(self, wall_us: int, counted_us: int) -> None:
        """Look at this machine's own clocks whenever a packet arrives.

        What it recorded before its clock was set may lie at a wrong time; what comes then does not.
        Raises ConnectionOver.
        """
        if step_us := self.own_clock.set_by(wall_us, counted_us):
            seconds = f"{step_us / SECOND_US:+.0f}"
            raise ConnectionOver("clock_set", "recorders.rtsp.clock_set", seconds=seconds)

    def take(self, packet: av.packet.Packet[Any], arrived_us: int) -> None:
        """Write a packet where it belongs. Raises ConnectionOver, OSError, av.FFmpegError."""
        number = packet.stream_index
        at = self._time_of(packet, arrived_us)
        if at is None:
            return
        self.size_bytes += packet.size
        leads = number == self.lead.index
        if leads and (packet.is_keyframe or self.lead.type != "video"):
            self._key(packet, at)
        if leads:
            self._tell(at)  # also where there is nothing yet that a file can begin with
        if self.current is None:
            return
        file = self.current
        if not leads and self.closing and file.place(number, at) < 0:
            file = self.closing
        file.write(packet, number, at)
        if leads:
            file.learn(self.clocks)
            if self.closing and at - file.zero_us > _STRAGGLERS_US:
                self._close(self.closing)
                self.closing = None

    def _time_of(self, packet: av.packet.Packet[Any], arrived_us: int) -> int | None:
        """Return the time of a packet in its stream; None for one that has none."""
        number = packet.stream_index
        if packet.size == 0 or packet.pts is None:
            return None
        pts_us = round(packet.pts * packet.time_base * SECOND_US)
        clock = self.clocks.setdefault(number, StreamClock())
        at = clock.time_of(pts_us, arrived_us, _reported_us(packet))
        before, before_arrived = self._last.get(number, (at, arrived_us))
        self._last[number] = at, arrived_us
        step, waited = at - before, arrived_us - before_arrived
        if abs(step - waited) > _CLOCK_SET_US and abs(step) > _CLOCK_SET_US:
            raise ConnectionOver("clock_set", "recorders.rtsp.timestamps_jumped")
        return at

    def _key(self, packet: av.packet.Packet[Any], at: int) -> None:
        """Look at a key frame, at which a file can begin."""
        if self._first_at is None:
            self._first_at, self._told_s = at, time.monotonic()
        self.key_us = at + self.clocks[self.lead.index].offset.us
        if self.lead.type == "video":
            parameters = parameter_sets(self.lead.codec_context.name, bytes(packet))
            if self._parameters and parameters and parameters != self._parameters:
                raise ConnectionOver("changed", "recorders.rtsp.changed")
            self._parameters = parameters or self._parameters
            self._picture(packet, self.key_us)
        if self.job.look:
            raise ConnectionOver("seen", "recorders.rtsp.seen")
        instant = from_epoch_us(self.key_us)
        if self.current is None or (self.until and instant >= self.until):
            self._begin(instant, at)

    def _picture(self, packet: av.packet.Packet[Any], at_us: int) -> None:
        now_s = time.monotonic()
        if now_s - self._pictured_s < _PICTURE_EVERY_S:
            return
        self._pictured_s = now_s
        picture = jpeg_of(self.lead.codec_context, bytes(packet))
        if picture:
            emit(PictureTaken(at_us, picture))

    def _begin(self, instant: datetime, at: int) -> None:
        job = self.job
        folder = Path(job.folder)
        require_space(folder, _ROOM_BYTES, job.source)
        journal = Journal(job.room, job.source, job.zone, instant)
        path = folder / RAW / raw_name(instant)
        if self.closing:
            self._close(self.closing)
        self.closing = self.current
        self.current = open_raw_file(path, journal, self.streams, self.clocks, self.lead.index, at)
        cell = Span(instant, instant + timedelta(days=1))
        grid = timedelta(seconds=job.grid_s)
        self.until = half_hour_chunks(cell, grid, ZoneInfo(job.zone))[0].end

    def _tell(self, at: int) -> None:
        """Say now and then how much came, and of when it is.

        Not at once after the first key frame: what came while the stream was looked at comes late,
        and all together. Only the last of that tells by how much.
        """
        now_s = time.monotonic()
        if now_s - self._told_s < _TOLD_EVERY_S:
            return
        self._told_s = now_s
        if self._first_at is None or self.key_us is None:
            emit(Arriving(self.size_bytes))
            return
        offset = self.clocks[self.lead.index].offset
        at_us, from_us = at + offset.us, self._first_at + offset.us
        emit(Progress(self.size_bytes, at_us, from_us, self.key_us, offset.by))

    def _close(self, file: RawFile) -> None:
        file.close(self.clocks)
        emit(FileClosed(file.path.name))

    def end(self) -> None:
        """Close what is open, as well as that is possible."""
        for file in (self.closing, self.current):
            if file and not file.has_ended:
                with suppress(OSError, av.FFmpegError):
                    self._close(file)


def _reported_us(packet: av.packet.Packet[Any]) -> int | None:
    if not packet.has_sidedata("prft"):
        return None
    data = bytes(packet.get_sidedata("prft"))
    return int(_PRFT_WALLCLOCK.unpack(data[: _PRFT_WALLCLOCK.size])[0])


def connect(job: Job) -> av.container.InputContainer:
    """Connect to a source at an address that was looked at. Raises MergerError, av.FFmpegError."""
    parts = urlsplit(job.url)
    port = parts.port or _PORTS[parts.scheme]
    host = resolve(parts.hostname or "", port, allow_local=job.allow_local)
    shown = f"[{host}]" if ":" in host else host
    who = ""
    if job.credentials:
        user, _, password = job.credentials.partition(":")
        who = f"{quote(user, safe='')}:{quote(password, safe='')}@"
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    with refuse_redirects(_report_redirect):
        container = av.open(
            f"{parts.scheme}://{who}{shown}:{port}{path}",
            options={
                "rtsp_transport": "tcp",
                "protocol_whitelist": "rtsp,rtsps,rtp,tcp,tls,udp",
                "analyzeduration": "2000000",
            },
            timeout=(OPEN_S, READ_S),
            metadata_errors="replace",
        )
    assert isinstance(container, av.container.InputContainer)
    # Should FFmpeg have followed a camera elsewhere all the same, nothing of it is recorded.
    peer = next((peer for peer in _peers() if peer != host and is_forbidden(peer)), None)
    if peer is not None and not job.allow_local:
        container.close()
        raise forbidden_reason(peer)
    return container


def _report_redirect(place: str | None) -> None:
    where = place or Message("recorders.no_address")
    emit(Ended("address", Message("recorders.rtsp.redirected", place=where), is_lasting=True))


def _peers() -> Iterator[str]:
    """Yield the addresses that this process is connected to."""
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if not stat.S_ISSOCK(link.stat().st_mode):
                continue
            with socket.socket(fileno=os.dup(int(link.name))) as other:
                peer = other.getpeername()
            if isinstance(peer, tuple):
                yield str(peer[0])


def record(job: Job, stopped: list[int]) -> None:
    """Record until asked to stop. Raises ConnectionOver, MergerError, av.FFmpegError, OSError."""
    with connect(job) as container:
        video = container.streams.best("video")
        audio = container.streams.best("audio")
        lead = video or audio
        if lead is None:
            raise Refused("media", "recorders.rtsp.no_streams")
        streams = tuple(s for s in (video, audio) if s is not None)
        recording = Recording(job, streams, lead)
        first = FirstPicture(lead.index, bool(getattr(lead.codec_context, "has_b_frames", False)))
        try:
            for packet in container.demux(*streams):
                if stopped:
                    raise ConnectionOver("stopped", "recorders.rtsp.stopped")
                now_us = time.time_ns() // 1000
                recording.notice(now_us, time.monotonic_ns() // 1000)
                for one, arrived_us in first.released(packet, now_us):
                    recording.take(one, arrived_us)
        finally:
            recording.end()
    raise ConnectionOver("ended", "recorders.sends_nothing")


def main() -> int:
    """Do the job on stdin; return 0 when it ended as it should."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("libav").setLevel(logging.ERROR)
    av.logging.set_level(av.logging.ERROR)
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stopped.append(number))
    job = from_line(sys.stdin.readline())
    assert isinstance(job, Job)
    try:
        record(job, stopped)
    except ConnectionOver as over:
        emit(over.ended)
        return 0 if over.ended.code in ("stopped", "seen") else 1
    except MergerError as error:
        emit(Ended(error.code, error.message, is_lasting=not isinstance(error, Temporary)))
    except av.FFmpegError as error:  # its text would have the address with the password
        emit(_explain(error, Path(job.folder)))
    except OSError as error:
        failure = translate_os_error(error, Path(job.folder))
        emit(Ended(failure.code, failure.message))
    return 0 if stopped else 1


def _explain(error: av.FFmpegError, folder: Path) -> Ended:
    if isinstance(error, (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)):
        return Ended("credentials", Message("recorders.rtsp.credentials"), is_lasting=True)
    if isinstance(error, av.error.HTTPNotFoundError):
        # So say servers, too, to which nobody is sending just now.
        return Ended("address", Message("recorders.rtsp.no_stream"))
    if isinstance(error, (av.error.ExitError, av.error.TimeoutError)):
        return Ended("silent", Message("recorders.no_answer"))
    if is_full(error):
        full = disk_full(folder)
        return Ended(full.code, full.message)
    return Ended("away", Message("recorders.rtsp.unreadable", why=error.strerror or "?"))


if __name__ == "__main__":
    sys.exit(main())

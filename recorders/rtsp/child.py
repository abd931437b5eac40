"""The process that records one source: `python -m recorders.rtsp.child`, its job as JSON on stdin.

It says on stdout, a JSON object in a line, how much came and from when, which files are closed,
and why it ends. Credentials come over stdin and go into libavformat, and nowhere else.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import stat
import struct
import sys
import time
from base64 import b64encode
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
from merger.storage.disk_space import require_space
from merger.storage.files import disk_full, is_full, translate_os_error
from merger.timeline.clock import Span
from merger.timeline.zones import half_hour_chunks
from recorders.rtsp.capture_clock import SECOND_US, OwnClock, StreamClock
from recorders.rtsp.first_picture import FirstPicture
from recorders.rtsp.job import Job
from recorders.rtsp.keyframes import jpeg_of, parameter_sets
from recorders.rtsp.local_hosts import forbidden_reason, is_forbidden, resolve
from recorders.rtsp.raw_file import RawFile, open_raw_file
from recorders.rtsp.recordings import RAW, Journal, from_epoch_us, raw_name
from recorders.rtsp.redirects import refuse_redirects

OPEN_S, READ_S = 10.0, 5.0  # without an answer; without a packet
_TOLD_EVERY_S = 0.5
_PICTURE_EVERY_S = 60.0
_STRAGGLERS_US = 2 * SECOND_US  # sound may come so much later than the pictures of its instant
_CLOCK_SET_US = 2 * SECOND_US
_ROOM_BYTES = 64_000_000  # some seconds of the best camera, beside what is in reserve
_PORTS = {"rtsp": 554, "rtsps": 322}
_PRFT_WALLCLOCK = struct.Struct("=q")  # AVProducerReferenceTime.wallclock, in microseconds


class Ended(Exception):
    """The connection is over, and why; `code` is for the supervisor."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def emit(**said: Any) -> None:
    """Say something to the supervisor."""
    print(json.dumps(said), flush=True)


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
        Raises Ended.
        """
        if step_us := self.own_clock.set_by(wall_us, counted_us):
            text = f"this machine's own clock was set by {step_us / SECOND_US:+.0f} s"
            raise Ended("clock_set", text)

    def take(self, packet: av.packet.Packet[Any], arrived_us: int) -> None:
        """Write a packet where it belongs. Raises Ended, OSError, av.FFmpegError."""
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
            raise Ended("clock_set", "its timestamps jumped: its clock was set, most likely")
        return at

    def _key(self, packet: av.packet.Packet[Any], at: int) -> None:
        """Look at a key frame, at which a file can begin."""
        if self._first_at is None:
            self._first_at, self._told_s = at, time.monotonic()
        self.key_us = at + self.clocks[self.lead.index].offset.us
        if self.lead.type == "video":
            parameters = parameter_sets(self.lead.codec_context.name, bytes(packet))
            if self._parameters and parameters and parameters != self._parameters:
                raise Ended("changed", "its pictures have another size or form now")
            self._parameters = parameters or self._parameters
            self._picture(packet)
        if self.job.look:
            raise Ended("seen", "there is media")
        instant = from_epoch_us(self.key_us)
        if self.current is None or (self.until and instant >= self.until):
            self._begin(instant, at)

    def _picture(self, packet: av.packet.Packet[Any]) -> None:
        now_s = time.monotonic()
        if now_s - self._pictured_s < _PICTURE_EVERY_S:
            return
        self._pictured_s = now_s
        picture = jpeg_of(self.lead.codec_context, bytes(packet))
        if picture:
            emit(picture=b64encode(picture).decode(), at_us=self.key_us)

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
        offset = self.clocks[self.lead.index].offset
        from_us = self._first_at + offset.us if self._first_at is not None else None
        emit(
            bytes=self.size_bytes, at_us=at + offset.us, from_us=from_us, key_us=self.key_us,
            by=offset.by,
        )  # fmt: skip

    def _close(self, file: RawFile) -> None:
        file.close(self.clocks)
        emit(closed=file.path.name)

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
    with refuse_redirects(_sent_elsewhere):
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


def _sent_elsewhere(place: str) -> None:
    text = f"it sends us elsewhere, to {place}: correct its address"
    emit(ended="address", text=text, never=True)


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
    """Record until asked to stop. Raises Ended, MergerError, av.FFmpegError, OSError."""
    with connect(job) as container:
        video = container.streams.best("video")
        audio = container.streams.best("audio")
        lead = video or audio
        if lead is None:
            raise Refused("media", "it sends neither pictures nor sound")
        streams = tuple(s for s in (video, audio) if s is not None)
        recording = Recording(job, streams, lead)
        first = FirstPicture(lead.index, bool(getattr(lead.codec_context, "has_b_frames", False)))
        try:
            for packet in container.demux(*streams):
                if stopped:
                    raise Ended("stopped", "asked to stop")
                now_us = time.time_ns() // 1000
                recording.notice(now_us, time.monotonic_ns() // 1000)
                for one, arrived_us in first.released(packet, now_us):
                    recording.take(one, arrived_us)
        finally:
            recording.end()
    raise Ended("ended", "it sends nothing more")


def main() -> int:
    """Do the job on stdin; return 0 when it ended as it should."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("libav").setLevel(logging.ERROR)
    av.logging.set_level(av.logging.ERROR)
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stopped.append(number))
    job = Job(**json.load(sys.stdin))
    try:
        record(job, stopped)
    except Ended as ended:
        emit(ended=ended.code, text=str(ended))
        return 0 if ended.code in ("stopped", "seen") else 1
    except MergerError as error:
        never = not isinstance(error, Temporary)
        emit(ended=error.code, text=error.message, never=never)
    except av.FFmpegError as error:  # its text would have the address with the password
        emit(**_explained(error, Path(job.folder)))
    except OSError as error:
        told = translate_os_error(error, Path(job.folder))
        emit(ended=told.code, text=told.message)
    return 0 if stopped else 1


def _explained(error: av.FFmpegError, folder: Path) -> dict[str, Any]:
    if isinstance(error, (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)):
        text = "it does not let us in: correct the user and the password in its credentials"
        return {"ended": "credentials", "text": text, "never": True}
    if isinstance(error, av.error.HTTPNotFoundError):
        # So say servers, too, to which nobody is sending just now.
        text = "it has no such stream, or not now: correct the path of its address"
        return {"ended": "address", "text": text}
    if isinstance(error, (av.error.ExitError, av.error.TimeoutError)):
        return {"ended": "silent", "text": "it does not answer"}
    if is_full(error):
        full = disk_full(folder)
        return {"ended": full.code, "text": full.message}
    return {"ended": "away", "text": error.strerror or "it cannot be read"}


if __name__ == "__main__":
    sys.exit(main())

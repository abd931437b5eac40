"""When the media of a live stream was captured, from its own time. Pure; microseconds.

A stream counts its own time from its first packet. Two things tie that to the wall clock: the
camera's own clock, where it sends RTCP sender reports, and the moments at which packets arrive
here. docs/design/time.md says which is believed when.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

SECOND_US = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# From the camera's lens to our socket, where only arrivals are known: what cameras in a local
# network take to expose, encode and send (100 to 200 ms by their makers' data sheets).
LATENCY_US = 150_000
# A camera's clock is believed when what it dates could be on its way for so long, and not from
# the future: NTP in a local network is good to some milliseconds, in the worst case to 100.
_SLOWEST_US = 2 * SECOND_US
_FUTURE_US = 100_000
_WINDOW_US = 10 * SECOND_US
# Quartz clocks are less than this off; what differs more is a clock that was set meanwhile.
_LARGEST_DRIFT_PPM = 200
# Below that length, the jitter of a network looks like a drift.
_SHORTEST_FOR_DRIFT_US = 5 * 60 * SECOND_US
# Packets of a stream follow each other within this, or the camera has lost or set its clock.
LARGEST_STEP_US = 1 * SECOND_US
# A step of timestamps that is no frame's: where pictures are sent in another order than they are
# shown, their timestamps step by some frames anyhow.
_JITTER_US = 20_000
_REORDERING_US = 300_000

# What no clock is slewed by between two packets: somebody has set it.
_SET_US = 2 * SECOND_US

ClockSource = Literal["camera", "arrival"]


def from_epoch_us(us: int) -> datetime:
    """Return an instant from microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=us)


@dataclass(frozen=True)
class Offset:
    """Wall clock minus stream time, and what it is known by."""

    us: int
    by: ClockSource


@dataclass
class _Window:
    """What was seen within some seconds. A packet may be late, but it cannot arrive early."""

    begun_us: int
    arrived_us: int
    reported_us: int | None = None


def _offset_by(windows: Sequence[_Window]) -> Offset:
    arrived = min(window.arrived_us for window in windows)
    reported = next((w.reported_us for w in windows if w.reported_us is not None), None)
    if reported is not None and -_FUTURE_US <= arrived - reported <= _SLOWEST_US:
        return Offset(reported, "camera")
    return Offset(arrived - LATENCY_US, "arrival")


@dataclass
class StreamClock:
    """The clock of one stream of one connection."""

    _correction_us: int = 0
    _last_us: int | None = None
    _step_us: int = 0
    _reorders: bool = False
    _was_reported: bool = False
    _windows: list[_Window] = field(default_factory=list)

    def time_of(self, pts_us: int, arrived_us: int, reported_us: int | None) -> int:
        """Return the time of a packet, which goes on evenly where FFmpeg's does not.

        With several streams, FFmpeg counts by the sender reports from the first one on, and the
        timestamps of a stream step by what it had guessed wrongly before (libavformat/rtpdec.c,
        finalize_packet). That step is taken out again. reported_us: by the camera's clock.
        """
        if reported_us is not None and not self._was_reported:
            self._was_reported = True
            if self._last_us is not None:
                step = pts_us + self._correction_us - self._last_us
                if abs(step - self._step_us) > (
                    _REORDERING_US if self._reorders else max(self._step_us // 2, _JITTER_US)
                ):
                    self._correction_us += self._step_us - step
        at = pts_us + self._correction_us
        if self._last_us is not None:
            self._reorders |= at < self._last_us
            if 0 < at - self._last_us < LARGEST_STEP_US:
                self._step_us = at - self._last_us
        self._last_us = at
        self._learn(at, arrived_us - at, None if reported_us is None else reported_us - at)
        return at

    def _learn(self, at: int, arrived_us: int, reported_us: int | None) -> None:
        if not self._windows or at - self._windows[0].begun_us >= _WINDOW_US:
            self._windows = [_Window(at, arrived_us, reported_us), *self._windows[:1]]
        window = self._windows[0]
        window.arrived_us = min(window.arrived_us, arrived_us)
        window.reported_us = window.reported_us if reported_us is None else reported_us

    @property
    def is_known(self) -> bool:
        """Whether there was any packet yet."""
        return bool(self._windows)

    @property
    def offset(self) -> Offset:
        """What is to be added to its time to have the wall clock, by the last ten seconds or so."""
        return _offset_by(self._windows)


@dataclass
class OwnClock:
    """The wall clock of this machine, beside one that only counts on."""

    _ahead_us: int | None = None

    def set_by(self, wall_us: int, counted_us: int) -> int:
        """Return by how much the wall clock was set since the last time; 0 where it was not."""
        ahead_us = wall_us - counted_us
        step_us = 0 if self._ahead_us is None else ahead_us - self._ahead_us
        self._ahead_us = ahead_us
        return step_us if abs(step_us) > _SET_US else 0


def end_offset(start: Offset, end: Offset, length_us: int) -> Offset:
    """Return the offset at the end of a file, which differs from that at its start by a drift.

    Where no drift can be told, the file is as long by the wall clock as by its own.
    """
    largest = length_us * _LARGEST_DRIFT_PPM // 1_000_000
    is_drift = (
        start.by == end.by
        and length_us >= _SHORTEST_FOR_DRIFT_US
        and abs(end.us - start.us) <= largest
    )
    return end if is_drift else start

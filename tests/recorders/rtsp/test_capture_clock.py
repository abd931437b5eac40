"""When something was captured: the camera's clock, ours, and what they differ by."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from merger.i18n import Message
from recorders.rtsp.capture_clock import LATENCY_US, Offset, OwnClock, StreamClock, end_offset
from recorders.rtsp.connection import ConnectionOver
from recorders.rtsp.stream_writer import StreamWriter
from recorders.rtsp.wire import Ended, Job

pytestmark = pytest.mark.quick

WALL = 1_700_000_000_000_000  # microseconds


def fed(
    clock: StreamClock, frames: int, *, delay: int, reported: int | None, from_us: int = 0
) -> None:
    """Feed a clock with frames that are captured every 40 ms."""
    for n in range(frames):
        at = from_us + n * 40_000
        captured = WALL + at
        clock.time_of(at, captured + delay, None if reported is None else captured + reported)


@pytest.mark.parametrize(
    ("delay", "reported", "expected", "by"),
    [
        (50_000, 0, 0, "camera"),
        (50_000, None, 50_000 - LATENCY_US, "arrival"),
        (50_000, 140_000, 140_000, "camera"),  # its clock is a little fast
        (50_000, 400_000, 50_000 - LATENCY_US, "arrival"),  # from the future
        (1_900_000, 0, 0, "camera"),  # a slow network
        (50_000, -3_600_000_000, 50_000 - LATENCY_US, "arrival"),  # an hour off
    ],
)
def test_a_camera_s_clock_is_believed_when_it_makes_sense(
    delay: int, reported: int | None, expected: int, by: str
) -> None:
    clock = StreamClock()
    fed(clock, 100, delay=delay, reported=reported)
    assert clock.offset == Offset(WALL + expected, by)


def test_what_waited_while_it_was_opened_is_not_late() -> None:
    clock = StreamClock()
    for n in range(25):  # all of the first second arrive at its end
        clock.time_of(n * 40_000, WALL + 1_000_000, None)
    fed(clock, 25, delay=30_000, reported=None, from_us=1_000_000)
    assert clock.offset == Offset(WALL + 30_000 - LATENCY_US, "arrival")


def test_a_step_at_the_first_report_is_taken_out() -> None:
    clock = StreamClock()
    times = [clock.time_of(n * 40_000, WALL + n * 40_000, None) for n in range(10)]
    times += [
        clock.time_of(n * 40_000 + 137_000, WALL + n * 40_000, WALL + n * 40_000)
        for n in range(10, 20)
    ]
    assert times == [n * 40_000 for n in range(20)]
    assert clock.offset == Offset(WALL, "camera")


def test_pictures_in_another_order_are_no_step() -> None:
    clock = StreamClock()
    order = [n + step for n in range(0, 60, 3) for step in (2, 0, 1)]
    times = [
        clock.time_of(n * 40_000, WALL + n * 40_000, WALL + n * 40_000 if i > 20 else None)
        for i, n in enumerate(order)
    ]
    assert times == [n * 40_000 for n in order]


HALF_HOUR_US = 1_800_000_000


@pytest.mark.parametrize(
    ("end", "length_us", "drifts"),
    [
        (Offset(WALL + 90_000, "camera"), HALF_HOUR_US, True),  # 50 ppm
        (Offset(WALL + 2_000_000, "camera"), HALF_HOUR_US, False),  # it was set
        (Offset(WALL + 1_000, "camera"), 10_000_000, False),  # too short to say
        (Offset(WALL + 1_000, "arrival"), HALF_HOUR_US, False),  # another clock
    ],
)
def test_drift_is_what_a_quartz_can_do(end: Offset, length_us: int, drifts: bool) -> None:
    start = Offset(WALL, "camera")
    assert end_offset(start, end, length_us) == (end if drifts else start)


@pytest.mark.parametrize("step_us", [-3_600_000_000, -2_000_001, 2_000_001, 90_000_000])
def test_this_machines_own_clock_is_set(step_us: int) -> None:
    clock = OwnClock()
    for n in range(100):  # slewed by a chrony, with a pause of the camera in between
        at = n * 40_000 + (30_000_000 if n > 50 else 0)
        assert clock.set_by(WALL + at + n * 3000, at) == 0
    assert clock.set_by(WALL + at + n * 3000 + step_us, at) == step_us
    assert clock.set_by(WALL + at + n * 3000 + step_us, at) == 0


def test_what_arrives_after_a_clock_was_set_is_of_another_file(tmp_path: Path) -> None:
    writer = StreamWriter(
        Job("rtsp://x", None, "504", "c", "UTC", str(tmp_path)), (), cast(Any, None)
    )
    writer.check_clock(WALL, 0)
    writer.check_clock(WALL + 40_000, 40_000)
    with pytest.raises(ConnectionOver) as over:
        writer.check_clock(WALL - 59_920_000, 80_000)
    why = Message("recorders.rtsp.clock_set", seconds="-60")
    assert over.value.ended == Ended("clock_set", why)

"""What is decided about live sources, without any: instants, what is wanted, addresses, pauses."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from merger.errors import Refused, Temporary
from merger.i18n import Message
from merger.live.bookings import Booking, Camera
from merger.live.source_status import Flow, SourceSign, flow_of
from merger.ports.recorder import SourceOfRoom
from merger.timeline.clock import Span
from recorders.rtsp.address import Address, address_of
from recorders.rtsp.capture_clock import LATENCY_US, Offset, OwnClock, StreamClock, end_offset
from recorders.rtsp.connection import ConnectionOver
from recorders.rtsp.first_picture import FirstPicture
from recorders.rtsp.keyframes import parameter_sets
from recorders.rtsp.local_hosts import is_forbidden, resolve
from recorders.rtsp.recordings import file_name
from recorders.rtsp.source import Rtsp
from recorders.rtsp.stream_writer import StreamWriter
from recorders.rtsp.wire import Ended, Job
from recorders.supervisor.processes import redact
from recorders.supervisor.schedule import assignments, pause_s

pytestmark = pytest.mark.quick

MOSCOW = ZoneInfo("Europe/Moscow")
TEN = datetime(2026, 11, 20, 7, tzinfo=UTC)
WALL = 1_700_000_000_000_000  # microseconds


def source(address: str = "rtsp://10.0.5.4/live", name: str = "camera") -> SourceOfRoom:
    return SourceOfRoom("504", name, "speaker", "rtsp", address, MOSCOW)


# --- when something was captured ------------------------------------------------------------------


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


FRAME = 3600


@pytest.mark.parametrize(
    ("times", "reorders", "expected"),
    [
        ((None, 3665, 7265), False, 65),  # what it counts from is no picture
        ((None, 903_600, 907_200), False, 900_000),  # nor anywhere near
        ((None, 10_800, 3600, 7200, 21_600, 14_400, 18_000), True, 0),
        ((500, 4100, 7700), False, 500),
    ],
)
def test_the_first_picture_is_one_before_those_that_follow(
    times: tuple[int | None, ...], reorders: bool, expected: int
) -> None:
    first, taken = FirstPicture(0, reorders), []
    for n, pts in enumerate(times):
        sound = SimpleNamespace(stream_index=1, pts=n, size=10)
        packet = SimpleNamespace(stream_index=0, pts=pts, duration=FRAME, size=1000)
        assert [one.pts for one, _ in first.feed(cast(Any, sound), n)] == [n]
        taken += first.feed(cast(Any, packet), n)
    assert [one.pts for one, _ in taken] == [expected, *times[1:]]
    assert [arrived for _, arrived in taken] == list(range(len(times)))


# --- what is wanted -------------------------------------------------------------------------------


def booked(number: int, *, room: str = "504", early_s: int = 60, late_s: int = 120) -> Camera:
    camera = replace(source(), room=room)
    return Camera(number, camera, timedelta(seconds=early_s), timedelta(seconds=late_s))


LECTURE = Booking(7, "504", Span(TEN, TEN + timedelta(hours=1)))


@pytest.mark.parametrize(
    ("at_s", "records", "soon"),
    [
        (-601, None, None),
        (-600, (), (7,)),
        (-61, (), (7,)),
        (-60, (7,), (7,)),
        (0, (7,), ()),
        (3719, (7,), ()),
        (3720, None, None),
    ],
)
def test_when_a_source_is_wanted(
    at_s: int, records: tuple[int, ...] | None, soon: tuple[int, ...] | None
) -> None:
    camera = booked(3)
    found = assignments(TEN + timedelta(seconds=at_s), [(camera, Address("rtsp://x"))], [LECTURE])
    if records is None:
        assert found == {}
    else:
        assert (found[3].records, found[3].soon) == (records, soon)
        assert found[3].is_recorded == bool(records)


def test_always_is_always_and_each_has_its_own_edges() -> None:
    always = booked(1), Address("rtsp://x", always=True)
    early = booked(2, early_s=1200), Address("rtsp://x")
    elsewhere = booked(4, room="505"), Address("rtsp://x")
    found = assignments(TEN - timedelta(minutes=15), [always, early, elsewhere], [LECTURE])
    assert found[1].is_recorded and found[1].records == ()
    assert found[2].records == (7,)
    assert 4 not in found
    short = booked(5, early_s=0, late_s=0), Address("rtsp://x")
    assert assignments(TEN - timedelta(seconds=1), [short], [LECTURE])[5].records == ()
    assert assignments(LECTURE.span.end, [short], [LECTURE]) == {}


def test_pauses_grow_to_a_minute() -> None:
    assert [pause_s(n, 0.5) for n in (1, 2, 3, 6, 7, 8, 10_000)] == [1, 2, 4, 32, 60, 60, 60]
    assert pause_s(1, 0.0) == pytest.approx(0.7) and pause_s(8, 1.0) == pytest.approx(78)


# --- what others see of a source ------------------------------------------------------------------

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("sign", "after_s", "means", "silent_s"),
    [
        (SourceSign(TEN), 60, Flow("coming"), 0),
        (SourceSign(TEN), 61, Flow("unknown", TEN), 61),
        (SourceSign(TEN, TEN - MINUTE), 5, Flow("silent", TEN - MINUTE), 65),
        (SourceSign(TEN, TEN - MINUTE), 120, Flow("unknown", TEN - MINUTE), 180),
        (SourceSign(TEN, TEN), -5, Flow("silent", TEN), 0),  # a clock of another machine
    ],
)
def test_what_a_sign_means(sign: SourceSign, after_s: int, means: Flow, silent_s: int) -> None:
    now = TEN + timedelta(seconds=after_s)
    assert flow_of(sign, now) == means
    assert means.silent_s(now) == silent_s


# --- addresses ------------------------------------------------------------------------------------


def test_what_an_address_says() -> None:
    said = address_of(source("rtsps://cam-504.example.edu:8322/a?b=1#always"))
    assert said == Address("rtsps://cam-504.example.edu:8322/a?b=1", True)
    for margin in ("early", "late"):
        with pytest.raises(Refused, match=f"says {margin}, which is a setting of the room"):
            address_of(source(f"rtsp://10.0.5.4/live#{margin}=60"))
    with pytest.raises(Refused, match="did you mean 'always'"):
        address_of(source("rtsp://10.0.5.4/live#alway"))
    with pytest.raises(Refused, match="shorten"):
        address_of(source(name="x" * 240))


@pytest.mark.parametrize("credentials", ["hunter2", ":hunter2", "user:hun\nter2"])
def test_credentials_of_another_form(credentials: str) -> None:
    wrong = SourceOfRoom("504", "c", "speaker", "rtsp", "rtsp://10.0.5.4/", MOSCOW, credentials)
    with pytest.raises(Refused, match="user:password") as told:
        Rtsp().check(wrong)
    assert "hun" not in str(told.value)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "169.254.169.254",
        "fe80::1%eth0",
        "224.0.0.1",
    ],
)
def test_addresses_that_are_no_camera_s(address: str) -> None:
    assert is_forbidden(address)
    with pytest.raises(Refused, match="MERGER_ALLOW_LOCAL_CAMERAS"):
        resolve(address.partition("%")[0], 554, allow_local=False)


def test_addresses_that_may_be_a_camera_s() -> None:
    assert not any(
        map(is_forbidden, ("10.0.5.4", "192.168.1.2", "8.8.8.8", "fd00::4", "2001:db8::1"))
    )
    assert resolve("10.0.5.4", 554, allow_local=False) == "10.0.5.4"
    assert resolve("localhost", 554, allow_local=True) in ("127.0.0.1", "::1")
    with pytest.raises(Temporary):
        resolve("no-such-host.invalid", 554, allow_local=True)


@pytest.mark.parametrize(
    "line",
    [
        "rtsp://user:s3cr%25t@10.0.5.4/live: 401", "rtsp://user@10.0.5.4/", "password is s3cr%t",
        "s3cr%25t", "rtsps://user:s3cr%t@[::1]/", "auth user:s3cr%t failed",
    ],
)  # fmt: skip
def test_nothing_of_the_credentials_is_left_in_a_line(line: str) -> None:
    shown = redact(line, "user:s3cr%t")
    assert "s3cr" not in shown and "user" not in shown.replace("user:***", "")


# --- names and key frames -------------------------------------------------------------------------


def test_files_are_named_as_in_any_library() -> None:
    assert file_name(TEN, "Europe/Moscow", "504", "camera") == "2026-11-20_10-00-00_504_camera.mkv"


def test_parameter_sets_are_found() -> None:
    sps, pps, idr = b"\x67\x42\x00", b"\x68\xce", b"\x65\x88\x84"
    packet = b"\x00\x00\x00\x01" + sps + b"\x11" + b"\x00\x00\x00\x01" + pps + b"\x00\x00\x01" + idr
    assert parameter_sets("h264", packet) == sps + b"\x11"
    assert parameter_sets("mjpeg", packet) == b"" == parameter_sets("h264", b"\x00\x00\x01")

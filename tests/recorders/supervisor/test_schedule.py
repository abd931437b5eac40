"""Which sources are recorded when, and how long a camera that failed is left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from merger.live.bookings import Booking, Camera
from merger.ports.recorder import SourceOfRoom
from merger.timeline.clock import Span
from recorders.rtsp.address import Address
from recorders.supervisor.schedule import assignments, pause_s

pytestmark = pytest.mark.quick

MOSCOW = ZoneInfo("Europe/Moscow")
TEN = datetime(2026, 11, 20, 7, tzinfo=UTC)


def source(address: str = "rtsp://10.0.5.4/live", name: str = "camera") -> SourceOfRoom:
    return SourceOfRoom("504", name, "speaker", "rtsp", address, MOSCOW)


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

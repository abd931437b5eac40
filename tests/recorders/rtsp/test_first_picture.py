"""The first picture of a connection is one before those that follow."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from recorders.rtsp.first_picture import FirstPicture

pytestmark = pytest.mark.quick


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

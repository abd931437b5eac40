"""Parts that are the same: two minutes without any media are encoded once, however often they come."""

from __future__ import annotations

from datetime import timedelta

from tests.conftest import START, Room
from tests.render.test_time import check_instants, path_of
from tests.support.truth import frames_seen


def test_minutes_without_media_are_one_part(one_room: Room) -> None:
    """With two encoders at a time, which must not write the same file."""
    for source in ("speaker", "screen"):
        one_room.film(source, 0, 4, sound=source == "speaker")
    one_room.environ["MERGER_PARALLEL"] = "2"
    result = one_room.merge(6 * 60.0, chunk=timedelta(minutes=30))
    seen = frames_seen(path_of(result), wanted={*range(0, 100, 10), *range(3000, 9000, 1500)})
    check_instants(seen[:10], START)
    assert all(frame.left is None for frame in seen[10:])
    assert len(list(one_room.cache.glob("??/*.merge.mp4"))) < len(result.plan.parts)

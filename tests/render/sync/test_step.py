"""One instant on both sides, by sound: cameras whose clocks nobody set show the same."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from merger.render.sync import step
from merger.timeline.clock import utc
from merger.timeline.report import MergeResult
from recorders.testing.speech import Lecture
from tests.conftest import START, Room, seconds
from tests.render.test_time import check_instants, path_of
from tests.support.truth import frames_seen

LENGTH_S = 32.0
LECTURE = Lecture(1, START - seconds(5))
FAST = Fraction(1_000_300, 1_000_000)
NAMED = {name: f"2026-11-20_10-00-00_504_{name}.mp4" for name in ("speaker", "screen")}
MOST_APART_MS = 40


def film(room: Room, source: str, lecture: Lecture = LECTURE, **options: object) -> Path:
    """Film a source whose file is named as if it had begun with the record."""
    return room.film(source, length_s=LENGTH_S, name=NAMED[source], lecture=lecture, **options)


def film_apart(room: Room, source: str, lecture: Lecture = LECTURE) -> Path:
    """Film by a clock that is 1.2 s ahead, and runs 300 ppm fast."""
    return film(room, source, lecture, at_s=-1.2, media_rate=FAST)


def write_sidecar(film: Path, at_s: float = 0.0) -> None:
    film.with_suffix(".json").write_text(json.dumps({"start": (START + seconds(at_s)).isoformat()}))


def told(result: MergeResult) -> list[tuple[str, str, str]]:
    return [(sync.source, sync.reference, sync.outcome) for sync in result.syncs]


@pytest.mark.parametrize("trusted", [None, "screen"])
def test_two_cameras_apart(one_room: Room, trusted: str | None) -> None:
    """The speaker's clock counts, unless another is known."""
    moved, reference = ("speaker", "screen") if trusted else ("screen", "speaker")
    film_apart(one_room, moved)
    right = film(one_room, reference)
    if trusted:
        write_sidecar(right)
    result = one_room.merge(30.0, from_s=1.0)
    assert told(result) == [(moved, reference, "moved")] and result.warnings == []
    seen = frames_seen(path_of(result), wanted=[*range(50), *range(675, 725)])
    check_instants(seen, START + seconds(1))
    for frame in seen:
        assert frame.left is not None and frame.right is not None
        assert abs(frame.left.day_ms - frame.right.day_ms) <= MOST_APART_MS
    (document,) = json.loads(next(one_room.output.glob("*.plan.json")).read_text())["sync"]
    assert document["offset_ms"] == pytest.approx(-1200.3, abs=2)  # its file ran for 1 s by then
    assert document["ppm"] == pytest.approx(-300, abs=30)
    assert document["confidence"] > 0.9 and document["message"]["key"] == "sync.moved"


def test_it_is_measured_once(one_room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    one_room.rate = Fraction(5)
    film(one_room, "speaker")
    film_apart(one_room, "screen")
    first = one_room.merge(30.0, layout="speaker_only")
    monkeypatch.setattr(step, "align", None)
    again = one_room.merge(30.0, layout="speaker_only")
    assert told(again) == [("screen", "speaker", "moved")] and again.syncs == first.syncs
    assert again.plan == first.plan
    one_room.environ["MERGER_SYNC"] = "no"
    assert one_room.merge(30.0, layout="speaker_only").syncs == []


@pytest.mark.parametrize("case", ["another lecture", "both know the time", "the same instant"])
def test_what_is_not_moved(one_room: Room, case: str) -> None:
    one_room.rate = Fraction(5)
    write_sidecar(film(one_room, "speaker"))
    if case == "another lecture":
        film_apart(one_room, "screen", Lecture(2, START - seconds(5)))
    elif case == "both know the time":
        write_sidecar(film_apart(one_room, "screen"))
    else:
        film(one_room, "screen")
    result = one_room.merge(30.0, layout="speaker_only")
    outcome = {"another lecture": "unrelated", "both know the time": "apart"}.get(case, "together")
    assert told(result) == [("screen", "speaker", outcome)]
    assert [w.key for w in result.warnings] == (["sync.apart"] if outcome == "apart" else [])
    screen = next(track for track in result.plan.tracks if track.source == "screen")
    assert {clip.segment.clock.wall_zero for clip in screen.clips} == {utc(START)}

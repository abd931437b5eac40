"""One instant on both sides, by sound: cameras whose clocks nobody set show the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from merger.analysis.sync.loudness import SAMPLE_RATE
from merger.analysis.sync.measure import align
from merger.config import load
from merger.media.library import Library, read_library
from merger.render.context import RenderContext, Watch
from merger.render.progress import Silent
from merger.render.sync import step
from merger.storage.files import work_folder
from merger.timeline.clock import utc
from merger.timeline.sync.outcome import Sync
from recorders.testing.speech import Lecture
from tests.conftest import START, Room, seconds
from tests.render.test_time import check_instants, path_of
from tests.support.truth import frames_seen, sound_of

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


def told(syncs: Sequence[Sync]) -> list[tuple[str, str, str]]:
    return [(sync.source, sync.reference, sync.outcome) for sync in syncs]


@pytest.fixture
def few(one_room: Room) -> Room:
    """A room whose pictures are few: here, it is listened to."""
    one_room.rate = Fraction(5)
    return one_room


@pytest.mark.parametrize("trusted", [None, "screen"])
def test_two_cameras_apart(one_room: Room, trusted: str | None) -> None:
    """The speaker's clock counts, unless another is known."""
    moved, reference = ("speaker", "screen") if trusted else ("screen", "speaker")
    film_apart(one_room, moved)
    right = film(one_room, reference)
    if trusted:
        write_sidecar(right)
    result = one_room.merge(30.0, from_s=1.0)
    assert told(result.syncs) == [(moved, reference, "moved")] and result.warnings == []
    seen = frames_seen(path_of(result), wanted=[*range(50), *range(675, 725)])
    check_instants(seen, START + seconds(1))
    for frame in seen:
        assert frame.left is not None and frame.right is not None
        assert abs(frame.left.day_ms - frame.right.day_ms) <= MOST_APART_MS
    sound = sound_of(path_of(result))[:: 48_000 // SAMPLE_RATE]
    spoken = LECTURE.heard(START + seconds(1), len(sound), SAMPLE_RATE)
    heard = align(*((wave * 8_000).astype(np.int16) for wave in (spoken, sound)))
    assert not isinstance(heard, str) and abs(heard.offset_s) < MOST_APART_MS / 1000
    (document,) = json.loads(next(one_room.output.glob("*.plan.json")).read_text())["sync"]
    assert document["offset_ms"] == pytest.approx(-1200.3, abs=2)  # its file ran for 1 s by then
    assert document["ppm"] == pytest.approx(-300, abs=30)
    assert document["confidence"] > 0.9 and document["message"]["key"] == "sync.moved"


def synchronised(room: Room, until_s: float = 30.0) -> tuple[list[Sync], Library]:
    """Do what a merge does before it looks at pictures."""
    request = room.request(until_s)
    configured = load({"MERGER_CACHE": str(room.cache), **room.environ})
    library = read_library(
        room.library, request.room, request.sources.names, request.span, request.zone
    )
    room.cache.mkdir(exist_ok=True)
    with work_folder(room.cache) as work:
        context = RenderContext(configured, room.tool, Watch(Silent()), lambda: False, work)
        syncs = step.synchronise(context, request, library)
        assert not any(path.suffix == ".pcm" for path in work.rglob("*"))
    return syncs, library


def test_it_is_measured_once(few: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    film(few, "speaker")
    film_apart(few, "screen")
    first, library = synchronised(few)
    monkeypatch.setattr(step, "align", None)
    again, as_before = synchronised(few)
    assert told(again) == [("screen", "speaker", "moved")] and again == first
    clocks = [[entry.clock for entry in one.entries] for one in (library, as_before)]
    assert clocks[0] == clocks[1]
    few.environ["MERGER_SYNC"] = "no"
    assert synchronised(few)[0] == []


@pytest.mark.parametrize("container", ["ts", "mkv"])
def test_files_of_a_source_move_as_one(few: Room, container: str) -> None:
    """Two files that meet, named to the second by a clock that is ahead."""
    film(few, "speaker")
    for at_s in (0, 16):
        few.film(
            "screen", at_s - 1.2, 16.0, name=f"2026-11-20_10-00-{at_s:02}_504_screen.{container}",
            lecture=LECTURE, container=container,
        )  # fmt: skip
    syncs, library = synchronised(few, 32.0)
    assert told(syncs) == [("screen", "speaker", "moved")]
    for entry in library.entries:
        if entry.source == "screen":
            number = 16 * entry.file.endswith(f"16_504_screen.{container}")
            begun = utc(START + seconds(number - 1.2))
            assert abs(entry.clock.wall(entry.begins_us) - begun) < seconds(0.03)


@pytest.mark.parametrize("lecture", [1, 2])
def test_what_is_not_moved(few: Room, lecture: int) -> None:
    write_sidecar(film(few, "speaker"))
    if lecture == 1:
        film(few, "screen")
    else:
        film_apart(few, "screen", Lecture(2, START - seconds(5)))
    syncs, library = synchronised(few)
    assert told(syncs) == [("screen", "speaker", "together" if lecture == 1 else "unrelated")]
    assert {entry.clock.wall_zero for entry in library.entries} == {utc(START)}


def test_two_known_clocks_that_disagree_are_told(few: Room) -> None:
    write_sidecar(film(few, "speaker"))
    write_sidecar(film_apart(few, "screen"))
    result = few.merge(30.0, layout="speaker_only")
    assert told(result.syncs) == [("screen", "speaker", "apart")]
    assert result.warnings == [result.syncs[0].message]
    screen = next(track for track in result.plan.tracks if track.source == "screen")
    assert {clip.segment.clock.wall_zero for clip in screen.clips} == {utc(START)}

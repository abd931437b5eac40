"""Which pictures of the screen are looked at, and what the samples of a chunk mean together."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merger.analysis.sampling import MOST_PICTURES, decide_chunk
from merger.analysis.targets import (
    FEWEST_SAMPLES,
    SAMPLE_EVERY,
    Target,
    pick_evenly,
    targets,
)
from merger.timeline.clock import ClockMap, Segment, Span, Stretch, Track, picture_track
from merger.timeline.media import MediaFile
from merger.timeline.plan import Verdict

pytestmark = pytest.mark.quick

START = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
HALF_HOUR = Span(START, START + timedelta(minutes=30))


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def span(start: float, end: float) -> Span:
    return Span(at(start), at(end))


class Screen:
    """Files of a screen: each a start and an end in seconds, with a key frame every so often."""

    def __init__(self, *files: tuple[float, float], keys: list[float] | float) -> None:
        self.media: dict[str, MediaFile] = {}
        segments = []
        for start, end in files:
            length = end - start
            some = np.arange(0, length, keys) if isinstance(keys, float) else np.array(keys)
            key_us = np.round(some * 1_000_000).astype(np.int64)
            name = f"{start}"
            self.media[name] = MediaFile(
                Path(name), "mov", 1, 1, None, None, key_us, 0, key_us, key_us, (), 0
            )
            stretch = (Stretch(0, round(length * 1_000_000)),)
            segments.append(Segment("screen", name, ClockMap(at(start), 0), stretch, ()))
        self.track: Track = picture_track("screen", HALF_HOUR, segments)

    def targets(self, chunk: Span = HALF_HOUR) -> tuple[list[Target], int]:
        return targets(chunk, self.track, self.media)


def test_a_key_frame_about_every_ten_seconds() -> None:
    found, missing = Screen((0, 1800), keys=2.0).targets()
    assert (len(found), missing) == (180, 0)
    times = [target.at_us / 1_000_000 for target in found]
    assert times == sorted(times)
    # Each is the nearest to the middle of its ten seconds (4 or 6 of 0, 2, 4, 6, 8).
    assert all(abs(t % 10 - 5) <= 1 for t in times)
    assert all(target.key == t / 2 for target, t in zip(found, times, strict=True))


@pytest.mark.parametrize(
    ("seconds", "count"), [(1800, 180), (10, 5), (50, 5), (60, 6), (61, 7), (1, 5)]
)
def test_at_least_five_samples_where_there_are_key_frames(seconds: float, count: int) -> None:
    found, missing = Screen((0, 1800), keys=0.1).targets(span(0, seconds))
    assert (len(found), len(set(found)), missing) == (count, count, 0)


def test_rare_key_frames_are_all_looked_at() -> None:
    found, missing = Screen((0, 1800), keys=60.0).targets()
    assert ([t.key for t in found], missing) == (list(range(30)), 0)


def test_key_frames_that_lie_close_together_make_up_the_five() -> None:
    found, _ = Screen((0, 1800), keys=[0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]).targets()
    assert len(set(found)) == FEWEST_SAMPLES


def seconds(found: list[Target]) -> list[tuple[int, float]]:
    return [(target.key, target.at_us / 1_000_000) for target in found]


def test_few_key_frames_are_joined_by_pictures_between_them() -> None:
    """However long the rest is, they would decide for it alone."""
    found, missing = Screen((0, 1800), keys=[0.0]).targets()
    assert seconds(found) == [(0, at_s) for at_s in (0.0, 235.0, 685.0, 1125.0, 1575.0)]
    assert missing == 0
    found, missing = Screen((0, 1800), keys=[0.0, 0.1, 0.2]).targets()
    assert sorted(seconds(found)) == [(0, 0.0), (1, 0.1), (2, 0.2), (2, 455.0), (2, 1355.0)]
    assert missing == 0


def test_a_chunk_between_two_key_frames_is_looked_at_in_five_places() -> None:
    found, missing = Screen((0, 1800), keys=[0.0, 900.0]).targets(span(300, 600))
    assert seconds(found) == [(0, at_s) for at_s in (335.0, 395.0, 455.0, 515.0, 575.0)]
    assert missing == 0


def test_between_key_frames_only_media_is_looked_at() -> None:
    found, missing = Screen((0, 3), keys=[0.0]).targets(span(1, 6))
    assert (seconds(found), missing) == ([(0, 1.5), (0, 2.5)], 3)


def test_media_that_no_middle_of_a_slot_falls_into_is_looked_at() -> None:
    found, missing = Screen((0, 1000), keys=[0.0]).targets(span(999, 1799))
    assert (seconds(found), missing) == ([(0, 999.5)], 80)


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        ([(0, 1800)], 0),
        ([(0, 900)], 90),
        ([(0, 600), (1200, 1800)], 60),
        ([(-60, 6), (14, 1800)], 0),  # no middle of ten seconds lies in the gap
        ([], 180),
    ],
)
def test_samples_that_find_no_media_are_missing(
    files: list[tuple[float, float]], missing: int
) -> None:
    found, count = Screen(*files, keys=1.0).targets()
    assert count == missing
    assert len(found) == 180 - missing


def test_no_media_at_all_gives_nothing_to_look_at() -> None:
    screen = Screen((1000, 1800), keys=1.0)
    assert screen.targets(span(0, 100)) == ([], 10)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(0, 1800), min_size=2, max_size=8, unique=True),
    st.sampled_from([0.5, 2.0, 7.0, 30.0]),
    st.integers(0, 1700),
    st.integers(1, 1800),
)
def test_every_target_lies_in_the_chunk_and_few_are_no_key_frames(
    edges: list[int], keys: float, start: int, length: int
) -> None:
    cuts = sorted(edges)
    screen = Screen(*zip(cuts[::2], cuts[1::2], strict=False), keys=keys)
    chunk = span(start, min(1800, start + length))
    found, missing = screen.targets(chunk)
    slots = max(FEWEST_SAMPLES, -(-chunk.length // SAMPLE_EVERY))
    assert len(set(found)) == len(found)
    assert len(found) + missing <= slots + FEWEST_SAMPLES
    for target in found:
        instant = at(float(target.file) + target.at_us / 1_000_000)
        assert instant in chunk
    keyed = [t for t in found if int(screen.media[t.file].key_us[t.key]) == t.at_us]
    assert len(keyed) == len(found) <= slots or len(found) <= FEWEST_SAMPLES
    if any(clip.span.cut_to(chunk) for clip in screen.track.clips):
        assert found


@pytest.mark.parametrize(
    ("count", "kept"),
    [
        (180, [15, 45, 75, 105, 135, 165]),
        (9, [0, 2, 3, 5, 6, 8]),
        (7, [0, 1, 2, 4, 5, 6]),
        (6, [0, 1, 2, 3, 4, 5]),
        (1, [0]),
        (0, []),
    ],
)
def test_pictures_are_kept_evenly(count: int, kept: list[int]) -> None:
    looked_at = [Target("a", n, n) for n in range(count)]
    assert [target.key for target in pick_evenly(looked_at, MOST_PICTURES)] == kept


def samples(**counts: int) -> list[Verdict]:
    return [verdict for verdict, count in counts.items() for _ in range(count)]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("verdicts", "presence", "verdict", "score"),
    [
        (samples(presentation=180), True, "presentation", 1),
        (samples(no_signal=30, presentation=150), True, "presentation", Fraction(5, 6)),
        (samples(no_signal=156, presentation=24), False, "no_signal", Fraction(2, 15)),
        (samples(presentation=3, no_signal=2), True, "presentation", Fraction(3, 5)),
        (samples(presentation=3, no_signal=3), False, "presentation", Fraction(1, 2)),
        (samples(presentation=4, no_signal=3, blank=2), False, "presentation", Fraction(4, 9)),
        (samples(blank=5), False, "blank", 0),
        # what is missing has no say about what was there
        (samples(missing=170, presentation=10), True, "missing", 1),
        (samples(missing=170, presentation=4, blank=6), False, "missing", Fraction(2, 5)),
        (samples(missing=180), False, "missing", 0),
        ([], False, "missing", 0),
    ],
)
def test_what_samples_mean_together(
    verdicts: list[Verdict], presence: bool, verdict: str, score: Fraction
) -> None:
    chunk = decide_chunk(HALF_HOUR, verdicts)
    assert (chunk.presence, chunk.verdict, chunk.score) == (presence, verdict, score)
    assert chunk.samples == len(verdicts)
    assert chunk.span == HALF_HOUR

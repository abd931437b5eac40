"""Spans, the frame grid, clock maps, and tracks of clips and gaps."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merger.timeline.clock import (
    Clip,
    ClockMap,
    FrameGrid,
    Gap,
    Segment,
    Span,
    Stretch,
    build_track,
    frame_count,
    picture_track,
    sound_track,
    utc,
    without_spans,
)

pytestmark = pytest.mark.quick

START = datetime(2026, 11, 20, 7, 5, tzinfo=UTC)
NTSC = Fraction(30000, 1001)
proven = settings(max_examples=100, deadline=None, derandomize=True)


def at(seconds: float) -> datetime:
    return START + timedelta(microseconds=round(seconds * 1_000_000))


def span(start: float, end: float) -> Span:
    return Span(at(start), at(end))


def segment(
    start: float,
    end: float,
    file: str = "a",
    source: str = "cam",
    frame_us: int = 0,
    leeway: float = 0,
) -> Segment:
    """Return a segment without drift whose pictures and sound fill a stretch of seconds."""
    media = (Stretch(0, round((end - start) * 1_000_000)),)
    clock = ClockMap(at(start), 0)
    return Segment(source, file, clock, media, media, frame_us, timedelta(seconds=leeway))


def laid_out(
    *items: Segment, frame: timedelta | None = None
) -> list[tuple[float, float, str | None]]:
    """Return the track of some segments over a minute, in seconds."""
    found = picture_track("cam", span(0, 60), items, frame)
    return [
        (
            (item.span.start - START).total_seconds(),
            (item.span.end - START).total_seconds(),
            item.segment.file if isinstance(item, Clip) else None,
        )
        for item in found.items
    ]


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ([], [(0, 60, None)]),
        ([segment(0, 60)], [(0, 60, "a")]),
        ([segment(-30, 90)], [(0, 60, "a")]),
        ([segment(4.2, 57)], [(0, 4.2, None), (4.2, 57, "a"), (57, 60, None)]),
        ([segment(30, 60, "b"), segment(0, 30)], [(0, 30, "a"), (30, 60, "b")]),
        ([segment(0, 40), segment(30, 60, "b")], [(0, 40, "a"), (40, 60, "b")]),
        ([segment(0, 60), segment(10, 20, "b")], [(0, 60, "a")]),
        ([segment(60, 90), segment(-9, 0, "b")], [(0, 60, None)]),
        ([segment(0, 60, source="other")], [(0, 60, None)]),
    ],
)
def test_a_track_of_segments(
    segments: list[Segment], expected: list[tuple[float, float, str | None]]
) -> None:
    assert laid_out(*segments) == expected


def test_a_pause_in_a_file_is_a_gap_of_its_track() -> None:
    paused = Segment(
        "cam",
        "a",
        ClockMap(START, 500),
        (Stretch(500, 10_000_500), Stretch(30_000_500, 60_000_500)),
        (Stretch(500, 60_000_500),),
    )
    assert laid_out(paused) == [(0, 10, "a"), (10, 30, None), (30, 60, "a")]
    assert len(sound_track("cam", span(0, 60), [paused]).items) == 1


FRAME = timedelta(milliseconds=40)
WHOLE = [(0, 10, "a"), (10, 60, "b")]


def film(start: float, end: float, file: str = "a", frame_us: int = 40_000) -> Segment:
    return segment(start, end, file, frame_us=frame_us)


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        # up to a frame of the output, or of the source where that is longer
        ([film(0, 9.992), film(10, 60, "b")], WHOLE),
        ([film(0, 9.96), film(10, 60, "b")], WHOLE),
        ([film(0, 9.98, frame_us=16_667), film(10, 60, "b")], WHOLE),
        ([film(0, 9, frame_us=1_000_000), film(10, 60, "b")], WHOLE),
        ([film(0, 9.959), film(10, 60, "b")], [(0, 9.959, "a"), (9.959, 10, None), WHOLE[1]]),
        ([film(0, 9), film(10, 60, "b", 1_000_000)], [(0, 9, "a"), (9, 10, None), WHOLE[1]]),
        # nothing is held over what another file shows, nor where nothing follows
        ([film(0, 9.98), film(5, 20, "b"), film(20.01, 60, "c")],
         [(0, 9.98, "a"), (9.98, 20.01, "b"), (20.01, 60, "c")]),
        ([film(0, 30), film(5, 20, "b"), film(20.01, 60, "c")], [(0, 30, "a"), (30, 60, "c")]),
        ([film(0, 59.97)], [(0, 59.97, "a"), (59.97, 60, None)]),
        ([film(0.03, 60)], [(0, 0.03, None), (0.03, 60, "a")]),
        # a file that ended just before the record stands at its beginning
        ([film(-9, -0.01), film(0.02, 60, "b")], [(0, 0.02, "a"), (0.02, 60, "b")]),
        # damage at its end
        ([film(0, 9.98, frame_us=0), film(10, 60, "b")],
         [(0, 9.98, "a"), (9.98, 10, None), WHOLE[1]]),
    ],
)  # fmt: skip
def test_a_moment_between_two_files_shows_the_first(
    segments: list[Segment], expected: list[tuple[float, float, str | None]]
) -> None:
    assert laid_out(*segments, frame=FRAME) == expected


@pytest.mark.parametrize(
    ("leeways", "gap", "held"),
    [((1, 1), 0.9, True), ((0, 1), 0.9, True), ((1, 0), 0.9, True),
     ((0, 0), 0.9, False), ((1, 1), 1.0, False), ((2, 2), 1.9, True)],
)  # fmt: skip
def test_what_names_leave_open_is_neither_seen_nor_heard_as_a_gap(
    leeways: tuple[float, float], gap: float, held: bool
) -> None:
    before = segment(0, 10, frame_us=40_000, leeway=leeways[0])
    after = segment(10 + gap, 60, "b", frame_us=40_000, leeway=leeways[1])
    shown = picture_track("cam", span(0, 60), [before, after], FRAME)
    heard = sound_track("cam", span(0, 60), [before, after])
    for track in (shown, heard):
        assert [item.span.length for item in track.gaps] == (
            [] if held else [timedelta(seconds=gap)]
        )
    # A pause in the sound of one file is one.
    paused = replace(before, sound=(Stretch(0, 4_000_000), Stretch(4_900_000, 10_000_000)))
    assert len(sound_track("cam", span(0, 10), [paused]).gaps) == 1


def test_a_pause_inside_a_file_is_never_held() -> None:
    stretches = (Stretch(0, 10_000_000), Stretch(10_030_000, 60_000_000))
    paused = Segment("cam", "a", ClockMap(START, 0), stretches, (), 40_000)
    expected = [(0, 10, "a"), (10, 10.03, None), (10.03, 60, "a")]
    assert laid_out(paused, frame=FRAME) == expected


def test_how_long_a_file_may_stand_is_by_the_wall_clock() -> None:
    slow = Segment(
        "cam", "a", ClockMap(START, 0, Fraction(101, 100)), (Stretch(0, 1_000_000),), (), 100_000
    )
    for gap, held in ((0.101, True), (0.102, False)):
        track = laid_out(slow, film(1.01 + gap, 60, "b"), frame=FRAME)
        assert (len(track) == 2) is held


def test_an_empty_span_has_one_empty_gap() -> None:
    assert build_track("cam", span(5, 5), []).items == (Gap(span(5, 5)),)


@st.composite
def segments(draw: st.DrawFn) -> list[Segment]:
    """Draw ragged, drifting, overlapping, pausing segments around a minute."""
    found = []
    for n in range(draw(st.integers(0, 6))):
        edges = sorted(draw(st.sets(st.integers(0, 40_000_000), min_size=2, max_size=6)))
        stretches = tuple(Stretch(a, b) for a, b in zip(edges[::2], edges[1::2], strict=False))
        clock = ClockMap(
            at(draw(st.integers(-50_000, 65_000)) / 1000),
            draw(st.integers(-5_000_000, 5_000_000)),
            Fraction(draw(st.integers(950_000, 1_050_000)), 1_000_000),
        )
        frame_us = draw(st.sampled_from([0, 40_000, 2_000_000]))
        found.append(Segment("cam", f"{n}", clock, stretches, stretches, frame_us))
    return found


@proven
@given(segments(), st.randoms(use_true_random=False))
def test_the_items_of_a_track(found: list[Segment], chance: random.Random) -> None:
    whole = span(0, 60)
    made = picture_track("cam", whole, found)
    # They tile the span, edge to edge, and none is empty.
    assert made.items[0].span.start == whole.start
    assert made.items[-1].span.end == whole.end
    assert all(a.span.end == b.span.start for a, b in pairwise(made.items))
    assert all(item.span for item in made.items)
    # A clip lies inside its segment's media; a gap overlaps none of any segment.
    for clip in made.clips:
        stretches = clip.segment.spans(clip.segment.pictures)
        assert any(s.start <= clip.span.start and clip.span.end <= s.end for s in stretches)
    for gap in made.gaps:
        for one in found:
            assert not any(s.cut_to(gap.span) for s in one.spans(one.pictures))
    # The order in which a folder lists its files changes nothing.
    shuffled = list(found)
    chance.shuffle(shuffled)
    assert picture_track("cam", whole, shuffled) == made


@proven
@given(segments(), st.randoms(use_true_random=False))
def test_the_items_of_a_track_whose_files_are_held(
    found: list[Segment], chance: random.Random
) -> None:
    whole = span(0, 60)
    bare = picture_track("cam", whole, found)
    made = picture_track("cam", whole, found, FRAME)
    assert made.items[0].span.start == whole.start
    assert made.items[-1].span.end == whole.end
    assert all(a.span.end == b.span.start for a, b in pairwise(made.items))
    assert all(item.span for item in made.items)
    # What is seen stays where it is; gaps go as a whole, and only short ones.
    for before in bare.items:
        for instant in (before.span.start, before.span.end - timedelta.resolution):
            after = next(item for item in made.items if instant in item.span)
            if isinstance(before, Clip):
                assert isinstance(after, Clip) and after.segment == before.segment
            elif isinstance(after, Clip):
                file = after.segment
                own = timedelta(microseconds=round(file.frame_us * file.clock.rate))
                assert file.frame_us and before.span.length <= max(FRAME, own)
            else:
                assert after == before
    shuffled = list(found)
    chance.shuffle(shuffled)
    assert picture_track("cam", whole, shuffled, FRAME) == made


@proven
@given(
    st.integers(0, 10**11),
    st.integers(-(10**9), 10**9),
    st.fractions(Fraction(95, 100), Fraction(105, 100), max_denominator=10**7),
)
def test_a_clock_map_goes_there_and_back(file_us: int, zero_us: int, rate: Fraction) -> None:
    clock = ClockMap(START, zero_us, rate)
    assert abs(clock.file_us(clock.wall(file_us)) - file_us) <= 1 + abs(rate - 1)


def test_drift_is_mapped_linearly() -> None:
    clock = ClockMap(START, 1_000_000, Fraction(1001, 1000))
    assert clock.wall(1_000_000) == START
    assert clock.wall(1_001_000_000) == at(1001)
    assert clock.file_us(at(500.5)) == 501_000_000


@pytest.mark.parametrize("rate", [Fraction(25), NTSC], ids=str)
def test_a_frame_is_the_nearest_to_and_the_first_at_its_own_instant(rate: Fraction) -> None:
    grid = FrameGrid(START, rate)
    frames = [*range(1000), 135_000, 2_160_000]
    assert [grid.nearest(grid.instant(n)) for n in frames] == frames
    assert [grid.first_at(grid.instant(n)) for n in frames] == frames


@proven
@given(st.sampled_from([Fraction(25), NTSC]), st.integers(-(10**9), 10**11))
def test_the_first_frame_at_an_instant(rate: Fraction, us: int) -> None:
    grid = FrameGrid(START, rate)
    instant = START + timedelta(microseconds=us)
    first = grid.first_at(instant)
    assert grid.instant(first - 1) < instant <= grid.instant(first)
    frame = timedelta(microseconds=round(1_000_000 / rate))
    assert abs(grid.instant(grid.nearest(instant)) - instant) <= frame / 2 + timedelta.resolution


@pytest.mark.parametrize(
    ("seconds", "rate", "frames"),
    [
        (75 * 60, Fraction(25), 112_500),
        (24 * 3600, Fraction(25), 2_160_000),
        (1001, NTSC, 30_000),
        (0.04, Fraction(25), 1),
        (0.001, Fraction(25), 1),
        (1.03, Fraction(25), 26),
        (1.01, Fraction(25), 25),
    ],
)
def test_how_many_frames_a_span_lasts(seconds: float, rate: Fraction, frames: int) -> None:
    assert frame_count(span(0, seconds), rate) == frames


@pytest.mark.parametrize(
    ("stretches", "holes", "left"),
    [
        ([(0, 10)], [], [(0, 10)]),
        ([(0, 10)], [(3, 5)], [(0, 3), (5, 10)]),
        ([(0, 10)], [(0, 3), (8, 12)], [(3, 8)]),
        ([(0, 10), (20, 30)], [(5, 25)], [(0, 5), (25, 30)]),
        ([(0, 10)], [(0, 10)], []),
        ([(0, 10)], [(10, 20), (-5, 0)], [(0, 10)]),
        ([(0, 10)], [(6, 8), (2, 4), (3, 7)], [(0, 2), (8, 10)]),
    ],
)
def test_cutting_holes(
    stretches: list[tuple[int, int]], holes: list[tuple[int, int]], left: list[tuple[int, int]]
) -> None:
    found = without_spans([Stretch(*s) for s in stretches], [Stretch(*h) for h in holes])
    assert [(s.start_us, s.end_us) for s in found] == left


@proven
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=6),
    st.sets(st.integers(0, 50), min_size=4, max_size=8),
)
def test_what_is_left_beside_holes(holes: list[tuple[int, int]], edges: set[int]) -> None:
    cuts = sorted(edges)
    stretches = [Stretch(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]
    found = without_spans(stretches, [Stretch(a, a + length) for a, length in holes])
    wanted = {n for s in stretches for n in range(s.start_us, s.end_us)}
    wanted -= {n for a, length in holes for n in range(a, a + length)}
    assert [n for s in found for n in range(s.start_us, s.end_us)] == sorted(wanted)


def test_spans_are_half_open_and_aware() -> None:
    assert at(0) in span(0, 1)
    assert at(1) not in span(0, 1)
    assert not span(1, 1)
    assert span(0, 10).cut_to(span(5, 20)) == span(5, 10)
    assert span(0, 1).cut_to(span(5, 9)) == span(5, 5)
    assert span(20, 30).cut_to(span(5, 9)) == span(9, 9)
    with pytest.raises(ValueError, match="aware"):
        Span(datetime(2026, 1, 1), at(0))
    with pytest.raises(ValueError, match="before it starts"):
        span(1, 0)


def test_only_aware_instants_have_a_utc_one() -> None:
    assert utc(datetime.fromisoformat("2026-11-20T10:05:00+03:00")) == START
    with pytest.raises(ValueError, match="aware"):
        utc(datetime(2026, 1, 1))

"""What is seen and heard at every instant: tables of cases, and properties of any plan."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merger.i18n import Message
from merger.timeline.clock import ClockMap, FrameGrid, Segment, Span, Stretch
from merger.timeline.plan import (
    Chunk,
    Decision,
    EditPlan,
    Slate,
    Sources,
    plan_edit,
    plan_parts,
    plan_sound,
)
from merger.timeline.screen.decisions import decide_chunks

pytestmark = pytest.mark.quick

START = datetime(2026, 11, 20, 7, 5, tzinfo=UTC)
LENGTH_S, CHUNK_S = 20, 5
ALL = Sources("speaker", "screen", "board", "audio")
proven = settings(max_examples=100, deadline=None, derandomize=True)
Seconds = tuple[float, float]


def at(seconds: float) -> datetime:
    return START + timedelta(microseconds=round(seconds * 1_000_000))


def segment(source: str, pictures: list[Seconds], sound: list[Seconds] | None = None) -> Segment:
    def stretches(some: list[Seconds]) -> tuple[Stretch, ...]:
        return tuple(Stretch(round(a * 1e6), round(b * 1e6)) for a, b in some)

    heard = pictures if sound is None else sound
    return Segment(source, source, ClockMap(START, 0), stretches(pictures), stretches(heard))


def chunks(presences: list[bool]) -> list[Chunk]:
    spans = [Span(at(n * CHUNK_S), at((n + 1) * CHUNK_S)) for n in range(len(presences))]
    return [
        Chunk(span, presence, "presentation", Fraction(presence), 5)
        for span, presence in zip(spans, presences, strict=True)
    ]


def plan(
    segments: list[Segment],
    presences: list[bool],
    sources: Sources = ALL,
    layout: str = "side_by_side",
    rate: Fraction = Fraction(25),
) -> EditPlan:
    span = Span(START, at(LENGTH_S))
    cells = chunks(presences)
    return plan_edit(span, rate, layout, sources, segments, cells, decide_chunks(cells))


def named(view: Segment | Slate | None) -> str | None:
    return view.source if isinstance(view, Segment) else view and view.key


def told(found: EditPlan) -> list[tuple[float, str | None, str | None]]:
    """Return where each scene ends, in seconds, and what it shows left and right."""
    return [(s.end / 25, named(s.left), named(s.right)) for s in found.scenes]


SPEAKER = segment("speaker", [(0, 20)])


@pytest.mark.parametrize(
    ("screen", "board", "presences", "right"),
    [
        # presence: the screen; its holes show the board, else a slate
        ([(0, 20)], [(0, 20)], "PPPP", [(20, "screen")]),
        ([(0, 7), (9, 20)], [(0, 20)], "PPPP", [(7, "screen"), (9, "board"), (20, "screen")]),
        ([(0, 7), (9, 20)], [], "PPPP", [(7, "screen"), (9, "no_screen"), (20, "screen")]),
        ([(0, 7), (9, 20)], [(8, 20)], "PPPP",
         [(7, "screen"), (8, "no_screen"), (9, "board"), (20, "screen")]),
        # no presence: the board, its gaps are slates
        ([(0, 20)], [(0, 20)], "....", [(20, "board")]),
        ([(0, 20)], [(0, 6), (9, 20)], "....", [(6, "board"), (9, "no_board"), (20, "board")]),
        ([], [(0, 6)], "....", [(6, "board"), (10, "no_board"), (20, None)]),
        # neither in the whole chunk: the speaker alone
        ([(0, 20)], [], "....", [(20, None)]),
        ([], [], "....", [(20, None)]),
        ([(0, 20)], [], "P..P", [(5, "screen"), (15, None), (20, "screen")]),
        ([(0, 20)], [(0, 20)], "P..P", [(5, "screen"), (15, "board"), (20, "screen")]),
        # a source that comes off the frame grid is seen from the next frame on
        ([(4.99, 20)], [(0, 20)], "PPPP", [(5, "board"), (20, "screen")]),
    ],
)  # fmt: skip
def test_the_right_hand_side(
    screen: list[Seconds], board: list[Seconds], presences: str, right: list[tuple[float, str]]
) -> None:
    segments = [SPEAKER, segment("screen", screen), segment("board", board)]
    found = plan(segments, [p == "P" for p in presences])
    assert told(found) == [(end, "speaker", name) for end, name in right]
    for scene in found.scenes:
        assert scene.layout == ("speaker_only" if scene.right is None else "side_by_side")
    assert found.shows_right is any(name in ("screen", "board") for _, name in right)


def test_a_missing_speaker_is_a_slate_and_the_rest_goes_on() -> None:
    segments = [segment("speaker", [(2, 11)]), segment("screen", [(0, 20)])]
    assert told(plan(segments, [True, True, True, False])) == [
        (2, "no_speaker", "screen"),
        (11, "speaker", "screen"),
        (15, "no_speaker", "screen"),
        (20, "no_speaker", None),
    ]


def test_above_the_screen_a_missing_speaker_hides_nothing() -> None:
    segments = [segment("speaker", [(2, 11)]), segment("screen", [(0, 9)])]
    found = plan(segments, [True, True, True, False], layout="screen_large")
    assert [(s.end / 25, s.layout, named(s.left), named(s.right)) for s in found.scenes] == [
        (2, "screen_only", None, "screen"),
        (9, "screen_large", "speaker", "screen"),
        (11, "screen_large", "speaker", "no_screen"),
        (15, "screen_only", None, "no_screen"),
        (20, "speaker_only", "no_speaker", None),
    ]


def test_both_are_the_board_with_the_slide_above_it_and_what_is_missing_is_left_out() -> None:
    segments = [SPEAKER, segment("screen", [(0, 9)]), segment("board", [(5, 15)])]
    span = Span(START, at(LENGTH_S))
    decisions = [Decision(span, "both", "presentation", Message("decision.overruled"))]

    def scenes(layout: str) -> list[tuple[float, str, str | None, str | None]]:
        cells = chunks([True] * 4)
        found = plan_edit(span, Fraction(25), layout, ALL, segments, cells, decisions)
        return [(s.end / 25, s.layout, named(s.right), named(s.slide)) for s in found.scenes]

    assert scenes("screen_large") == [
        (5, "screen_large", "screen", None), (9, "screen_large", "board", "screen"),
        (15, "screen_large", "board", None), (20, "screen_large", "no_screen", None),
    ]  # fmt: skip
    assert scenes("speaker_only") == [(20, "speaker_only", None, None)]


def test_the_corner_belongs_to_layouts_that_need_one() -> None:
    assert plan([SPEAKER], [True] * 4).corner is None
    assert plan([SPEAKER], [True] * 4, layout="screen_large").corner == "bottom_right"


def test_the_layout_speaker_only_shows_nothing_else() -> None:
    segments = [SPEAKER, segment("screen", [(0, 20)]), segment("board", [(0, 20)])]
    found = plan(segments, [True] * 4, layout="speaker_only")
    assert told(found) == [(20, "speaker", None)]
    assert not found.shows_right


def test_a_new_file_of_the_same_source_is_a_new_scene() -> None:
    second = Segment("speaker", "b", ClockMap(at(10), 0), (Stretch(0, 10_000_000),), ())
    found = plan([segment("speaker", [(0, 10)]), second], [False] * 4)
    assert [scene.end for scene in found.scenes] == [250, 500]


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001)], ids=str)
def test_a_moment_between_two_files_flashes_no_slate(rate: Fraction) -> None:
    """A frame whose instant no file holds shows the file before; nothing behind it is shifted."""
    grid = FrameGrid(START, rate)
    joint = grid.instant(250)
    first, second = (
        Segment("speaker", name, ClockMap(zero, 0), (Stretch(0, 10_000_000),), (), 40_000)
        for name, zero in (
            ("a", joint - timedelta(microseconds=10_005_000)),
            ("b", joint + timedelta(microseconds=3_000)),
        )
    )
    found = plan([first, second], [False] * 4, Sources("speaker"), rate=rate)
    shown = [(s.first, s.end, s.left.file) for s in found.scenes if isinstance(s.left, Segment)]
    assert (shown[0][2], shown[0][1], shown[1][0], shown[1][2]) == ("a", 251, 251, "b")
    assert joint not in [gap.start for _, gap in found.gaps()]


def test_gaps_longer_than_a_frame_are_told() -> None:
    segments = [segment("speaker", [(0.02, 9), (9.03, 15), (16, 20)])]
    found = plan(segments, [False] * 4, Sources("speaker", "screen"))
    assert found.gaps() == [
        ("speaker", Span(at(15), at(16))), ("screen", Span(START, at(20))),
    ]  # fmt: skip


def heard(segments: list[Segment], sources: Sources = ALL) -> list[tuple[float, str | None]]:
    """Return until when, in seconds, each source is heard."""
    found = plan_sound(Span(START, at(20)), sources, segments)
    return [
        ((s.span.end - START).total_seconds(), s.segment.source if s.segment else None)
        for s in found
    ]


def sounds(**by_source: list[Seconds]) -> list[Segment]:
    return [segment(source, [], stretches) for source, stretches in by_source.items()]


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        (sounds(board=[(0, 20)], screen=[(0, 20)], speaker=[(0, 20)], audio=[(0, 20)]),
         [(20, "audio")]),
        (sounds(board=[(0, 20)], screen=[(0, 20)], speaker=[(0, 20)]), [(20, "speaker")]),
        (sounds(board=[(0, 20)], screen=[(0, 20)]), [(20, "screen")]),
        (sounds(board=[(0, 20)]), [(20, "board")]),
        (sounds(), [(20, None)]),
        (sounds(audio=[(5, 10)], speaker=[(0, 20)]),
         [(5, "speaker"), (10, "audio"), (20, "speaker")]),
        (sounds(speaker=[(3, 9)]), [(3, None), (9, "speaker"), (20, None)]),
        # blips: what came before goes on, the first one begins earlier
        (sounds(audio=[(5, 5.2)], speaker=[(0, 20)]), [(20, "speaker")]),
        (sounds(audio=[(0, 5), (5.2, 20)], speaker=[(0, 20)]), [(20, "audio")]),
        (sounds(audio=[(0.2, 20)], speaker=[(0, 20)]), [(20, "audio")]),
        (sounds(audio=[(0, 19.9)], speaker=[(0, 20)]), [(20, "audio")]),
        (sounds(audio=[(5, 5.25)], speaker=[(0, 20)]),
         [(5, "speaker"), (5.25, "audio"), (20, "speaker")]),
    ],
)  # fmt: skip
def test_the_sound(segments: list[Segment], expected: list[tuple[float, str | None]]) -> None:
    assert heard(segments) == expected


def test_a_source_with_two_roles_is_one_source() -> None:
    sources = Sources("cam", board="cam", audio="cam")
    assert sources.names == sources.pictures == sources.by_sound == ("cam",)


@st.composite
def records(draw: st.DrawFn) -> tuple[EditPlan, str]:
    """Draw a plan of ragged, drifting segments of some of four sources, and its layout."""
    segments = []
    for n in range(draw(st.integers(0, 8))):
        edges = sorted(draw(st.sets(st.integers(0, 15_000_000), min_size=2, max_size=6)))
        stretches = tuple(Stretch(a, b) for a, b in zip(edges[::2], edges[1::2], strict=False))
        clock = ClockMap(
            at(draw(st.integers(-8000, 21_000)) / 1000),
            draw(st.integers(-(10**6), 10**6)),
            Fraction(draw(st.integers(99, 101)), 100),
        )
        source = draw(st.sampled_from(ALL.names))
        segments.append(Segment(source, f"{n}", clock, stretches, stretches))
    sources = Sources("speaker", *(draw(st.sampled_from([n, None])) for n in ALL.names[1:]))
    presences = draw(st.lists(st.booleans(), min_size=4, max_size=4))
    layout = draw(
        st.sampled_from(["side_by_side", "side_by_side_16x9", "screen_large", "speaker_only"])
    )
    rate = draw(st.sampled_from([Fraction(25), Fraction(30000, 1001)]))
    return plan(segments, presences, sources, layout, rate), layout


def is_on(found: EditPlan, source: str, frame: int) -> bool:
    track = next((t for t in found.tracks if t.source == source), None)
    return track is not None and any(
        found.grid.first_at(c.span.start) <= frame < found.grid.first_at(c.span.end)
        for c in track.clips
    )


def expected_right(found: EditPlan, frame: int) -> str | None:
    """Return what the rules say about the right-hand side of a frame."""
    begins = [found.grid.first_at(c.span.start) for c in found.chunks] + [found.frames]
    n = max(n for n in range(len(found.chunks)) if begins[n] <= frame)
    screen, board = (is_on(found, name, frame) for name in ("screen", "board"))
    if found.chunks[n].presence and "screen" in {t.source for t in found.tracks}:
        return "screen" if screen else "board" if board else "no_screen"
    if any(is_on(found, "board", other) for other in range(begins[n], begins[n + 1])):
        return "board" if board else "no_board"
    return None


@proven
@given(records())
def test_every_plan(drawn: tuple[EditPlan, str]) -> None:
    found, layout = drawn
    # Scenes and parts tile the frames, the sound tiles the span.
    for items in (found.scenes, found.parts):
        assert (items[0].first, items[-1].end) == (0, found.frames)
        assert all(a.end == b.first for a, b in pairwise(items))
        assert all(item.first < item.end for item in items)
    spans = [sound.span for sound in found.sound]
    assert (spans[0].start, spans[-1].end) == (found.span.start, found.span.end)
    assert all(a.end == b.start for a, b in pairwise(spans))
    assert len(spans) == 1 or min(s.length for s in spans) >= timedelta(milliseconds=250)
    for scene in found.scenes:
        for view in (scene.left, scene.right):
            if isinstance(view, Segment):  # nobody is seen when there are no pictures of them
                assert all(_pictured(view, found.grid, n) for n in range(scene.first, scene.end))
        right = None if layout == "speaker_only" else expected_right(found, scene.first)
        assert named(scene.right) == right
        is_speaker_on = is_on(found, "speaker", scene.first)
        leaves_out = layout == "screen_large" and right is not None and not is_speaker_on
        assert scene.layout == (
            "speaker_only" if right is None else "screen_only" if leaves_out else layout
        )
        missing = None if leaves_out else "no_speaker"
        assert named(scene.left) == ("speaker" if is_speaker_on else missing)


def _pictured(segment: Segment, grid: FrameGrid, frame: int) -> bool:
    instant = grid.instant(frame)
    us = timedelta(microseconds=1)  # what rounding an instant of 29.97 frames a second may cost
    return any(s.start - us <= instant < s.end + us for s in segment.spans(segment.pictures))


def test_parts_of_many_scenes_are_halved() -> None:
    """A minute of six-second files opens no more of them at once than memory allows."""
    grid = FrameGrid(datetime(2026, 11, 20, 7, 0, tzinfo=UTC), Fraction(25))
    cuts = list(range(0, 3000, 50))  # sixty scenes in two minutes
    parts = plan_parts(grid, 3000, cuts)
    assert parts[0].first == 0 and parts[-1].end == 3000
    assert all(a.end == b.first for a, b in pairwise(parts))
    assert all(sum(p.first <= cut < p.end for cut in cuts) <= 13 for p in parts)
    assert plan_parts(grid, 3000, cuts[:10]) == plan_parts(grid, 3000)

"""What the screen shows over a record, and what follows from it for the right-hand side."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merger.analysis.watching.summary import summarise
from merger.i18n import Message
from merger.timeline.clock import ClockMap, Segment, Span, Stretch, picture_track
from merger.timeline.plan import Overrule, Right, Verdict
from merger.timeline.screen.decisions import (
    OVERRULED,
    SHORTEST_OFF,
    SHORTEST_ON,
    decide_instants,
    lay_flat,
    overrule,
    settle,
)
from merger.timeline.screen.signals import (
    WINDOW_US,
    Change,
    Mark,
    Observation,
    Picture,
    ScreenSignal,
    Shown,
    screen_signal,
)

pytestmark = pytest.mark.quick

START = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
WHY = Message("analysis.no_card")
S = 1_000_000


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def signal(*runs: tuple[float, Verdict]) -> ScreenSignal:
    """Return a signal from lengths in seconds and what was shown for so long."""
    shown, begins = [], 0.0
    for length, kind in runs:
        shown.append(Shown(Span(at(begins), at(begins + length)), kind, WHY))
        begins += length
    return ScreenSignal(tuple(shown))


def decided(*runs: tuple[float, Verdict]) -> list[tuple[float, str]]:
    return [
        ((d.span.start - START).total_seconds(), d.right) for d in decide_instants(signal(*runs))
    ]


def test_the_right_hand_side_follows_the_screen_where_it_happened() -> None:
    assert decided((600, "no_signal"), (120, "presentation"), (7, "blank"), (60, "presentation")) == [
        (0, "board"), (600, "screen"), (720, "board"), (727, "screen"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        pytest.param(
            [(60, "presentation"), (4.9, "blank"), (60, "presentation")], [(0, "screen")],
            id="a blackout",
        ),
        pytest.param(
            [(60, "no_signal"), (2.9, "presentation"), (60, "blank")], [(0, "board")], id="a flash",
        ),
        pytest.param(
            [(60, "presentation"), (3, "blank"), (3, "no_signal"), (60, "presentation")],
            [(0, "screen"), (60, "board"), (66, "screen")],
            id="two kinds of nothing are long together",
        ),
        pytest.param(
            [(60, "no_signal"), (3.5, "presentation"), (2, "blank"), (3.5, "presentation")],
            [(0, "board"), (60, "screen")],
            id="the shortest goes first",
        ),
        pytest.param(
            [(1, "no_signal"), (60, "presentation"), (1, "blank")],
            [(0, "board"), (1, "screen"), (61, "board")],
            id="the ends of the record stay",
        ),
        pytest.param(
            [(60, "no_signal"), (90, "missing"), (60, "presentation"), (90, "missing")],
            [(0, "board"), (60, "screen")],
            id="what is missing beside a presentation is said to be missing",
        ),
        pytest.param(
            [(60, "presentation"), (1800, "missing"), (60, "presentation")],
            [(0, "screen"), (60, "board"), (1860, "screen")],
            id="a screen that was not recorded for long",
        ),
    ],
)  # fmt: skip
def test_what_is_too_short_for_a_switch(
    runs: list[tuple[float, Verdict]], expected: list[tuple[float, str]]
) -> None:
    assert decided(*runs) == expected


def test_an_editor_overrules_a_span() -> None:
    decisions = decide_instants(signal((60, "presentation"), (60, "no_signal")))
    wanted = [
        Overrule(Span(at(50), at(70)), "speaker"),
        Overrule(Span(at(65), at(90)), "screen"),
        Overrule(Span(at(500), at(600)), "board"),
    ]
    assert [
        ((d.span.start - START).total_seconds(), d.right, d.why.key) for d in overrule(decisions, wanted)
    ] == [
        (0, "screen", "decision.shows"), (50, "speaker", OVERRULED), (60, "speaker", OVERRULED),
        (65, "screen", OVERRULED), (70, "screen", OVERRULED), (90, "board", "decision.shows"),
    ]  # fmt: skip


KINDS: list[Verdict] = ["presentation", "no_signal", "blank", "missing", "noise"]


@given(st.lists(st.tuples(st.integers(1, 12), st.sampled_from(KINDS)), min_size=1, max_size=40))
def test_switches_are_never_near_each_other(runs: list[tuple[float, Verdict]]) -> None:
    whole = signal(*runs)
    settled = settle(whole.shown)
    assert settled[0].span.start == START and settled[-1].span.end == whole.shown[-1].span.end
    for before, after in pairwise(settled):
        assert before.span.end == after.span.start
        assert before.is_on != after.is_on
    for run in settled[1:-1]:
        assert run.span.length >= (SHORTEST_ON if run.is_on else SHORTEST_OFF)
    edges = {shown.span.start for shown in whole.shown}
    assert {run.span.start for run in settled} <= edges  # each where it happened


def segment(name: str, begins_s: float, length_s: float) -> Segment:
    stretch = (Stretch(0, round(length_s * S)),)
    return Segment("screen", name, ClockMap(at(begins_s), 0), stretch, ())


def test_files_and_their_windows_become_one_signal() -> None:
    window_s = WINDOW_US / S
    track = picture_track(
        "screen", Span(START, at(2000)), [segment("a", -100, 1000), segment("b", 950, 500)]
    )
    seen = {
        ("a", 0): Observation(
            (Mark(0, "no_signal", WHY), Mark(130 * S, "presentation", WHY)), (Change(130 * S),), (0, 130 * S),
            (Picture(50 * S, "no_signal", b"early"), Picture(140 * S, "presentation", b"jpeg")),
        ),
        ("a", 1): Observation((Mark(WINDOW_US, "presentation", WHY),), (Change(WINDOW_US + 5 * S, is_build=True),)),
        ("b", 0): Observation((Mark(40_000, "blank", WHY),)),
    }  # fmt: skip
    found = screen_signal(track, seen)
    assert [((s.span.start - START).total_seconds(), s.kind) for s in found.shown] == [
        (0, "no_signal"), (30, "presentation"), (900, "missing"), (950, "blank"), (1450, "missing"),
    ]  # fmt: skip
    assert found.changes == (at(30), at(window_s - 100 + 5))
    assert found.builds == {at(window_s - 100 + 5)}
    assert [p.jpeg for p in found.pictures] == [b"jpeg"]
    look = summarise(found, Span(START, at(1800)))
    assert (look.chunk.presence, look.chunk.verdict) == (True, "presentation")
    assert look.chunk.score == Fraction(870, 1400)
    assert [picture["verdict"] for picture in look.pictures] == ["presentation"]
    assert summarise(found, Span(at(1500), at(1600))).chunk.verdict == "missing"


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ([(10, 20, "board"), (20, 30, "board")], [(10, 30, "board")]),
        ([(20, 30, "screen"), (10, 20, "board")], [(10, 20, "board"), (20, 30, "screen")]),
        ([(10, 30, "board"), (15, 20, "screen")], [(10, 15, "board"), (15, 20, "screen"), (20, 30, "board")]),
        ([(10, 20, "screen"), (5, 30, "board")], [(5, 30, "board")]),
        ([(-10, 10, "board"), (90, 120, "screen"), (200, 300, "board")], [(0, 10, "board"), (90, 100, "screen")]),
    ],
    ids=["they meet", "in another order", "one inside another", "one above another", "beyond the record"],
)  # fmt: skip
def test_two_lists_of_overrules_that_ask_for_one_thing_are_equal(
    one: list[tuple[int, int, Right]], same: list[tuple[int, int, Right]]
) -> None:
    whole = Span(at(0), at(100))

    def flat(wanted: list[tuple[int, int, Right]]) -> list[Overrule]:
        return lay_flat([Overrule(Span(at(a), at(b)), right) for a, b, right in wanted], whole)

    assert flat(one) == flat(same) != flat([(5, 30, "screen")])
    assert [(o.span, o.right) for o in flat(one)] == [
        (Span(at(a), at(b)), right) for a, b, right in same
    ]

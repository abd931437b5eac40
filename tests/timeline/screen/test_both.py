"""Board and slide at once: while a slide stands and somebody writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merger.i18n import Message
from merger.timeline.clock import Span
from merger.timeline.plan import Verdict
from merger.timeline.screen.both import SHORTEST_BOTH, find_standing, show_both, stand_longer
from merger.timeline.screen.decisions import decide_instants
from merger.timeline.screen.signals import ScreenSignal, Shown, ShownPicture

pytestmark = pytest.mark.quick

START = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
WHY = Message("analysis.no_card")
MINUTE = timedelta(seconds=60)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def span(start: float, end: float) -> Span:
    return Span(at(start), at(end))


def signal(*kinds: tuple[float, Verdict], changes: tuple[float, ...] = ()) -> ScreenSignal:
    """Return a signal from lengths in seconds and what was shown, and when it changed."""
    shown, begins = [], 0.0
    for length, kind in kinds:
        shown.append(Shown(span(begins, begins + length), kind, WHY))
        begins += length
    return ScreenSignal(tuple(shown), changes=tuple(map(at, changes)))


def decided(whole: ScreenSignal, *writing: tuple[float, float]) -> list[tuple[float, str]]:
    found = show_both(
        decide_instants(whole), find_standing(whole), [span(*w) for w in writing], MINUTE
    )
    assert found[0].span.start == whole.shown[0].span.start
    assert found[-1].span.end == whole.shown[-1].span.end
    assert all(one.span.end == after.span.start for one, after in pairwise(found))
    return [((d.span.start - START).total_seconds(), d.right) for d in found]


ON: tuple[float, Verdict] = (600, "presentation")


@pytest.mark.parametrize(
    ("whole", "writing", "expected"),
    [
        pytest.param(
            signal(ON), [(200, 300)], [(0, "screen"), (200, "both"), (300, "screen")],
            id="writing beside a slide that stands",
        ),
        pytest.param(
            signal(ON), [(20, 300)], [(0, "screen"), (60, "both"), (300, "screen")],
            id="it has to stand first",
        ),
        pytest.param(
            signal(ON, changes=(210.0, 250.0)), [(100, 400)],
            [(0, "screen"), (100, "both"), (210, "screen"), (310, "both"), (400, "screen")],
            id="back at once when the slide changes, builds and all",
        ),
        pytest.param(
            signal(ON, changes=tuple(range(10, 600, 50))), [(0, 600)], [(0, "screen")],
            id="slides that change often",
        ),
        pytest.param(signal(ON), [], [(0, "screen")], id="nobody writes"),
        pytest.param(signal(ON), [(100, 102.9)], [(0, "screen")], id="too short for a switch"),
        pytest.param(
            signal((100, "presentation"), (60, "no_signal"), (100, "presentation")), [(80, 240)],
            [(0, "screen"), (80, "both"), (100, "board"), (160, "screen"), (220, "both"), (240, "screen")],
            id="a screen that is off has the board alone, and stands anew",
        ),
        pytest.param(
            signal((100, "presentation"), (60, "no_signal")), [(70, 98)],
            [(0, "screen"), (70, "both"), (100, "board")],
            id="no slide for two seconds before the board",
        ),
        pytest.param(
            signal((100, "presentation"), (60, "no_signal"), changes=(98.0,)), [(70, 120)],
            [(0, "screen"), (70, "both"), (100, "board")],
            id="nor a new one",
        ),
        pytest.param(
            signal((100, "presentation"), (3, "blank"), (100, "presentation")), [(50, 190)],
            [(0, "screen"), (60, "both"), (100, "screen"), (163, "both"), (190, "screen")],
            id="behind a blackout a slide is a new one",
        ),
        pytest.param(
            signal((100, "presentation"), (300, "missing")), [(50, 390)],
            [(0, "screen"), (60, "both"), (100, "screen")],
            id="of what is missing nobody knows whether it stands",
        ),
    ],
)  # fmt: skip
def test_both(
    whole: ScreenSignal, writing: list[tuple[float, float]], expected: list[tuple[float, str]]
) -> None:
    assert decided(whole, *writing) == expected


def test_the_reason_says_for_how_long_the_slide_has_stood() -> None:
    whole = signal(ON, changes=(30.0,))
    _, both, _ = show_both(decide_instants(whole), find_standing(whole), [span(200, 300)], MINUTE)
    assert both.why == Message("decision.both", seconds=170)
    assert both.verdict == "presentation"


@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from(["presentation", "blank", "missing"])),
        min_size=1, max_size=20,
    ),
    st.lists(st.integers(1, 500), max_size=12),
    st.lists(st.integers(1, 30), max_size=20),
    st.integers(5, 20),
)  # fmt: skip
def test_switches_are_never_near_each_other(
    runs: list[tuple[float, Verdict]], changes: list[int], lengths: list[int], after_s: int
) -> None:
    whole = signal(*runs, changes=tuple(map(float, sorted(changes))))
    writing, begins = [], 0
    for length in lengths:  # with pauses, as spans of writing have them
        writing.append(span(begins, begins + length))
        begins += length + 20
    after = timedelta(seconds=after_s)
    found = show_both(decide_instants(whole), find_standing(whole), writing, after)
    rights = [(d.span, d.right) for d in found]
    assert all(one[1] != next_[1] for one, next_ in pairwise(rights))
    assert all(span.length >= SHORTEST_BOTH for span, _ in rights[1:-1])


def test_a_slide_stands_until_it_changes_and_a_film_never_does() -> None:
    whole = signal(
        (2400, "presentation"), (600, "blank"), (900, "presentation"), changes=(300.0, 2700.0)
    )
    assert find_standing(whole) == [span(0, 300), span(300, 2400), span(3000, 3900)]
    assert stand_longer(find_standing(whole), 5 * MINUTE) == [span(600, 2400), span(3300, 3900)]
    film = tuple(ShownPicture(at(s), "presentation", b"") for s in range(100, 200, 2))
    shown = ScreenSignal(signal(ON).shown, slides=film)
    assert find_standing(shown) == [span(0, 100), span(198, 600)]

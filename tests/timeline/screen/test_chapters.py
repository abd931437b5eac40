"""Slides as chapters: which spans they have, and which of their lines is the heading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from merger.i18n import Message
from merger.timeline.clock import Span
from merger.timeline.plan import Chapter, Decision, Right, Verdict
from merger.timeline.screen.chapters import find_slides, join_same, title_of, words_of
from merger.timeline.screen.signals import ScreenSignal, Shown, ShownPicture

pytestmark = pytest.mark.quick

START = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
WHY = Message("analysis.no_card")
LENGTH = 600.0


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def slides(
    changes: Sequence[float] = (),
    builds: Sequence[float] = (),
    pictures: Sequence[float] = (),
    decided: Sequence[tuple[float, Right]] = ((0, "screen"),),
    missing: tuple[float, float] = (0, 0),
) -> list[tuple[float, float, str]]:
    """Return from when to when each slide is shown, and the second of its picture."""
    edges: list[tuple[float, float, Verdict]] = [
        (0, missing[0], "presentation"),
        (*missing, "missing"),
        (missing[1], LENGTH, "presentation"),
    ]
    signal = ScreenSignal(
        tuple(Shown(Span(at(a), at(b)), kind, WHY) for a, b, kind in edges if a < b),
        changes=tuple(at(s) for s in sorted([*changes, *builds])),
        builds=frozenset(at(s) for s in builds),
        slides=tuple(ShownPicture(at(s), "presentation", str(s).encode()) for s in pictures),
    )
    ends = [*(s for s, _ in decided[1:]), LENGTH]
    decisions = [
        Decision(Span(at(s), at(end)), right, "presentation", WHY)
        for (s, right), end in zip(decided, ends, strict=True)
    ]
    return [
        (
            (slide.span.start - START).total_seconds(),
            (slide.span.end - START).total_seconds(),
            (slide.jpeg or b"").decode(),
        )
        for slide in find_slides(signal, decisions)
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, [(0, 600, "")], id="one slide, of which no picture was kept"),
        pytest.param(
            {"changes": [60, 200], "pictures": [50, 61, 190, 201, 590]},
            [(0, 60, "50"), (60, 200, "190"), (200, 600, "590")],
            id="each change of slide",
        ),
        pytest.param(
            {"changes": [60], "builds": [70, 80], "pictures": [50, 61, 71, 81]},
            [(0, 60, "50"), (60, 600, "81")],
            id="builds are of their slide, which is seen as it stood last",
        ),
        pytest.param(
            {"changes": [60, 62, 64.5], "pictures": [59, 61, 63, 65]},
            [(0, 60, "59"), (60, 600, "65")],
            id="flipped through, to the slide behind them",
        ),
        pytest.param(
            {"changes": [60, 598], "pictures": [61, 597, 599]},
            [(0, 60, ""), (60, 600, "597")],
            id="flipped through, and nothing behind it",
        ),
        pytest.param(
            {"changes": [60], "decided": [(0, "board"), (30, "screen"), (90, "board"), (120, "screen")]},
            [(30, 60, ""), (60, 90, ""), (120, 600, "")],
            id="the board ends a slide",
        ),
        pytest.param(
            {"changes": [10, 200], "decided": [(0, "board"), (9, "screen"), (202, "speaker")]},
            [(9, 202, "")],
            id="changes beside a switch",
        ),
        pytest.param(
            {"changes": [60, 200], "pictures": [59, 61, *range(100, 200, 2), 201]},
            [(0, 60, "59"), (60, 100, "61"), (200, 600, "201")],
            id="a film is none",
        ),
        pytest.param(
            {"changes": [60, 200], "pictures": [59, 61, 80, *range(82, 110, 2), 120, 199, 201]},
            [(0, 60, "59"), (60, 80, "61"), (108, 200, "199"), (200, 600, "201")],
            id="slides before and behind a film, and nothing told of where it begins and ends",
        ),
        pytest.param(
            {"pictures": [2, 250, 400, 599]}, [(0, 600, "599")], id="pictures far apart are no film",
        ),
        pytest.param(
            {"builds": range(10, 100, 10), "pictures": range(5, 105, 5)}, [(0, 600, "100")],
            id="a picture of each build is no film",
        ),
        pytest.param({"decided": [(0, "board")]}, [], id="nothing but the board"),
        pytest.param(
            {"missing": (50, 70), "changes": [70]}, [(0, 50, ""), (70, 600, "")],
            id="what was not recorded",
        ),
        pytest.param(
            {"missing": (50, 52), "changes": [100]}, [(0, 100, ""), (100, 600, "")],
            id="from file to file",
        ),
    ],
)  # fmt: skip
def test_when_slides_are_shown(given: dict, expected: list[tuple[float, float, str]]) -> None:
    assert slides(**given) == expected


@dataclass(frozen=True)
class Line:
    text: str
    box: tuple[float, float, float, float]
    score: float = 0.95


def line(text: str, top: float, height: float, left: float = 0.05, score: float = 0.95) -> Line:
    return Line(text, (left, top, left + 0.02 * len(text), top + height), score)


@pytest.mark.parametrize(
    ("lines", "title"),
    [
        ([], ""),
        ([line("Limits", 0.05, 0.08), line("of a function", 0.3, 0.05)], "Limits"),
        ([line("Limits of", 0.05, 0.08), line("a function", 0.14, 0.085), line("Yes", 0.4, 0.05)],
         "Limits of a function"),
        ([line("chapter 3", 0.05, 0.03), line("Limits", 0.12, 0.08), line("BIG", 0.7, 0.2)], "Limits"),
        ([line("and series", 0.06, 0.08, left=0.6), line("Limits", 0.05, 0.08)], "Limits and series"),
        ([line("Questions?", 0.5, 0.2), line("mail us", 0.8, 0.05)], "Questions?"),
        ([line(f"line {n}", 0.05 + 0.06 * n, 0.05) for n in range(6)], "line 0"),
        ([line("= x +", 0.05, 0.2), line("Sums", 0.3, 0.08)], "Sums"),
        ([line("Tpaer", 0.05, 0.2, score=0.4), line("Sums", 0.3, 0.08)], "Sums"),
        ([line("a" * 300, 0.05, 0.1)], "a" * 119 + "…"),
    ],
)  # fmt: skip
def test_the_heading_is_what_is_tallest_in_the_upper_part(lines: list[Line], title: str) -> None:
    assert title_of(lines) == title


def test_all_words_are_kept_row_by_row() -> None:
    lines = [line("below", 0.5, 0.05), line("right", 0.1, 0.05, left=0.6), line("left", 0.11, 0.05)]
    assert words_of([*lines, line("guessed", 0.7, 0.05, score=0.2)]) == "left right below"


def chapters(*told: tuple[float, float, str, str]) -> list[Chapter]:
    return [Chapter(Span(at(start), at(end)), title, words) for start, end, title, words in told]


@pytest.mark.parametrize(
    ("told", "starts"),
    [
        ([(0, 9, "A", "A b c"), (9, 20, "A", "A b c d e")], [0]),  # built, but not by adding alone
        ([(0, 9, "A", "A b c"), (9, 20, "a", "a B c")], [0]),
        ([(0, 9, "A", "A b c"), (9, 20, "A", "A x y")], [0, 9]),  # two of one heading
        ([(0, 9, "A", "A b c"), (9, 20, "B", "A b c")], [0, 9]),
        ([(0, 9, "A", "A b c"), (12, 20, "A", "A b c")], [0, 12]),  # the board was between them
        ([(0, 9, "", ""), (9, 20, "", "")], [0, 9]),  # nobody could read them
    ],
)
def test_neighbours_that_say_the_same_are_one(
    told: list[tuple[float, float, str, str]], starts: list[float]
) -> None:
    joined = join_same(chapters(*told))
    assert [(c.span.start - START).total_seconds() for c in joined] == starts
    assert (joined[-1].span.end, joined[-1].words) == (at(20), told[-1][3])

"""Who is moved to whom, and where the clocks stand then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from merger.timeline.clock import ClockMap, Span
from merger.timeline.plan import Sources
from merger.timeline.sync.outcome import Measured, choose_reference, decide, moved_clock

pytestmark = pytest.mark.quick

START = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
THREE_HOURS = Span(START, START + timedelta(hours=3))
SOURCES = Sources("speaker", "screen", "board", "audio")


@pytest.mark.parametrize(
    ("heard", "timed", "reference"),
    [
        (["audio", "speaker", "screen"], [], "speaker"),
        (["audio", "speaker", "screen"], ["screen"], "screen"),
        (["audio", "speaker", "screen"], ["screen", "speaker"], "speaker"),
        (["audio", "screen", "board"], [], "audio"),  # the speaker's camera has no microphone
        (["speaker", "screen"], ["board"], "speaker"),  # the known clock cannot be heard
    ],
)
def test_whose_clock_counts(heard: list[str], timed: list[str], reference: str) -> None:
    assert choose_reference(SOURCES, heard, timed) == reference


@pytest.mark.parametrize(
    ("offset_us", "drift_ppb", "is_timed", "outcome"),
    [
        (10_000, 0, False, "together"),
        (-10_001, 0, False, "moved"),
        (0, 10_000, False, "moved"),  # 108 ms at the end
        (80_000, 0, True, "together"),
        (80_001, 0, True, "apart"),
        (40_000, -20_000, True, "apart"),  # 40 ms at the start, 176 ms at the end
    ],
)
def test_what_becomes_of_a_source(
    offset_us: int, drift_ppb: int, is_timed: bool, outcome: str
) -> None:
    measured = Measured("same", offset_us, drift_ppb, 10, 10)
    decided = decide("screen", "speaker", measured, THREE_HOURS, is_timed=is_timed)
    assert decided.outcome == outcome


@pytest.mark.parametrize("relation", ["unrelated", "too_short"])
def test_unrelated_sound_moves_nothing(relation: str) -> None:
    decided = decide("screen", "speaker", Measured(relation), THREE_HOURS, is_timed=False)
    assert decided.outcome == relation


def test_all_files_of_a_source_move_as_one() -> None:
    """The second half hour begins where the first, whose clock was already drifting, ends."""
    measured = Measured("same", 1_200_000, -300_000, 10, 10)
    rate = Fraction(1_000_100, 1_000_000)
    half_us = 1_800_000_000
    first = ClockMap(START + timedelta(minutes=5), 40_000, rate)
    second = ClockMap(first.wall(40_000 + half_us), 0, rate)
    moved = [moved_clock(clock, measured, START) for clock in (first, second)]
    assert moved[0].wall(40_000 + half_us) == moved[1].wall(0)
    for clock, was in zip(moved, (first, second), strict=True):
        for at_us in (0, 900_000_000, half_us):
            wall = was.wall(at_us)
            wanted = wall + timedelta(microseconds=measured.offset_at_us(wall - START))
            assert abs(clock.wall(at_us) - wanted) <= timedelta(microseconds=2)

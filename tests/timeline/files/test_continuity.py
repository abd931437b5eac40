"""Clocks that jump: stray times are replaced, and a clock that was set goes on where it was."""

from __future__ import annotations

import pytest

from merger.timeline.files.continuity import continuous, jumps

pytestmark = pytest.mark.quick

FRAME, SECOND, HOUR = 40_000, 1_000_000, 3_600_000_000
SLOW = 2 * SECOND  # as a screen may send its pictures


def frames(start: int, count: int, length: int = FRAME) -> list[int]:
    return [start + n * length for n in range(count)]


@pytest.mark.parametrize(
    ("after", "expected"),
    [(FRAME, False), (-FRAME, False), (-1_000_001, True), (600_000_000, False), (HOUR + 1, True)],
)
def test_what_a_jump_is(after: int, expected: bool) -> None:
    assert jumps(0, after) == expected


def test_a_clock_that_does_not_jump_is_left_alone() -> None:
    times = [*frames(0, 50), *frames(600_000_000, 50)]  # a pause of ten minutes
    assert continuous(times) == (times, [])
    slow = [*frames(0, 50), *frames(HOUR // 2, 50, 5 * SECOND)]
    assert continuous(slow) == (slow, [])
    assert continuous([]) == ([], [])


@pytest.mark.parametrize("length", [FRAME, SLOW])
@pytest.mark.parametrize(
    "stray",
    [
        [5 * HOUR],
        [-HOUR],
        [5 * HOUR, 5 * HOUR + FRAME, -HOUR],
        [HOUR // 2],  # which might be a pause, were it not for what follows
        [HOUR // 2, HOUR // 2 + FRAME],
        [-20 * SECOND],
    ],
)
def test_stray_times_are_put_between_their_neighbours(stray: list[int], length: int) -> None:
    before, after = frames(0, 50, length), frames((50 + len(stray)) * length, 50, length)
    found, steps = continuous([*before, *stray, *after])
    assert found == frames(0, 100 + len(stray), length)
    assert steps == []


@pytest.mark.parametrize("length", [FRAME, SLOW])
@pytest.mark.parametrize("step", [-HOUR, 5 * HOUR, -90 * SECOND, -5 * SECOND])
def test_a_clock_that_was_set_goes_on_where_it_was(step: int, length: int) -> None:
    before = frames(2 * HOUR, 50, length)
    after = frames(2 * HOUR + 50 * length + step, 100, length)
    found, steps = continuous([*before, *after])
    assert found == frames(2 * HOUR, 150, length)
    assert steps == [-step]


def test_a_clock_that_was_set_twice() -> None:
    times = [*frames(0, 60), *frames(5 * HOUR, 60), *frames(0, 60)]
    found, steps = continuous(times)
    assert found == frames(0, 180)
    assert len(steps) == 2


def test_sound_takes_the_step_of_the_pictures() -> None:
    """Its packets are of another length: what it would step by itself is a little off each time."""
    sound = [n * 21_333 for n in range(100)]
    late = [at - HOUR + 2_133_300 + 15_000 for at in sound]
    found, steps = continuous([*sound, *late], [HOUR - 5_000])
    assert steps == [HOUR - 5_000]
    assert found[100] == late[0] + HOUR - 5_000

"""Which of several sound streams of a file is to be heard, and when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from merger.timeline.clock import Stretch
from merger.timeline.media import Audio, AudioChange, choose_audio
from tests.timeline.test_media import media_file

pytestmark = pytest.mark.quick

FIRST, SECOND = Audio(1, "aac", 48_000, 2), Audio(2, "aac", 48_000, 1)


def stretches(*pairs: tuple[int, int]) -> list[Stretch]:
    return [Stretch(start, end) for start, end in pairs]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([(0, 9)], [(0, 9)], [(0, FIRST)]),
        ([], [(0, 9)], [(0, SECOND)]),
        ([(0, 9)], [], [(0, FIRST)]),
        ([], [], []),
        ([(3, 6)], [(0, 9)], [(0, SECOND), (3, FIRST), (6, SECOND)]),
        ([(0, 3)], [(5, 9)], [(0, FIRST), (5, SECOND)]),  # nobody speaks: nothing changes
        ([(0, 3), (6, 9)], [(1, 2)], [(0, FIRST)]),
        ([(0, 3), (6, 9)], [(2, 7)], [(0, FIRST), (3, SECOND), (6, FIRST)]),
    ],
)
def test_the_first_that_sounds_is_heard(
    first: list[tuple[int, int]],
    second: list[tuple[int, int]],
    expected: list[tuple[int, Audio]],
) -> None:
    found = choose_audio([(FIRST, stretches(*first)), (SECOND, stretches(*second))])
    assert found == [AudioChange(at, audio) for at, audio in expected]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 2, [(0, SECOND)]),
        (0, 9, [(0, SECOND), (3, FIRST), (6, SECOND)]),
        (3, 5, [(3, FIRST)]),
        (4, 8, [(4, FIRST), (6, SECOND)]),
        (7, 8, [(7, SECOND)]),
    ],
)
def test_what_is_heard_in_a_stretch(
    start: int, end: int, expected: list[tuple[int, Audio]]
) -> None:
    changes = (AudioChange(3, FIRST), AudioChange(6, SECOND))
    file = replace(media_file([], 0), audio=SECOND, audio_changes=changes)
    found = file.audio_between(start, end)
    assert found == [AudioChange(at, audio) for at, audio in expected]

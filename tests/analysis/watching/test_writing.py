"""Writing on a board, told from a lecturer who walks past it, stands before it and steps aside."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from merger.analysis.watching.writing import new_ink

pytestmark = pytest.mark.quick

ROW = 20  # letters


def board(letters: int, lecturer: int | None = None, light: int = 0) -> npt.NDArray[np.uint8]:
    """Draw a board with so many letters on it, and perhaps somebody before it."""
    picture = np.full((180, 320), 60, np.uint8)
    for n in range(letters):
        x, y = 14 + 14 * (n % ROW), 20 + 24 * (n // ROW)
        zigzag = np.array([[x, y], [x + 8, y + 3], [x, y + 9], [x + 8, y + 12]])
        cv2.polylines(picture, [zigzag], False, 200, 1, cv2.LINE_AA)
    if lecturer is not None:
        cv2.rectangle(picture, (lecturer, 30), (lecturer + 40, 179), 120, cv2.FILLED)
        cv2.line(picture, (lecturer + 20, 30), (lecturer + 20, 179), 160, 2)  # a tie
    noise = np.random.default_rng(letters).normal(light, 2, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


IDLE = [board(80) for _ in range(8)]
LETTER = 50  # cells of one


def test_each_stroke_counts_once_when_it_comes() -> None:
    looks = [*IDLE, *(board(80 + 3 * n) for n in range(20)), *(board(137) for _ in range(10))]
    ink = new_ink(looks)
    assert len(ink) == len(looks)
    assert not any(ink[:8]) and not any(ink[27:])
    assert ink[8:27] == pytest.approx([3 * LETTER] * 19, rel=0.1)


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param([board(80, 23 * n % 270) for n in range(40)], id="walks past"),
        pytest.param(
            [board(80, x) for x in (20, 150, 60, 200) for _ in range(12)],
            id="stands before it, and steps aside",
        ),
        pytest.param([board(80, 100, 2 * (n % 12)) for n in range(40)], id="light that changes"),
        pytest.param([board(140 if n > 20 else 80) for n in range(40)], id="a projector"),
        pytest.param([board(0 if n > 20 else 80) for n in range(40)], id="it is wiped"),
    ],
)
def test_what_is_no_writing(looks: list[npt.NDArray[np.uint8]]) -> None:
    assert max(new_ink([*IDLE, *looks])[8:]) < 20


def test_what_was_written_behind_a_back_counts_once_it_is_seen() -> None:
    hidden = [board(3 * n, 14) for n in range(1, 8)]  # up to 21 letters; the first four are hidden
    ink = new_ink([*(board(0) for _ in range(10)), *hidden, *(board(21, 250) for _ in range(10))])
    assert sum(ink) == pytest.approx(21 * LETTER, rel=0.15)


def test_of_nothing_comes_nothing() -> None:
    assert new_ink([]) == []
    assert new_ink(IDLE[:3]) == [0, 0, 0]

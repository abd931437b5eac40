"""Writing on a board, told from a lecturer who walks past it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from merger.analysis.watching.writing import new_ink, spans_of_writing

pytestmark = pytest.mark.quick

LOOK_US = 2_000_000


def board(random: Any, lines: float, lecturer: int | None) -> np.ndarray:
    """Draw a board with so many lines of writing on it, and perhaps somebody before it."""
    picture = np.full((180, 320), 60, np.uint8)
    for line in range(int(lines) + 1):
        width = 280 if line < int(lines) else int(280 * (lines % 1))
        for x in range(20, 20 + width, 6):
            cv2.line(picture, (x, 20 + 16 * line), (x + 4, 30 + 16 * line), 220, 2)
    if lecturer is not None:
        cv2.rectangle(picture, (lecturer, 40), (lecturer + 50, 179), 130, cv2.FILLED)
    noise = random.normal(0, 2, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def test_writing_is_told_from_walking() -> None:
    random = np.random.default_rng(1)
    walks = [board(random, 2, 20 + 23 * n % 240) for n in range(30)]
    writes = [board(random, 2 + n / 4, 20 + 5 * n) for n in range(24)]
    stands = [board(random, 8, None) for _ in range(30)]
    looks = [*walks, *writes, *stands]
    times_us = [n * LOOK_US for n in range(len(looks))]
    found = spans_of_writing(times_us, new_ink(looks))
    [span] = found
    assert abs(span.start_us / LOOK_US - 30) <= 6 and abs(span.end_us / LOOK_US - 54) <= 6


def test_of_nothing_comes_nothing() -> None:
    assert spans_of_writing([], new_ink([])) == []

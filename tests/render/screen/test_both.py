"""Board and slide at once, from the strokes on a board to the pictures of the result."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt

from merger.timeline.clock import utc
from tests.analysis.watching.screens import Scene, slide, still, write_screen
from tests.conftest import START, Room, seconds
from tests.render.test_time import path_of
from tests.support.truth import lumas

BOARD_RATE = Fraction(5)
EARLY_S, LENGTH_S = 20, 44  # the board is filmed from before the record on
BEGINS_S, ENDS_S, TURNS_S = 14, 36, 32  # writing; the next slide


def board(n: int) -> npt.NDArray[np.uint8]:
    """Draw a board on which somebody writes two letters a second."""
    picture = np.full((180, 320, 3), 60, np.uint8)
    seconds_in = float(n / BOARD_RATE) - EARLY_S
    for letter in range(int(2 * (min(seconds_in, ENDS_S) - BEGINS_S))):
        x, y = 12 + 14 * (letter % 20), 20 + 22 * (letter // 20)
        cv2.polylines(
            picture, [np.array([[x, y], [x + 9, y + 3], [x, y + 9], [x + 9, y + 12]])], False,
            (220, 220, 220), 1, cv2.LINE_AA,
        )  # fmt: skip
    return picture


def luma_of(picture: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    grey = cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    return np.asarray(grey, np.float32)


def likeness(seen: npt.NDArray[np.uint8], expected: npt.NDArray[np.uint8]) -> float:
    height, width = seen.shape
    wanted = luma_of(expected, (width, height))
    return float(np.corrcoef(seen.astype(np.float32).ravel(), wanted.ravel())[0, 1])


def test_the_board_is_large_while_somebody_writes_and_the_slide_at_once_when_it_changes(
    one_room: Room,
) -> None:
    one_room.film("speaker", 0, LENGTH_S)
    first, second = slide(1), slide(2)
    write_screen(
        one_room.library / "2026-11-20_10-00-00_504_screen.mp4",
        [Scene(TURNS_S * 25, still(first)), Scene((LENGTH_S - TURNS_S) * 25, still(second))],
    )
    write_screen(
        one_room.library / "2026-11-20_09-59-40_504_board.mp4",
        [Scene(int((EARLY_S + LENGTH_S) * BOARD_RATE), board)],
        rate=BOARD_RATE, group=5, size=(320, 180),
    )  # fmt: skip
    result = one_room.merge(LENGTH_S, roles=("speaker", "screen", "board"), both_after=seconds(6))
    before, both, after, *rest = result.plan.decisions
    assert [d.right for d in (before, both, after)] == ["screen", "both", "screen"]
    begins_s = (both.span.start - utc(START)).total_seconds()
    assert abs(begins_s - BEGINS_S) <= 4
    assert both.span.end == utc(START + seconds(TURNS_S))  # to the frame
    assert both.why.key == "decision.both" and not rest
    for kind, left in (("merge", 320), ("backup", 0)):
        wanted = [25 * 8, 25 * 26, 25 * TURNS_S - 1, 25 * TURNS_S, 25 * 40]
        pictures = {n: luma[:, left:] for n, luma in lumas(path_of(result, kind), wanted)}
        for n, picture in pictures.items():
            assert picture.shape == (180, 320)
            small = picture[118:174, 214:314]  # a third, with a margin and a border
            if both.span.start <= utc(START + seconds(n / 25)) < both.span.end:
                assert likeness(small, first) > 0.9
                assert (
                    likeness(picture[:110], board(int((n / 25 + EARLY_S) * BOARD_RATE))[:110]) > 0.8
                )
            else:
                assert likeness(picture, first if n < 25 * TURNS_S else second) > 0.95

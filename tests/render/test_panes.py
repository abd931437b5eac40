"""Where each side is in the layouts that have them elsewhere than in two halves, and when."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from merger.analysis.cards import draw_cards
from merger.timeline.report import plan_document, result_document
from tests.conftest import MOSCOW, START, Room
from tests.render.test_time import check_instants, path_of
from tests.support.selection import BOTH_FFMPEGS
from tests.support.truth import Box, Seen, frames_in_panes, frames_seen, lumas

# Of 540 lines, on which even the small clock can be read.
CANVAS: Box = (0, 0, 960, 540)
CORNERS: dict[str, Box] = {
    "bottom_right": (732, 406, 948, 528), "bottom_left": (12, 406, 228, 528),
    "top_right": (732, 12, 948, 134), "top_left": (12, 12, 228, 134),
}  # fmt: skip
LEFT_THIRD: Box = (0, 180, 320, 360)
RIGHT_PART: Box = (320, 90, 960, 450)
RIGHT_HALF: Box = (480, 0, 960, 540)


def film_all(room: Room) -> None:
    """Both for a second; the screen alone; the board; nothing; the speaker alone for two."""
    for at, length in ((0, 1), (2, 1), (4, 2)):
        room.film("speaker", at, length)
    card = cv2.resize(next(iter(draw_cards().values())), (320, 180), interpolation=cv2.INTER_AREA)
    room.film("screen", 0, 2)
    room.film("screen", 2, 2, ground=card, clock=False)
    room.film("board", 2, 1)


def merged(room: Room, layout: str, until_s: float = 6.0, **changes: Any) -> Path:
    roles, chunk = ("speaker", "screen", "board"), timedelta(seconds=2)
    result = room.merge(until_s, layout=layout, profile="540p", roles=roles, chunk=chunk, **changes)
    merge = next(r for r in result.renditions if r.kind == "merge")
    assert (merge.size.width, merge.size.height) == (960, 540)
    return merge.path


def sources(seen: list[Seen]) -> list[tuple[int | None, int | None]]:
    """Return who is seen on the left and on the right in the middle of each second."""
    return [
        (frame.left and frame.left.source, frame.right and frame.right.source)
        for frame in seen
        if frame.frame % 25 == 12
    ]


def check_screen(seen: list[Seen]) -> None:
    check_instants([Seen(s.frame, None, s.right) for s in seen], START, both=False)


@BOTH_FFMPEGS
def test_the_speaker_above_the_screen(room: Room) -> None:
    film_all(room)
    path = merged(room, "screen_large")
    seen = frames_in_panes(path, CORNERS["bottom_right"], CANVAS)
    assert len(seen) == 150
    check_instants(seen[:25], START)
    check_screen(seen[:50])
    # without the speaker nothing hides the screen, nor the slate instead of it
    assert sources(seen)[:4] == [(1, 2), (None, 2), (1, 3), (None, None)]
    # where neither screen nor board has anything, the speaker has the whole canvas
    check_screen(seen[100:])
    assert sources(seen)[4:] == [(None, 1)] * 2
    both, alone = (luma.astype(int) for _, luma in lumas(path, [12, 37]))
    left, top, right, bottom = CORNERS["bottom_right"]
    for edge in (both[top - 2 : top, left:right], both[bottom : bottom + 2, left:right]):
        assert edge.mean() > 180
    ground = alone[top - 4 : bottom + 4, left - 4 : right + 4]
    assert np.abs(ground - np.median(ground)).max() < 10
    backup = path.with_name(f"{path.stem}_backup.mp4")
    assert [s for _, s in sources(frames_seen(backup, left_width=0))] == [2, 2, 3, *[None] * 3]


def test_another_corner_is_another_part(one_room: Room) -> None:
    one_room.film("speaker", 0, 2)
    one_room.film("screen", 0, 2)
    first = one_room.merge(2.0, layout="screen_large", profile="540p")
    before = one_room.cached()
    moved = one_room.merge(2.0, layout="screen_large", profile="540p", corner="top_left")
    seen = frames_in_panes(path_of(moved), CORNERS["top_left"], RIGHT_HALF, wanted=[5, 45])
    check_instants([Seen(s.frame, s.left, None) for s in seen], START, both=False)
    assert {s.left.source for s in seen} == {1}
    # one part, of two renditions; the sound is the same
    assert len(one_room.cached() - before) == 2
    for result, corner in ((first, "bottom_right"), (moved, "top_left")):
        assert plan_document(result.plan)["corner"] == corner
        assert result_document(result, MOSCOW)["corner"] == corner


def test_side_by_side_in_the_shape_of_a_screen(one_room: Room) -> None:
    film_all(one_room)
    path = merged(one_room, "side_by_side_16x9")
    seen = frames_in_panes(path, LEFT_THIRD, RIGHT_PART)
    assert len(seen) == 150
    check_instants(seen[:25], START)
    check_screen(seen[:50])
    assert sources(seen) == [
        (1, 2), (None, 2), (1, 3), (None, None), (None, None), (None, None),
    ]  # fmt: skip
    alone = frames_in_panes(path, LEFT_THIRD, CANVAS, wanted=range(112, 150, 12))
    check_screen(alone)
    [(_, luma)] = lumas(path, [12])
    bars = (luma[:176, :320], luma[364:, :320], luma[:86], luma[454:])
    assert max(bar.mean() for bar in bars) < 20

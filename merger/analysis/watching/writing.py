"""Writing on a board: strokes that came and stayed, which somebody who walks past does not leave.

What the board looks like is the median of some looks: of those before an instant, and of those
after it. New ink is what is drawn in the one and not in the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from merger.analysis.decoding import planes, sample_targets
from merger.analysis.targets import Target
from merger.timeline.clock import Stretch
from merger.timeline.media import MediaFile

Board = npt.NDArray[np.uint8]  # (180, 320), the luma

_SIZE = (320, 180)
_EVERY_US = 2_000_000
_LOOKS = 5  # on either side of an instant
_FEWEST = 3
_STROKE = 9.0  # levels between a stroke and its surroundings
_SURROUNDINGS = 4.0  # cells
_STILL = 7  # levels within which a cell stands
_STAYS, _STOOD = 0.75, 0.5  # shares of the looks after and before in which it does
# New cells of ink a look. An idle board beside which somebody walks gives up to 400 at times.
_BEGINS, _GOES_ON = 1000.0, 500.0
_PAUSE_US = 6_000_000  # between two strokes of one writing
_SHORTEST_US = 3_000_000


def find_writing(file: MediaFile, stretch: Stretch) -> list[Stretch]:
    """Return where somebody writes on the board that a file films; runs in a reader."""
    assert file.video is not None
    keys = np.flatnonzero((file.right_us >= stretch.start_us) & (file.right_us < stretch.end_us))
    targets: list[Target] = []
    for key in keys.tolist():
        at_us = int(file.right_us[key])
        if not targets or at_us - targets[-1].at_us >= _EVERY_US - file.video.frame_us // 2:
            targets.append(Target(str(file.path), key, at_us))
    times_us, boards = [], []
    for target, frame in sample_targets(file, targets):
        times_us.append(target.at_us)
        boards.append(cv2.resize(planes(frame)[0], _SIZE, interpolation=cv2.INTER_AREA))
    return spans_of_writing(times_us, new_ink([np.asarray(board, np.uint8) for board in boards]))


def new_ink(boards: Sequence[Board]) -> list[float]:
    """Return how many cells of ink are new, and stay, after each look."""
    if not boards:
        return []
    luma = np.stack(boards).astype(np.float32)
    strokes = np.stack([board - cv2.GaussianBlur(board, (0, 0), _SURROUNDINGS) for board in luma])
    found = []
    for n in range(len(boards)):
        before, after = slice(max(0, n + 1 - _LOOKS), n + 1), slice(n + 1, n + 1 + _LOOKS)
        if min(len(luma[before]), len(luma[after])) < _FEWEST:
            found.append(0.0)
            continue
        had, has = np.median(strokes[before], axis=0), np.median(strokes[after], axis=0)
        is_new = (np.abs(has) - np.abs(had) > _STROKE) & (np.abs(has - had) > _STROKE)
        is_new &= (_share_still(luma[after]) > _STAYS) & (_share_still(luma[before]) > _STOOD)
        # Single cells are noise.
        mask = cv2.morphologyEx(is_new.astype(np.uint8), cv2.MORPH_OPEN, np.ones((1, 2), np.uint8))
        found.append(float(mask.sum()))
    return found


def _share_still(luma: npt.NDArray[np.float32]) -> Any:
    return (np.abs(luma - np.median(luma, axis=0)) < _STILL).mean(axis=0)


def spans_of_writing(times_us: Sequence[int], ink: Sequence[float]) -> list[Stretch]:
    """Return where ink comes: it begins with much, and goes on with less."""
    spans: list[Stretch] = []
    begun: int | None = None
    last = 0
    for at_us, cells in zip(times_us, ink, strict=True):
        if begun is None:
            if cells > _BEGINS:
                begun = last = at_us
        elif cells > _GOES_ON:
            last = at_us
        elif at_us - last > _PAUSE_US:
            spans.append(Stretch(begun, last))
            begun = None
    if begun is not None:
        spans.append(Stretch(begun, last))
    return [s for s in spans if s.end_us - s.start_us >= _SHORTEST_US]

"""Writing on a board: thin strokes that came and stayed, told from somebody who stands before it.

What the board looks like is remembered, cell by cell: what is thick is a person, and hides what is
remembered behind it. So strokes that come to light again are not new, and strokes that were written
behind a back are, once they can be seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from merger.analysis.decoding import planes, sample_targets
from merger.analysis.targets import Target
from merger.timeline.clock import Stretch
from merger.timeline.media import MediaFile
from merger.timeline.screen.writing import LOOK_US, InkLook

Board = npt.NDArray[np.uint8]  # (180, 320), the luma

# Raise it when the same pictures would give other ink.
INK = 1
_SIZE = (320, 180)
_BEFORE_US, _AFTER_US = 60_000_000, 40_000_000  # of a stretch: to know the board, and what stays
_LOOKS = 5  # of which a board is the median
_STILL, _STAYS = 7, 4  # levels within which a cell stands, and in how many of those looks
_STROKE = 9  # levels between a stroke and its surroundings, or what was there
_SURROUNDINGS = 4.0  # cells
_THICK, _AROUND = 9, 13  # cells: thicker is no stroke, and what is so near belongs to it
# What stands for so many looks is the board now, as after a lamp was switched on; people never do.
_STANDS = 90
_STAYS_FOR, _LONG_AGO = 15, -1_000_000  # looks
_MOST = 1500  # new cells: nobody writes so fast, but a projector shows so much at once


def find_ink(file: MediaFile, stretch: Stretch) -> list[InkLook]:
    """Return how much is written on the board that a file films; runs in a reader."""
    wanted = Stretch(stretch.start_us - _BEFORE_US, stretch.end_us + _AFTER_US)
    times_us, boards = [], []
    for target, frame in sample_targets(file, list(_targets(file, wanted))):
        times_us.append(target.at_us)
        boards.append(cv2.resize(planes(frame)[0], _SIZE, interpolation=cv2.INTER_AREA))
    ink = new_ink([np.asarray(board, np.uint8) for board in boards])
    looks = (InkLook(at_us, cells) for at_us, cells in zip(times_us, ink, strict=True))
    return [look for look in looks if look.at_us in stretch]


def _targets(file: MediaFile, stretch: Stretch) -> Iterator[Target]:
    """Yield what to look at: key frames, where one is near enough, as they are cheap."""
    begins_us = max(stretch.start_us, int(file.picture_us[0]))
    for at_us in range(begins_us, min(stretch.end_us, file.picture_ends_us), LOOK_US):
        key = file.key_before(at_us)
        if key is None:
            continue
        key_us = int(file.right_us[key])
        yield Target(str(file.path), key, key_us if 0 <= at_us - key_us < LOOK_US else at_us)


def new_ink(boards: Iterable[Board]) -> list[int]:
    """Return how many cells of ink came, and stay, between each look and the next."""
    luma = np.asarray(list(boards), np.uint8)
    found = np.zeros(len(luma), np.int64)
    if len(luma) < _LOOKS:
        return [0] * len(luma)
    board = np.median(luma, axis=0).astype(np.float32)
    was = board.copy()  # before it became what it is now
    came_at = np.full(board.shape, _LONG_AGO, np.int64)
    hidden_for = np.zeros(board.shape, np.int64)
    for n in range(len(luma) - _LOOKS + 1):
        looks = luma[n : n + _LOOKS].astype(np.float32)
        now = np.sort(looks, axis=0)[_LOOKS // 2]
        stands = (np.abs(looks - now) < _STILL).sum(axis=0) >= _STAYS
        now -= np.median(now - board)  # cameras adapt to the light
        differs = np.abs(now - board) > _STROKE
        is_hidden = _thick(differs | ~stands) | ~stands
        has, had = np.abs(_strokes(now)), np.abs(_strokes(board))
        changed = differs & ~is_hidden
        is_new = _pairs(changed & (has > _STROKE) & (has > had) & (np.abs(now - was) > _STROKE))
        # An arm that leans on the board comes as a stroke does, and goes again.
        gone = changed & ~is_new & (n - came_at < _STAYS_FOR)
        np.subtract.at(found, came_at[gone], 1)
        came_at[changed] = _LONG_AGO
        # What the first looks show was there before.
        if n >= _LOOKS and is_new.sum() <= _MOST:
            found[n] += is_new.sum()
            came_at[is_new] = n
        hidden_for = np.where(is_hidden, hidden_for + 1, 0)
        is_known = ~is_hidden | (stands & (hidden_for > _STANDS))
        before, board = board, np.where(is_known, now, board)
        was = np.where(differs & is_known, before, was) if n >= _LOOKS else board
    # What stands in four looks of five was not there in the first.
    return [max(0, int(cells)) for cells in found]


def _strokes(board: npt.NDArray[np.float32]) -> Any:
    return board - cv2.GaussianBlur(board, (0, 0), _SURROUNDINGS)


def _thick(mask: Any) -> Any:
    """Return what is thick in a mask, and what is near to that."""
    thick = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((_THICK, _THICK)))
    return cv2.dilate(thick, np.ones((_AROUND, _AROUND), np.uint8)) > 0


def _pairs(mask: Any) -> Any:
    """Return a mask without single cells, which are noise."""
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((1, 2), np.uint8)) > 0

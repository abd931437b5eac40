"""Small pictures of a screen, and how much two of them differ."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from merger.analysis.cards import GRID
from merger.analysis.decoding import planes

Thumb = npt.NDArray[np.int16]  # (90, 160), the luma

# Levels by which a cell must change to count: x264 at CRF 35 moves cells of a still picture by 6.
_LEVELS = 14
# Of all cells: a mouse pointer takes 28 of 14,400, a line of text 60 and more.
CHANGED = 0.002
SAME = 0.0004


def thumb_of(frame: VideoFrame) -> Thumb:
    """Return the small picture of a decoded one."""
    luma = planes(frame)[0]
    # Every fourth pixel of every fourth row of 1080p: eight times as fast as all of them.
    step = max(1, luma.shape[1] // (3 * GRID[0]))
    luma = np.ascontiguousarray(luma[::step, ::step])
    return cv2.resize(luma, GRID, interpolation=cv2.INTER_AREA).astype(np.int16)


def difference(one: Thumb, other: Thumb) -> float:
    """Return the share of cells, 0 to 1, in which two pictures differ."""
    return float(np.count_nonzero(np.abs(one - other) > _LEVELS)) / one.size


def is_changed(one: Thumb, other: Thumb) -> bool:
    """Return whether two pictures differ by more than a pointer."""
    return difference(one, other) > CHANGED

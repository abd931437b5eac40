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
_STROKE = 12  # levels between a stroke and its surroundings
_KEPT = 0.95  # of the strokes of a slide are still there when a bullet point is added


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


def only_adds(before: Thumb, after: Thumb) -> bool:
    """Return whether a picture is another with something added, such as the next bullet point."""
    drawn = _drawn(before)
    if not drawn.any():
        return False
    kept = np.abs(before - after) <= _LEVELS
    return bool(kept[drawn].mean() >= _KEPT and _drawn(after).sum() > drawn.sum())


def _drawn(thumb: Thumb) -> npt.NDArray[np.bool_]:
    """Return a mask of what stands out from its surroundings: letters and lines."""
    surroundings = cv2.blur(thumb, (9, 9))
    return np.asarray(np.abs(thumb - surroundings) > _STROKE)

"""Where slides have ink: strokes and edges, on a coarse grid that covers the canvas."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt

from merger.timeline.layout import Ink, Size, fit_into

_GRID = Size(32, 18)
# Levels by which a stroke differs from its surroundings. Letters of a slide, scaled down to
# 192x108, have 20 and more; what JPEG leaves of a plain ground has 6 at most.
_STROKE = 12
_SURROUNDINGS = 50  # of which the picture is so many wide, to either side of a stroke


def ink_of(pictures: Iterable[bytes]) -> Ink:
    """Return how much slides have drawn in each cell, on the average of them; 0 to 1.

    Args:
        pictures: JPEGs; those that cannot be read are left out.
    """
    ink = np.zeros((_GRID.height, _GRID.width), np.float64)
    count = 0
    for jpeg in pictures:
        luma = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE) if jpeg else None
        if luma is not None:
            ink += _on_canvas(_strokes(np.asarray(luma, np.uint8)))
            count += 1
    rows: list[list[float]] = (ink / max(1, count)).tolist()
    return rows


def _strokes(luma: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return a mask of what stands out from its surroundings, which shades and photos seldom do."""
    side = 2 * (luma.shape[1] // _SURROUNDINGS) + 1
    differs = cv2.absdiff(luma, cv2.blur(luma, (side, side))) > _STROKE
    return np.asarray(differs, np.float32)


def _on_canvas(mask: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the share of a mask in each cell, with the bars that its picture has on the canvas."""
    inner = fit_into(Fraction(mask.shape[1], mask.shape[0]), _GRID)
    small = cv2.resize(mask, (inner.width, inner.height), interpolation=cv2.INTER_AREA)
    left, top = (_GRID.width - inner.width) // 2, (_GRID.height - inner.height) // 2
    grid = np.zeros((_GRID.height, _GRID.width), np.float64)
    grid[top : top + inner.height, left : left + inner.width] = small
    return grid

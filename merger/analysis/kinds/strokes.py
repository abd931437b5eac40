"""How much is drawn on a picture: words are read only where it is little."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from merger.analysis.cards import Picture

# Levels beside the surroundings, 9 px of the small picture.
STROKE, AROUND = 10, 9
# The share of the strongest contrast below which there is texture, beside which words stand out.
FAINT, STRONGEST = 0.2, 0.999
# The share of a picture that strokes take, and in how many pieces: at 320 columns the letters of
# a line run together. Cards with words have 0.07 in 76 pieces at most, on textures; or larger
# signs: 0.14 in 6. More than half of all slides have more.
SPARSE, SPARSE_PIECES = 0.08, 90
LARGE, LARGE_PIECES = 0.15, 12
LEAST = 0.0005  # a pointer: nothing to read
SPECK = 3  # px: no piece
# Of the width and the height: room around what is drawn, and the least that is looked at.
MARGIN, LEAST_SIDE = 0.03, 0.2


def stroke_share(luma: Picture) -> float:
    """Return the share of a small picture, 0 to 1, that stands out from its surroundings."""
    return cv2.countNonZero(_above(_contrast(luma), STROKE)) / luma.size


def is_sparse(luma: Picture) -> bool:
    """Return whether so little is drawn on a small picture that its words may say what it is."""
    strokes = _strokes(luma)
    share = cv2.countNonZero(strokes) / luma.size
    if not LEAST < share < LARGE:
        return False
    _, _, facts, _ = cv2.connectedComponentsWithStats(strokes)
    pieces = int((facts[1:, cv2.CC_STAT_AREA] > SPECK).sum())
    return pieces < (SPARSE_PIECES if share < SPARSE else LARGE_PIECES)


def drawn_box(luma: Picture) -> tuple[float, float, float, float]:
    """Return where something is drawn on a small picture: left, top, right, bottom, 0 to 1."""
    strokes = _strokes(luma) > 0
    left, right = _ends(np.asarray(strokes.any(axis=0)))
    top, bottom = _ends(np.asarray(strokes.any(axis=1)))
    return left, top, right, bottom


def _ends(marked: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return the first and the last marked place, with room around, as shares of all places."""
    places = np.flatnonzero(marked)
    if not places.size:
        return 0.0, 1.0
    first, last = places[0] / marked.size, (places[-1] + 1) / marked.size
    room = max(MARGIN, (LEAST_SIDE - (last - first)) / 2)
    return max(0.0, float(first - room)), min(1.0, float(last + room))


def _strokes(luma: Picture) -> Picture:
    contrast = _contrast(luma)
    strongest = float(np.quantile(contrast, STRONGEST))
    return _above(contrast, max(STROKE, FAINT * strongest))


def _contrast(luma: Picture) -> Picture:
    return np.asarray(cv2.absdiff(luma, cv2.blur(luma, (AROUND, AROUND))), np.uint8)


def _above(contrast: Picture, level: float) -> Picture:
    return np.asarray(cv2.threshold(contrast, level, 255, cv2.THRESH_BINARY)[1], np.uint8)

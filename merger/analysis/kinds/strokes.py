"""How much is drawn on a picture: words are read only where it is little."""

from __future__ import annotations

import cv2
import numpy as np

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


def stroke_share(luma: Picture) -> float:
    """Return the share of a small picture, 0 to 1, that stands out from its surroundings."""
    return cv2.countNonZero(_above(_contrast(luma), STROKE)) / luma.size


def is_sparse(luma: Picture) -> bool:
    """Return whether so little is drawn on a small picture that its words may say what it is."""
    contrast = _contrast(luma)
    strongest = float(np.quantile(contrast, STRONGEST))
    strokes = _above(contrast, max(STROKE, FAINT * strongest))
    share = cv2.countNonZero(strokes) / luma.size
    if not LEAST < share < LARGE:
        return False
    _, _, facts, _ = cv2.connectedComponentsWithStats(strokes)
    pieces = int((facts[1:, cv2.CC_STAT_AREA] > SPECK).sum())
    return pieces < (SPARSE_PIECES if share < SPARSE else LARGE_PIECES)


def _contrast(luma: Picture) -> Picture:
    return np.asarray(cv2.absdiff(luma, cv2.blur(luma, (AROUND, AROUND))), np.uint8)


def _above(contrast: Picture, level: float) -> Picture:
    return np.asarray(cv2.threshold(contrast, level, 255, cv2.THRESH_BINARY)[1], np.uint8)

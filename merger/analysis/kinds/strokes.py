"""How much is drawn on a picture: words are read only where it is little."""

from __future__ import annotations

import cv2

from merger.analysis.cards import Picture

# Levels beside the surroundings, 9 px of the small picture.
STROKE, AROUND = 10, 9
# The share of a picture that strokes take. Cards with words have 0.07 at most, the scenes of
# sharing systems 0.07, half of all slides more.
SPARSE = 0.09
LEAST = 0.0005  # a pointer: nothing to read


def stroke_share(luma: Picture) -> float:
    """Return the share of a small picture, 0 to 1, that stands out from its surroundings."""
    marked = cv2.compare(cv2.absdiff(luma, cv2.blur(luma, (AROUND, AROUND))), STROKE, cv2.CMP_GT)
    return cv2.countNonZero(marked) / luma.size

"""Noise, as receivers show it: as strong everywhere, and without anything larger in it."""

from __future__ import annotations

import cv2
import numpy as np

from merger.analysis.cards import Picture

CELLS = (16, 9)
FINE = 5  # px: what is smaller is noise
WEAKEST = 4.5  # levels, of the noise: a sensor's is 4 at most
# The share of cells whose noise is within so much of the median: a box with words may lie there.
EVEN, ALIKE = 0.66, 0.35
# The share of pixels near the commonest level: of words on a ground more than half. Near is within
# GROUND levels, and within half the strength of the noise: else what is weak were its own ground.
GROUND, ON_GROUND = 6, 0.5
# Of noise that is weaker, encoders leave islands on one level, less than words leave of a ground.
WEAK, ON_GROUND_IF_WEAK = 8.0, 0.65
# What is left over 32x18 averages, in strengths of the noise: shapes of a film or a photo are more.
SHAPES = 0.9


def noise_share(luma: Picture) -> float | None:
    """Return in which share of a picture of noise, 0 to 1, it is as strong; None if it is none.

    Args:
        luma: of the small picture, 320 to 640 columns: receivers' noise is as fine as 500 lines.
    """
    fine = luma.astype(np.float32)
    fine -= cv2.blur(fine, (FINE, FINE))
    cells = np.sqrt(cv2.resize(fine * fine, CELLS, interpolation=cv2.INTER_AREA))
    strength = float(np.median(cells))
    if strength < WEAKEST:
        return None
    share = float((np.abs(cells / strength - 1) < ALIKE).mean())
    ground = _ground_share(luma, min(GROUND, int(strength / 2)))
    if share < EVEN or ground > (ON_GROUND if strength > WEAK else ON_GROUND_IF_WEAK):
        return None
    rough = cv2.resize(luma, (32, 18), interpolation=cv2.INTER_AREA).astype(np.float32)
    shapes = np.abs(rough - cv2.GaussianBlur(rough, (0, 0), 3))
    return share if float(np.quantile(shapes, EVEN)) < SHAPES * strength else None


def _ground_share(luma: Picture, reach: int) -> float:
    levels = np.bincount(luma.ravel(), minlength=256).astype(np.float64)
    near = np.convolve(levels, np.ones(2 * reach + 1), "same")
    return float(near.max()) / luma.size

"""Grounds without anything on them: one colour, or shades that run smoothly into each other."""

from __future__ import annotations

import cv2
import numpy as np

from merger.analysis.cards import GRID, Picture, Plane
from merger.analysis.kinds.view import is_spot

# The figures are from the drawn pictures of tests/analysis, after x264 at CRF 35, from 1920x1080
# down to 320x180.
#
# One colour. Levels about the median: noise of sigma 4 gives 4 at most; light grey words (215 on
# 255, 3 % of the height) give 12, and 7 at 320x180.
LEVELS = 6.0
# The share of the strongest difference below which a cell is the encoder's echo of a pointer.
# Light grey words beside a black and white pointer have more than 0.35.
ECHO = 0.15
# A picture is surely not of one colour where more than MANY of its cells are farther than FAR from
# its mean: a pointer on one colour takes less than a tenth as many.
FAR, MANY = 48.0, 0.05

# Smooth shades. Cells to either side that a cell is compared with: a vignette bends by 2 levels
# over them, the least letters are as high as one side.
AROUND = 4
# Levels of Y, Cb, Cr beside their surroundings: the steps that an encoder makes of a gradient are
# 3 high in Y and 4 in the colours; light grey words are 5 and more.
STEPS = (4.5, 6.0, 6.0)


def has_many_levels(luma: Picture) -> bool:
    """Return whether a picture is surely not of one colour; ten times faster than by its grid."""
    rough = cv2.resize(luma, GRID, interpolation=cv2.INTER_AREA)
    ground = cv2.norm(rough, cv2.NORM_L1) / rough.size
    return float(np.count_nonzero(np.abs(rough - ground) > FAR)) / rough.size > MANY


def stray_share(view: Plane, margin: int) -> float | None:
    """Return the share of cells, 0 to 1, that differ in a view of one colour; None if it is none.

    All that may differ is noise and one spot the size of a mouse pointer.

    Args:
        margin: cells at the edges to leave out.
    """
    inner = view[:, margin : GRID[1] - margin, margin : GRID[0] - margin]
    differs = np.zeros(inner.shape[1:], np.bool_)
    for plane in inner:
        distance = np.abs(plane - np.median(plane[::2, ::2]))
        differs |= distance > max(LEVELS, ECHO * float(distance.max()))
    return float(differs.mean()) if is_spot(differs) else None


def unsmooth_share(view: Plane, margin: int) -> float | None:
    """Return the share of cells, 0 to 1, that stand out of a smooth view; None if it is none.

    As for one colour, one spot may.
    """
    inner = view[:, margin : GRID[1] - margin, margin : GRID[0] - margin]
    side = 2 * AROUND + 1
    differs = np.zeros(inner.shape[1:], np.bool_)
    for plane, step in zip(inner, STEPS, strict=False):
        # Beyond the edges a gradient goes on: mirrored, it would end in a crease.
        wide = np.pad(plane, AROUND, mode="reflect", reflect_type="odd")
        around = cv2.blur(wide, (side, side))[AROUND:-AROUND, AROUND:-AROUND]
        distance = np.abs(plane - around)
        differs |= distance > max(step, ECHO * float(distance.max()))
    return float(differs.mean()) if is_spot(differs) else None

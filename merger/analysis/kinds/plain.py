"""Grounds without anything on them: one colour, or shades that run smoothly into each other."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from merger.analysis.cards import GRID, Picture, Plane
from merger.analysis.kinds.view import Mask, is_spot

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


# Levels by which a gradient may depart from the simple ones, but for a share of the cells. The soft
# shapes of a film at a sixth of its brightness depart by 15.
BENT, ODD = 6.0, 0.02
ALONG = 0.6  # the share of an edge along which a line runs: where it is faint, noise cuts it


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
    return _share_of_spot(differs)


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
    share = _share_of_spot(differs)
    return share if share is None or _is_simple(inner[0]) else None


def _is_simple(luma: Plane) -> bool:
    """Return whether shades are those of one gradient: a dark film has soft shapes, too."""
    shapes, fit = _gradients(luma.shape)
    rest = np.abs(luma.ravel() - shapes @ (fit @ luma.ravel()))
    return bool(np.quantile(rest, 1 - ODD) < BENT)


@cache
def _gradients(shape: tuple[int, int]) -> tuple[Plane, Plane]:
    """Return (cells, n) shades that run one way or around the middle, and what fits them."""
    y, x = (line.ravel() for line in np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j])
    powers = [(i, j) for i in range(5) for j in range(5 - i)]
    shapes = np.stack([*(x**i * y**j for i, j in powers), np.hypot(x, y)], axis=1)
    return shapes.astype(np.float32), np.linalg.pinv(shapes).astype(np.float32)


def _share_of_spot(differs: Mask) -> float | None:
    """Return the share of cells that differ if they are one spot, and lines along the edges.

    Capture boxes leave a line of another picture, or none, at an edge.
    """
    inside = differs.copy()
    for lines in (inside, inside.T):
        for n in (0, 1, -2, -1):  # an encoder smears a line over two cells
            if lines[n].mean() > ALONG:
                lines[n] = False
    return float(differs.mean()) if is_spot(inside) else None

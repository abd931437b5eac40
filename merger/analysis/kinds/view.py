"""A picture as the rules look at it: small planes, the boxes that a screen may fill, grids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from merger.analysis.cards import GRID, Picture, Plane, to_grid

Chroma = tuple[Picture, Picture]
Mask = npt.NDArray[np.bool_]
Box = tuple[float, float, float, float]  # left, top, right, bottom, in the small picture

SMALL = 320  # columns of the small picture, at least: twice the grid, so that a crop stays sharp
ASPECTS = (4 / 3, 16 / 10, 16 / 9, 5 / 4)  # of screens

# Bars beside a picture. Levels about the corners' median: noise of sigma 4 stays within 12; limited
# black against dark blue without chroma is 16 or more. Brighter corners than DARK are no bars.
BORDER = 12.0
DARK = 48.0
EDGE = 0.05  # the share of a line that content takes, at least: noise takes less

# Cells, columns and rows: a pointer of three times the usual size takes 4x7, "Fin" at 4 % of the
# height 6x4, "Why?" 7x3, three words 12 columns.
SPOT = (5, 7)
_NEIGHBOURS = np.ones((5, 5), np.uint8)


@dataclass(frozen=True)
class Tolerance:
    """By how much cells may differ that show the same.

    Edges may differ more, since they move by fractions of a cell and soften.

    Attributes:
        levels: of Y, Cb, Cr.
        of_contrast: the share of the contrast around a cell that is added.
    """

    levels: tuple[float, float, float]
    of_contrast: float


def reduce_planes(luma: Picture, chroma: Chroma | None) -> Picture:
    """Reduce the planes to (1 or 3, h, w) averages, w from SMALL to twice that where it can be."""
    first = halve(luma, SMALL)
    size = (first.shape[1], first.shape[0])
    return np.stack([first, *(cv2.resize(halve(plane, SMALL), size) for plane in chroma or ())])


def halve(plane: Picture, columns: int) -> Picture:
    """Halve until the width is below twice so many columns: ten times faster than other factors."""
    while plane.shape[1] >= 2 * columns and plane.shape[0] > 1:
        height, width = plane.shape[0] // 2, plane.shape[1] // 2
        whole = plane[: 2 * height, : 2 * width]
        plane = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA))
    return plane


def screen_boxes(width: float, height: float) -> Iterator[Box]:
    """Yield the centred boxes that a screen of another shape fills.

    Bars beside a black picture cannot be seen, so these are tried without looking for bars.
    """
    for aspect in ASPECTS:
        left = max(0.0, width - height * aspect) / 2
        top = max(0.0, height - width / aspect) / 2
        if max(left, top) > 1:
            yield left, top, width - left, height - top


def boxes_between_bars(small: Picture) -> list[Box]:
    """Return the box between equal dark bars; at most one, and of any shape."""
    ground = np.median(small[:, [0, 0, -1, -1], [0, -1, 0, -1]], axis=1)
    if ground[0] > DARK:
        return []
    low, high = (ground - BORDER).clip(0), (ground + BORDER).clip(0, 255)
    differs = cv2.inRange(cv2.merge(list(small)), low, high) == 0
    height, width = differs.shape
    columns = np.flatnonzero(differs.mean(axis=0) > EDGE)
    rows = np.flatnonzero(differs.mean(axis=1) > EDGE)
    if not columns.size or not rows.size:
        return []
    left, right = int(columns[0]), int(columns[-1]) + 1
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    uneven = max(abs(left + right - width) / width, abs(top + bottom - height) / height)
    if uneven > 0.02 or right - left < width / 2 or bottom - top < height / 2:
        return []
    return [] if (right - left, bottom - top) == (width, height) else [(left, top, right, bottom)]


def grid_view(small: Picture, box: Box) -> Plane:
    """Return the (1 or 3, 90, 160) grid of a box.

    It is sampled at fractions of a column: half a cell beside a card's place, its words correlate
    at 0.92 where they do at 0.99 in place.
    """
    left, top, right, bottom = box
    columns, rows = 2 * GRID[0], 2 * GRID[1]
    step_x, step_y = (right - left) / columns, (bottom - top) / rows
    grid_to_box = np.array(
        [[step_x, 0, left + (step_x - 1) / 2], [0, step_y, top + (step_y - 1) / 2]]
    )
    how = (cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE)
    fine = (cv2.warpAffine(plane, grid_to_box, (columns, rows), None, *how) for plane in small)
    return np.stack([to_grid(np.asarray(plane, np.uint8)) for plane in fine])


def is_spot(mask: Mask) -> bool:
    """Return whether all marked cells lie within one box the size of a mouse pointer."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not columns.size:
        return True
    wide, high = columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
    return bool(wide <= SPOT[0] and high <= SPOT[1])


def mark_differences(seen: Plane, model: Plane, tolerance: Tolerance) -> Mask:
    """Return a mask of the cells whose surroundings, 3x3 cells, have another level in a model.

    Args:
        seen, model: (1 or 3, h, w); where one has no chroma, the luma alone counts.
    """
    marked = np.zeros(seen.shape[1:], np.bool_)
    for picture, card, levels in zip(seen, model, tolerance.levels, strict=False):
        contrast = cv2.dilate(card, _NEIGHBOURS) - cv2.erode(card, _NEIGHBOURS)
        allowed = levels + tolerance.of_contrast * contrast
        marked |= np.abs(cv2.blur(picture, (3, 3)) - cv2.blur(card, (3, 3))) > allowed
    return marked

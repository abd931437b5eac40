"""Test cards by what they are made of: six colours side by side, or even tiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from merger.analysis.cards import Plane
from merger.analysis.kinds.view import Mask

# Colours by the angle of (Cb, Cr), 60 degrees from one to the next: blue is at -9 (BT.601) and at
# -5 (BT.709). Numbers: 0 blue, 1 magenta, 2 red, 3 yellow, 4 green, 5 cyan.
BLUE_AT, STEP = -7.0, 60.0
COLOURS = 6
CARD_ORDER = (3, 5, 4, 1, 2, 0)  # from the brightest to the darkest: all makers' bars
# The length of (Cb, Cr): 75 % bars have 64 (yellow, limited range, 60 % darkened by a capture box)
# to 140, the greys of an encoder less than 8.
COLOURED = 28.0

# Cells of 160x90.
NARROWEST = 4  # of a bar: those in the middle of a round card, in 4:3, are 8 wide
MIXED = 3  # between two bars, where the encoder mixes their colours
UNEVEN = (
    1.8  # the widest bar over the narrowest, and MIXED on top: 7 columns of 160 cells, 23 or 22
)
FLAT = 14.0  # levels of Cb and Cr within a bar: of a spectrum 30 and more
# Shares of the width, and of the height.
WIDE = 0.55  # bars that fill the screen, in any order
MIDDLE, OFF_CENTRE = 0.28, 0.06  # those of a round card, in the usual order
HIGH_WIDE, HIGH_MIDDLE = 0.12, 0.05
# A slide shows colours on a light ground, which surrounds them; a card's own white is their first
# column, and goes on nowhere else.
LIGHT = 170.0
SAME_GROUND = 24.0

# Tiles. Levels by which neighbours differ, at least: 16 greys differ by 15.
TILE_STEP = 7.0
TILE_EDGE = 0.25  # the share of a line along which there is an edge: a checker board has 1
FEWEST_COLUMNS, FEWEST_ROWS, FEWEST_IN_LINE = 4, 3, 8
TILE_LEVELS = 9.0  # within a tile
STRAY = 0.02  # the share of cells that are otherwise


@dataclass(frozen=True)
class _Block:
    """Six colours side by side: cells [left, right) of the rows."""

    left: int
    right: int
    rows: npt.NDArray[np.int64]
    in_order: bool


def colour_bars(view: Plane) -> float | None:
    """Return the share of the width, 0 to 1, that the six colours of a test card take; else None.

    Args:
        view: (3, 90, 160), Y, Cb, Cr; without colours there is nothing to find.
    """
    if len(view) < 3:
        return None
    blue, red = view[1] - 128, view[2] - 128
    strength = np.hypot(blue, red)
    coloured = strength > COLOURED
    if coloured.mean() < HIGH_MIDDLE * MIDDLE:
        return None
    angle = np.degrees(np.arctan2(red, blue))
    colours = np.where(coloured, np.round((angle - BLUE_AT) / STEP) % COLOURS, -1).astype(np.int8)
    if np.unique(colours[coloured]).size < COLOURS:
        return None
    for turned, planes in ((colours, view), (colours.T, view.transpose(0, 2, 1))):
        block = _find_block(turned, planes)
        if block is not None and not _is_on_a_slide(planes, block):
            return (block.right - block.left) / int(turned.shape[1])
    return None


def _find_block(colours: npt.NDArray[np.int8], planes: Plane) -> _Block | None:
    """Return the block of bars in the rows, if they are those of a test card."""
    height, width = colours.shape
    found = [(row, *six) for row in range(height) for six in _sixes(colours[row], planes[1:, row])]
    if not found:
        return None
    lefts, rights = (np.array([item[n] for item in found]) for n in (1, 2))
    left, right = int(np.median(lefts)), int(np.median(rights))
    together = (np.abs(lefts - left) <= MIXED) & (np.abs(rights - right) <= MIXED)
    rows = np.unique(np.array([item[0] for item in found])[together])
    in_order = all(item[3] for item, counts in zip(found, together, strict=True) if counts)
    share, high = (right - left) / width, rows.size / height
    is_central = abs(left + right - width) / (2 * width) < OFF_CENTRE
    fills = share > WIDE and high > HIGH_WIDE
    if fills or (in_order and is_central and share > MIDDLE and high > HIGH_MIDDLE):
        return _Block(left, right, rows, in_order)
    return None


def _sixes(row: npt.NDArray[np.int8], chroma: Plane) -> Iterator[tuple[int, int, bool]]:
    """Yield where six even runs of the six colours stand side by side, and if in usual order."""
    edges = np.flatnonzero(np.diff(row)) + 1
    runs = [
        (int(row[first]), int(first), int(end))
        for first, end in pairwise([0, *edges, row.size])
        if row[first] >= 0 and end - first >= NARROWEST
    ]
    for n in range(len(runs) - COLOURS + 1):
        six = runs[n : n + COLOURS]
        order = tuple(colour for colour, _, _ in six)
        if len(set(order)) < COLOURS:
            continue
        widths = [end - first for _, first, end in six]
        gaps = [after[1] - before[2] for before, after in pairwise(six)]
        if max(widths) > UNEVEN * min(widths) + MIXED or max(gaps) > MIXED:
            continue
        if all(
            np.ptp(chroma[:, first + 1 : end - 1], axis=1).max() < FLAT for _, first, end in six
        ):
            yield six[0][1], six[-1][2], order in (CARD_ORDER, CARD_ORDER[::-1])


def _is_on_a_slide(planes: Plane, block: _Block) -> bool:
    """Return whether one light ground surrounds the bars, or wide bars do not fill the picture."""
    luma = planes[0]
    if (block.right - block.left) / luma.shape[1] > WIDE and _has_light_edges(luma):
        return True
    top, bottom = int(block.rows[0]), int(block.rows[-1]) + 1
    middle = slice(top, bottom)
    return _is_one_light_ground(
        luma[middle, : max(0, block.left - 2)],
        luma[middle, block.right + 2 :],
        luma[: max(0, top - 2), block.left : block.right],
        luma[bottom + 2 :, block.left : block.right],
    )


def _has_light_edges(luma: Plane) -> bool:
    return _is_one_light_ground(luma[:1], luma[-1:], luma[:, :1], luma[:, -1:])


def _is_one_light_ground(*sides: Plane) -> bool:
    grounds = [float(np.median(side)) for side in sides if side.size]
    return len(grounds) >= 3 and min(grounds) > LIGHT and np.ptp(grounds) < SAME_GROUND


def even_tiles(view: Plane) -> tuple[int, int] | None:
    """Return how many columns and rows of even, flat tiles fill a view; None if they do not.

    Checker boards, charts of colours, steps of grey.
    """
    columns, rows = _tile_edges(view), _tile_edges(view.transpose(0, 2, 1))
    count = len(columns) - 1, len(rows) - 1
    is_chart = count[0] >= FEWEST_COLUMNS and count[1] >= FEWEST_ROWS
    if not (is_chart or max(count) >= FEWEST_IN_LINE):
        return None
    if _has_light_edges(view[0]):
        return None
    inside = _inside(columns)[None, :] & _inside(rows)[:, None]
    differs = np.zeros(view.shape[1:], np.bool_)
    for plane in view:
        for top, bottom in pairwise(rows):
            for left, right in pairwise(columns):
                tile = plane[top:bottom, left:right]
                differs[top:bottom, left:right] |= np.abs(tile - np.median(tile)) > TILE_LEVELS
    return count if float((differs & inside).sum()) / inside.sum() < STRAY else None


def _tile_edges(view: Plane) -> list[int]:
    """Return the columns at which tiles begin, and the end; [0, end] unless they are even."""
    width = view.shape[2]
    whole = [0, width]
    # Over two cells: an encoder smears an edge over as many.
    steps = np.abs(view[:, :, 2:] - view[:, :, :-2]).max(axis=0)
    along = (steps > TILE_STEP).mean(axis=0)
    strength = steps.mean(axis=0) * (along > TILE_EDGE)
    peaks = [
        n + 1
        for n in range(strength.size)
        if strength[n] > 0 and strength[n] >= strength[max(0, n - 2) : n + 3].max()
    ]
    edges = [0]
    for peak in [*peaks, width]:
        if peak - edges[-1] >= NARROWEST:
            edges.append(peak)
    widths = np.diff(edges)
    inner = widths[1:-1]
    if edges[-1] != width or not inner.size or widths.max() > UNEVEN * max(1, inner.min()):
        return whole
    return edges


def _inside(edges: list[int]) -> Mask:
    """Return which columns are not beside an edge."""
    inside = np.ones(edges[-1], np.bool_)
    for edge in edges[1:-1]:
        inside[max(0, edge - 2) : edge + 2] = False
    return inside

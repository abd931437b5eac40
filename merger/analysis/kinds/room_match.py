"""Whether a picture shows what a room's own screen shows when nobody presents.

Such a card comes through the same devices as the picture, so it is neither moved nor scaled, and
its levels are known. What varies on it, such as a clock, was learned where it was met.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from merger.analysis.cards import Card, Learned, Picture, Plane
from merger.analysis.kinds.view import Mask, Tolerance, grid_view, mark_differences

FINE = (320, 180)  # words of slides are other words here; in half of it they are grey bars
ROUGH = (32, 18)

# The figures below are from 133 pictures of devices and desktops that were taken for cards, after
# x264 at CRF 40 in 960x540, from 170 slides, and from slides of one template with other words.
#
# Roughly: 32x18 averages that differ by so many levels, and the share of them that may.
ROUGH_LEVELS, ROUGH_SHARE = 48.0, 0.15
# Levels of Y, Cb, Cr by which a cell's surroundings may differ, and more beside edges.
TOLERANCE = Tolerance((24.0, 32.0, 32.0), 0.15)
# The share of cells that may differ besides: a message in a corner and a pointer.
SPARE = 0.06
# How what is drawn on the card, and what is in its place, correlate: cards 0.74 and more, other
# words on the same ground 0.4 at most.
DRAWN = 0.65
THERE = 0.7  # the share of what is drawn on the card that is in its place
STROKE, LIMIT = 5.0, 40.0  # levels between what is drawn and its surroundings: least, and most
SURROUNDINGS = (5, 5)
# Bars on both sides of a picture: lines of which nearly nothing is bright, beside one of which much
# is. Levels; shares; cells.
DARK, MUCH, NOTHING, EDGE, UNEVEN = 48.0, 0.6, 0.05, 6, 4


def find_room_card(small: Picture, cards: Sequence[Card]) -> tuple[Card, float] | None:
    """Return the card of a room that a picture shows, with how likely it is, DRAWN to 1."""
    if not cards:
        return None
    height, width = small.shape[1:]
    view = grid_view(small, (0.0, 0.0, float(width), float(height)))
    rough, strokes = _roughly(view[0]), strokes_of(small[0])
    best: tuple[Card, float] | None = None
    for card in cards:
        assert card.learned is not None
        for model in _as_sent(card):
            differs = np.abs(rough - _roughly(model[0])) > ROUGH_LEVELS
            if differs.mean() <= ROUGH_SHARE:
                likeness = likeness_of(view, model, strokes, card.learned)
                if likeness >= DRAWN and (best is None or likeness > best[1]):
                    best = card, likeness
    return best


def _roughly(luma: Plane) -> Plane:
    return np.asarray(cv2.resize(luma, ROUGH, interpolation=cv2.INTER_AREA), np.float32)


def _as_sent(card: Card) -> list[Plane]:
    """Return a card by each matrix, in full and in limited range."""
    limited = card.signatures * (219 / 255)
    limited[:, 0] += 16
    limited[:, 1:] += 128 * (1 - 219 / 255)
    return [*card.signatures, *limited]


def likeness_of(view: Plane, model: Plane, strokes: Plane, learned: Learned) -> float:
    """Return how what is drawn on a card correlates with a view; 0 if it is surely another.

    Args:
        view, model: (3, 90, 160), the planes Y, Cb, Cr of both.
        strokes: of the view.
        learned: of the card.
    """
    agrees = ~mark_differences(view, model, TOLERANCE)
    counts = ~learned.varies
    if np.count_nonzero(agrees & counts) < (1 - SPARE) * np.count_nonzero(counts):
        return 0.0
    is_drawn = np.abs(learned.strokes) > STROKE
    of_card = _in_fine(counts) & is_drawn
    compared = _in_fine(agrees & counts)
    if np.count_nonzero(compared & is_drawn) < THERE * np.count_nonzero(of_card):
        return 0.0
    compared &= is_drawn | (np.abs(strokes) > STROKE)
    seen, card = strokes[compared], learned.strokes[compared]
    length = float(np.linalg.norm(card) * np.linalg.norm(seen))
    return float(card @ seen) / length if length > 0 else 0.0


def _in_fine(mask: Mask) -> Mask:
    """Return which parts of a picture lie in cells of a mask, but for their edges."""
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.asarray(cv2.resize(inner, FINE, interpolation=cv2.INTER_NEAREST) > 0)


def strokes_of(luma: Picture | Plane) -> Plane:
    """Return by how much the parts of a picture stand out from their surroundings, (180, 320).

    The edges of bars beside it do not: all pictures of one shape have them.
    """
    fine = cv2.resize(luma, FINE, interpolation=cv2.INTER_AREA).astype(np.float32)
    strokes = (fine - cv2.blur(fine, SURROUNDINGS)).clip(-LIMIT, LIMIT)
    for line in _edges_of_bars(fine):
        strokes[:, max(0, line - EDGE) : line + EDGE] = 0
    for line in _edges_of_bars(fine.T):
        strokes[max(0, line - EDGE) : line + EDGE] = 0
    return np.asarray(strokes, np.float32)


def _edges_of_bars(luma: Plane) -> list[int]:
    """Return before which columns the bar on the left ends, and that on the right begins."""
    bright = (luma > DARK).mean(axis=0)
    inside = np.flatnonzero(bright > MUCH)
    if not inside.size:
        return []
    first, end = int(inside[0]), int(inside[-1]) + 1
    outside = np.concatenate([bright[: max(0, first - 2)], bright[end + 2 :]])
    is_even = abs(first - (len(bright) - end)) <= UNEVEN
    return [first, end] if outside.size and is_even and outside.max() < NOTHING else []

"""What a decoded picture of a screen shows: a presentation, or one of the kinds that are none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from merger.analysis.cards import Card, Picture
from merger.analysis.kinds.bars import colour_bars, even_tiles
from merger.analysis.kinds.card_match import find_card
from merger.analysis.kinds.noise import noise_share
from merger.analysis.kinds.phrases import meaning_of
from merger.analysis.kinds.plain import has_many_levels, stray_share, unsmooth_share
from merger.analysis.kinds.strokes import LEAST, SPARSE, stroke_share
from merger.analysis.kinds.view import (
    Box,
    Chroma,
    boxes_between_bars,
    grid_view,
    reduce_planes,
    screen_boxes,
)
from merger.analysis.words.reading import Line, read_words
from merger.i18n import Message
from merger.timeline.plan import Verdict

# Cells beside bars that the encoder mixes with them: after 5 cells one colour is even to 4 levels
# (blue at 320x180), after 3 cells only to 7.
MIXED = 5
RING = 1  # cells at a picture's own edges, where capture boxes leave lines of other pictures


@dataclass(frozen=True)
class Sample:
    """What a picture shows, and why."""

    verdict: Verdict
    reason: Message


def classify(
    luma: Picture,
    chroma: Chroma | None,
    cards: Sequence[Card],
    read: Callable[[Picture], list[Line]] = read_words,
) -> Sample:
    """Classify one picture. A doubtful one is a presentation.

    Args:
        luma: (H, W) uint8, 64x36 to 3840x2160, limited or full range.
        chroma: Cb and Cr of any subsampling, or None for a grey picture.
        read: reads the words of a BGR picture; asked only where there is little on it.
    """
    small = reduce_planes(luma, chroma)
    height, width = (float(side) for side in small.shape[1:])
    full, inside = (0.0, 0.0, width, height), boxes_between_bars(small)
    boxes = (full, *screen_boxes(width, height), *inside)
    return (
        _as_card(small, boxes, cards)
        or _as_ground(small, full, inside)
        or _as_test_card(small, (full, *inside))
        or _as_noise(luma, small, inside)
        or _by_words(luma, chroma, small, read)
        or Sample("presentation", Message("analysis.no_card"))
    )


def _as_card(small: Picture, boxes: Sequence[Box], cards: Sequence[Card]) -> Sample | None:
    for box in boxes:
        found = find_card(small, box, cards)
        if found:
            card, likeness = found
            why = Message("analysis.matches_card", card=card.name, likeness=round(likeness, 2))
            return Sample(card.kind, why)
    return None


def _as_ground(small: Picture, full: Box, inside: Sequence[Box]) -> Sample | None:
    places = [(full, RING), *((box, MIXED) for box in inside)]
    for box, margin in places:
        if box is full and has_many_levels(small[0]):
            share = None
        else:
            share = stray_share(grid_view(small, box), margin)
        if share is not None:
            return Sample("blank", Message("analysis.differs", percent=round(100 * share, 2)))
    if stroke_share(small[0]) > SPARSE:
        return None
    for box, margin in places:
        share = unsmooth_share(grid_view(small, box), margin)
        if share is not None:
            return Sample("blank", Message("analysis.smooth", percent=round(100 * share, 2)))
    return None


def _as_test_card(small: Picture, boxes: Sequence[Box]) -> Sample | None:
    for box in boxes:
        view = grid_view(small, box)
        share = colour_bars(view)
        if share is not None:
            return Sample("bars", Message("analysis.colour_bars", percent=round(100 * share)))
        tiles = even_tiles(view)
        if tiles is not None:
            return Sample("bars", Message("analysis.tiles", columns=tiles[0], rows=tiles[1]))
    return None


def _as_noise(luma: Picture, small: Picture, inside: Sequence[Box]) -> Sample | None:
    scale = luma.shape[1] / small.shape[2]
    planes = [luma]
    for box in inside:
        left, top, right, bottom = (round(side * scale) for side in box)
        planes.append(luma[top:bottom, left:right])
    for plane in planes:
        share = noise_share(plane)
        if share is not None:
            return Sample("noise", Message("analysis.noise", percent=round(100 * share)))
    return None


def _by_words(
    luma: Picture, chroma: Chroma | None, small: Picture, read: Callable[[Picture], list[Line]]
) -> Sample | None:
    if not LEAST < stroke_share(small[0]) < SPARSE:
        return None
    meaning = meaning_of(read(_in_colours(luma, chroma)))
    if meaning is None:
        return None
    return Sample(meaning.verdict, Message("analysis.says", words=meaning.words))


def _in_colours(luma: Picture, chroma: Chroma | None) -> Picture:
    """Return the planes as BGR, near enough for words: by BT.601, in full range."""
    if chroma is None:
        return np.asarray(cv2.cvtColor(luma, cv2.COLOR_GRAY2BGR), np.uint8)
    size = (luma.shape[1], luma.shape[0])
    blue, red = (cv2.resize(plane, size) for plane in chroma)
    return np.asarray(cv2.cvtColor(cv2.merge([luma, red, blue]), cv2.COLOR_YCrCb2BGR), np.uint8)

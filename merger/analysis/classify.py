"""What a decoded picture of a screen shows: a presentation, or one of the kinds that are none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from merger.analysis.cards import Card, Picture, Plane
from merger.analysis.kinds.bars import colour_bars, even_tiles
from merger.analysis.kinds.card_match import find_card
from merger.analysis.kinds.noise import noise_share
from merger.analysis.kinds.phrases import MOST_LINES, Meaning, meaning_of
from merger.analysis.kinds.plain import has_many_levels, stray_share, unsmooth_share
from merger.analysis.kinds.room_match import find_room_card
from merger.analysis.kinds.strokes import LARGE, drawn_box, is_sparse, stroke_share
from merger.analysis.kinds.view import (
    Box,
    Chroma,
    boxes_between_bars,
    grid_view,
    reduce_planes,
    screen_boxes,
)
from merger.analysis.kinds.written import written_phrase
from merger.analysis.words.reading import Line, read_words
from merger.i18n import Message
from merger.timeline.plan import Verdict
from merger.timeline.screen.stills import own_reason

# Cells beside bars that the encoder mixes with them: after 5 cells one colour is even to 4 levels
# (blue at 320x180), after 3 cells only to 7.
MIXED = 5
NOISY = 0.04  # the share of strokes: noise that an encoder has left has 0.05 and more
MOST_WRITTEN = 2  # the tallest lines, of those that are in scripts that are not read
_WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
# Of the picture: where less is drawn on, that is read once more, from nearer. What is looked at is
# reduced or enlarged to a number of pixels, and small words are lost in the whole.
NEARER = 0.5
READ = 0.85  # of a line's reading: in a script that the networks know, it has more


@dataclass(frozen=True)
class Sample:
    """What a picture shows, and why."""

    verdict: Verdict
    reason: Message


def read_few(picture: Picture) -> list[Line]:
    """Read the words of a picture if they may be those of a device: if there are few lines."""
    return read_words(picture, unless_more=MOST_LINES)


def classify(
    luma: Picture,
    chroma: Chroma | None,
    cards: Sequence[Card],
    read: Callable[[Picture], list[Line]] = read_few,
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
    by_card = _as_own_screen(small, [card for card in cards if card.learned is not None])
    by_card = by_card or _as_card(
        small,
        (full, *screen_boxes(width, height), *inside),
        [card for card in cards if card.learned is None],
    )
    if by_card:
        return by_card
    views = [(grid_view(small, full), 0), *((grid_view(small, box), MIXED) for box in inside)]
    strokes = stroke_share(small[0])
    return (
        _as_ground(small, views, strokes)
        or _as_test_card([view for view, _ in views])
        or (_as_noise(small, full, inside) if strokes > NOISY else None)
        or (_by_words(luma, chroma, small[0], read) if is_sparse(small[0]) else None)
        or Sample("presentation", Message("analysis.no_card"))
    )


def _as_own_screen(small: Picture, cards: Sequence[Card]) -> Sample | None:
    found = find_room_card(small, cards)
    return Sample(found[0].kind, own_reason(found[0].name, found[1])) if found else None


def _as_card(small: Picture, boxes: Sequence[Box], cards: Sequence[Card]) -> Sample | None:
    for box in boxes:
        found = find_card(small, box, cards)
        if found:
            card, likeness = found
            why = Message("analysis.matches_card", card=card.name, likeness=round(likeness, 2))
            return Sample(card.kind, why)
    return None


def _as_ground(small: Picture, views: Sequence[tuple[Plane, int]], strokes: float) -> Sample | None:
    plain = views[1:] if has_many_levels(small[0]) else views
    for view, margin in plain:
        share = stray_share(view, margin)
        if share is not None:
            return Sample("blank", Message("analysis.differs", percent=round(100 * share, 2)))
    for view, margin in views if strokes < LARGE else ():
        share = unsmooth_share(view, margin)
        if share is not None:
            return Sample("blank", Message("analysis.smooth", percent=round(100 * share, 2)))
    return None


def _as_test_card(views: Sequence[Plane]) -> Sample | None:
    for view in views:
        share = colour_bars(view)
        if share is not None:
            return Sample("bars", Message("analysis.colour_bars", percent=round(100 * share)))
        tiles = even_tiles(view)
        if tiles is not None:
            return Sample("bars", Message("analysis.tiles", columns=tiles[0], rows=tiles[1]))
    return None


def _as_noise(small: Picture, full: Box, inside: Sequence[Box]) -> Sample | None:
    for box in (full, *inside):
        left, top, right, bottom = (round(side) for side in box)
        share = noise_share(small[0, top:bottom, left:right])
        if share is not None:
            return Sample("noise", Message("analysis.noise", percent=round(100 * share)))
    return None


def _by_words(
    luma: Picture, chroma: Chroma | None, small: Picture, read: Callable[[Picture], list[Line]]
) -> Sample | None:
    """Return what words say: of the whole picture, or of what is drawn on it, seen from nearer."""
    picture = _in_colours(luma, chroma)
    drawn = drawn_box(small)
    share = (drawn[2] - drawn[0]) * (drawn[3] - drawn[1])
    for box in (_WHOLE, drawn) if share < NEARER else (_WHOLE,):
        lines = [replace(line, box=_in_whole(line.box, box)) for line in read(_cut(picture, box))]
        meaning = meaning_of(lines) or _written_meaning(luma, lines)
        if meaning is not None:
            return Sample(meaning.verdict, Message("analysis.says", words=meaning.words))
    return None


def _cut(picture: Picture, box: Box) -> Picture:
    height, width = picture.shape[:2]
    left, top, right, bottom = box
    rows = slice(round(top * height), round(bottom * height))
    return picture[rows, round(left * width) : round(right * width)]


def _in_whole(box: Box, part: Box) -> Box:
    """Return a box of a part of a picture as one of the whole; all as fractions."""
    left, top, right, bottom = part
    wide, high = right - left, bottom - top
    return (
        left + box[0] * wide, top + box[1] * high, left + box[2] * wide, top + box[3] * high,
    )  # fmt: skip


def _written_meaning(luma: Picture, lines: Sequence[Line]) -> Meaning | None:
    """Return what lines mean that could not be read, by their looks."""
    if len(lines) > MOST_LINES:
        return None
    height, width = luma.shape
    unread = [line for line in lines if not line.text or line.score < READ]
    for line in sorted(unread, key=lambda line: -line.height)[:MOST_WRITTEN]:
        left, top, right, bottom = line.box
        found = written_phrase(
            luma[
                round(top * height) : round(bottom * height),
                round(left * width) : round(right * width),
            ]
        )
        if found:
            return Meaning(found[0], found[1])
    return None


def _in_colours(luma: Picture, chroma: Chroma | None) -> Picture:
    """Return the planes as BGR, near enough for words: by BT.601, in full range."""
    if chroma is None:
        return np.asarray(cv2.cvtColor(luma, cv2.COLOR_GRAY2BGR), np.uint8)
    size = (luma.shape[1], luma.shape[0])
    blue, red = (cv2.resize(plane, size) for plane in chroma)
    return np.asarray(cv2.cvtColor(cv2.merge([luma, red, blue]), cv2.COLOR_YCrCb2BGR), np.uint8)

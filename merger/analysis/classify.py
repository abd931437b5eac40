"""What a decoded picture of a screen shows: a presentation, a "no signal" card, or one colour."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from merger.analysis.cards import GRID, Card, Picture, Plane, rough_form, to_grid
from merger.i18n import Message
from merger.timeline.plan import Verdict

Chroma = tuple[Picture, Picture]
Mask = npt.NDArray[np.bool_]
Box = tuple[float, float, float, float]  # left, top, right, bottom, in the small picture

SMALL = 320  # columns of the small picture, at least: twice the grid, so that a crop stays sharp
ASPECTS = (4 / 3, 16 / 10, 16 / 9, 5 / 4)  # of screens
NEIGHBOURS = np.ones((5, 5), np.uint8)

# The figures below are from the drawn pictures of tests/analysis/test_classify.py, after x264 at
# CRF 35, from 1920x1080 down to 320x180.
#
# Cards. 32x18 averages: cards, and bars with a text box, correlate at 0.97 and more.
ROUGH_MATCH = 0.85
# 160x90 averages: cards 0.97 and more; other words of the same size in the same place 0.87 at most.
MATCH = 0.93
# Contrast of the picture over the card's: 0.67 (limited range, darkened, softened) to 1.16 (range
# expanded twice). White words on grey have 0.53 of the contrast of those on black, in one range.
CONTRAST = (0.6, 1.2)
# Levels of Y, Cb, Cr. In Y a card needs 24 (320x180; 16 from 640x360), small words on a user's
# photo give 33 (320x180; 38). In Cb and Cr a card needs 34, a card on another ground gives 88.
TOLERANCE = (28.0, 50.0, 50.0)
TOLERANCE_OF_CONTRAST = 0.1

# Bars. Levels about the corners' median: noise of sigma 4 stays within 12; limited black against
# dark blue without chroma is 16 or more. Brighter corners than DARK are no bars.
BORDER = 12.0
DARK = 48.0
EDGE = 0.05  # the share of a line that content takes, at least: noise takes less
# Cells beside bars that the encoder mixes with them: after 5 cells one colour is even to 4 levels
# (blue at 320x180), after 3 cells only to 7.
MIXED = 5

# One colour. Levels about the median: noise of sigma 4 gives 4 at most; light grey words (215 on
# 255, 3 % of the height) give 12, and 7 at 320x180.
LEVELS = 6.0
# Cells, columns and rows: a pointer of three times the usual size takes 4x7, "Fin" at 4 % of the
# height 6x4, "Why?" 7x3, three words 12 columns.
SPOT = (5, 7)
# The share of the strongest difference below which a cell is the encoder's echo of a pointer.
# Light grey words beside a black and white pointer have more than 0.35.
ECHO = 0.15

# A picture is surely not of one colour where more than MANY of its cells are farther than FAR from
# its mean: a pointer on one colour takes less than a tenth as many.
FAR, MANY = 48.0, 0.05


@dataclass(frozen=True)
class Sample:
    """What a picture shows, and why."""

    verdict: Verdict
    reason: Message


def classify(luma: Picture, chroma: Chroma | None, cards: Sequence[Card]) -> Sample:
    """Classify one picture. A doubtful one is a presentation.

    Args:
        luma: (H, W) uint8, 64x36 to 3840x2160, limited or full range.
        chroma: Cb and Cr of any subsampling, or None for a grey picture.
    """
    small = _reduce(luma, chroma)
    height, width = (float(side) for side in small.shape[1:])
    full, inside = (0.0, 0.0, width, height), _boxes_between_bars(small)
    for box in (full, *_screen_boxes(width, height), *inside):
        found = _find_card(small, box, cards)
        if found:
            card, likeness = found
            return Sample(
                "no_signal",
                Message("analysis.matches_card", card=card.name, likeness=round(likeness, 2)),
            )
    plain = [] if _has_many_levels(small[0]) else [(full, 0)]
    for box, margin in (*plain, *((box, MIXED) for box in inside)):
        share = _stray_share(_grid_view(small, box), margin)
        if share is not None:
            return Sample("blank", Message("analysis.differs", percent=round(100 * share, 2)))
    return Sample("presentation", Message("analysis.no_card"))


def _reduce(luma: Picture, chroma: Chroma | None) -> Picture:
    """Reduce the planes to (1 or 3, h, w) averages, w from SMALL to twice that where it can be."""
    first = _halve(luma)
    size = (first.shape[1], first.shape[0])
    return np.stack([first, *(cv2.resize(_halve(plane), size) for plane in chroma or ())])


def _halve(plane: Picture) -> Picture:
    """Halve until the width is below twice SMALL: ten times faster than any other factor."""
    while plane.shape[1] >= 2 * SMALL and plane.shape[0] > 1:
        height, width = plane.shape[0] // 2, plane.shape[1] // 2
        whole = plane[: 2 * height, : 2 * width]
        plane = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA))
    return plane


def _screen_boxes(width: float, height: float) -> Iterator[Box]:
    """Yield the centred boxes that a screen of another shape fills.

    Bars beside a black picture cannot be seen, so these are tried without looking for bars.
    """
    for aspect in ASPECTS:
        left = max(0.0, width - height * aspect) / 2
        top = max(0.0, height - width / aspect) / 2
        if max(left, top) > 1:
            yield left, top, width - left, height - top


def _boxes_between_bars(small: Picture) -> list[Box]:
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


def _grid_view(small: Picture, box: Box) -> Plane:
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


def _find_card(small: Picture, box: Box, cards: Sequence[Card]) -> tuple[Card, float] | None:
    """Return the likeliest card that a box shows, with its correlation, MATCH to 1."""
    left, top, right, bottom = (round(side) for side in box)
    form = rough_form(small[0, top:bottom:2, left:right:2])
    rough = [float(form @ card.rough) for card in cards]
    likely = [i for i in np.argsort(rough)[::-1] if rough[i] > ROUGH_MATCH]
    if not likely:
        return None
    view = _grid_view(small, box)
    for i in likely:
        score = max(_likeness(view, signature, cards[i].spare) for signature in cards[i].signatures)
        if score >= MATCH:
            return cards[i], score
    return None


def _likeness(view: Plane, signature: Plane, spare: float) -> float:
    """Return how a view correlates with a card's (3, 90, 160) signature; 0 if it is surely not it.

    Tries shifts of up to two cells, as a box is rounded to columns and an encoder may crop.
    """
    model = np.ascontiguousarray(signature[: len(view), 2:-2, 2:-2])
    found = cv2.matchTemplate(view[0], model[0], cv2.TM_CCOEFF_NORMED)
    _, score, _, (left, top) = cv2.minMaxLoc(found)
    if score < (MATCH if not spare else ROUGH_MATCH):
        return 0.0
    rows, columns = model.shape[1:]
    seen = view[:, top : top + rows, left : left + columns]
    agrees = np.ones((rows, columns), np.bool_)
    for _ in range(3 if spare else 1):  # what is laid over the card must not bend the levels
        card, picture = model[0][agrees], seen[0][agrees]
        deviation = card - card.mean()
        gain = float(np.vdot(deviation, picture) / np.vdot(deviation, card))
        if not CONTRAST[0] < gain < CONTRAST[1]:
            return 0.0
        luma = (seen[:1] - picture.mean()) / gain + card.mean()
        agrees = ~_mark_differences(np.concatenate([luma, seen[1:]]), model)
        if agrees.mean() < 1 - spare if spare else not _is_spot(~agrees):
            return 0.0
    if not spare:
        return score
    return float(np.corrcoef(model[0][agrees], seen[0][agrees])[0, 1])


def _mark_differences(seen: Plane, model: Plane) -> Mask:
    """Return a mask of the cells whose surroundings, 3x3 cells, have another level in the model.

    Edges may differ more, since they move by fractions of a cell and soften.
    """
    marked = np.zeros(seen.shape[1:], np.bool_)
    for picture, card, tolerance in zip(seen, model, TOLERANCE, strict=False):
        contrast = cv2.dilate(card, NEIGHBOURS) - cv2.erode(card, NEIGHBOURS)
        allowed = tolerance + TOLERANCE_OF_CONTRAST * contrast
        marked |= np.abs(cv2.blur(picture, (3, 3)) - cv2.blur(card, (3, 3))) > allowed
    return marked


def _has_many_levels(luma: Picture) -> bool:
    """Return whether a picture is surely not of one colour; ten times faster than by its grid."""
    rough = cv2.resize(luma, GRID, interpolation=cv2.INTER_AREA)
    ground = cv2.norm(rough, cv2.NORM_L1) / rough.size
    return float(np.count_nonzero(np.abs(rough - ground) > FAR)) / rough.size > MANY


def _stray_share(view: Plane, margin: int) -> float | None:
    """Return the share of cells, 0 to 1, that differ in a view of one colour; None if it is none.

    All that may differ is noise and one spot the size of a mouse pointer. Leaves out `margin`
    cells at the edges, where the encoder mixes the picture with the bars beside it.
    """
    inner = view[:, margin : GRID[1] - margin, margin : GRID[0] - margin]
    differs = np.zeros(inner.shape[1:], np.bool_)
    for plane in inner:
        distance = np.abs(plane - np.median(plane[::2, ::2]))
        differs |= distance > max(LEVELS, ECHO * float(distance.max()))
    return float(differs.mean()) if _is_spot(differs) else None


def _is_spot(mask: Mask) -> bool:
    """Return whether all marked cells lie within one box the size of a mouse pointer."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not columns.size:
        return True
    wide, high = columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
    return bool(wide <= SPOT[0] and high <= SPOT[1])

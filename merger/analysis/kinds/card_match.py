"""Whether a picture shows a card: roughly first, then cell by cell."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from merger.analysis.cards import Card, Picture, Plane, rough_form
from merger.analysis.kinds.view import Box, Tolerance, grid_view, is_spot, mark_differences

# The figures below are from the drawn pictures of tests/analysis/test_classify.py, after x264 at
# CRF 35, from 1920x1080 down to 320x180.
#
# 32x18 averages: cards, and bars with a text box, correlate at 0.97 and more.
ROUGH_MATCH = 0.85
# 160x90 averages: cards 0.97 and more; other words of the same size in the same place 0.87 at most.
MATCH = 0.93
# Contrast of the picture over the card's: 0.67 (limited range, darkened, softened) to 1.16 (range
# expanded twice). White words on grey have 0.53 of the contrast of those on black, in one range.
CONTRAST = (0.6, 1.2)
# Levels of Y, Cb, Cr. In Y a card needs 24 (320x180; 16 from 640x360), small words on a user's
# photo give 33 (320x180; 38). In Cb and Cr a card needs 34, a card on another ground gives 88.
TOLERANCE = Tolerance((28.0, 50.0, 50.0), 0.1)


def find_card(small: Picture, box: Box, cards: Sequence[Card]) -> tuple[Card, float] | None:
    """Return the likeliest card that a box shows, with its correlation, MATCH to 1."""
    left, top, right, bottom = (round(side) for side in box)
    form = rough_form(small[0, top:bottom:2, left:right:2])
    rough = [float(form @ card.rough) for card in cards]
    likely = [i for i in np.argsort(rough)[::-1] if rough[i] > ROUGH_MATCH]
    if not likely:
        return None
    view = grid_view(small, box)
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
        agrees = ~mark_differences(np.concatenate([luma, seen[1:]]), model, TOLERANCE)
        if agrees.mean() < 1 - spare if spare else not is_spot(~agrees):
            return 0.0
    if not spare:
        return score
    return float(np.corrcoef(model[0][agrees], seen[0][agrees])[0, 1])

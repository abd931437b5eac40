"""Slates: the pictures that we draw where there is no media, in the language of the videos.

Drawn with OpenCV 5, whose built-in font needs no system fonts. No text enters a filter graph.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from merger.errors import Broken
from merger.i18n import say
from merger.timeline.layout import WIDE, Size, fit_into
from merger.timeline.plan import SlateKey

_GROUND = (52, 44, 38)  # BGR: a calm dark blue-grey that no one takes for a dead signal
_INK = (225, 220, 214)
_TEXT_HEIGHT = 0.055  # of the picture's height
_LONGEST_LINE = 0.85  # of the picture's width


def draw_slate(text: str, size: Size) -> npt.NDArray[np.uint8]:
    """Return a slate as (height, width, 3) BGR uint8, its lines centred."""
    picture = np.full((size.height, size.width, 3), _GROUND, np.uint8)
    font = cv2.FontFace("sans")
    lines = text.split("\n")
    letters = max(8, round(size.height * _TEXT_HEIGHT))

    def width(line: str) -> int:
        box = cv2.getTextSize((0, 0), line, (0, 0), font, letters, 500)
        return int(box[2])

    while letters > 8 and max(map(width, lines)) > size.width * _LONGEST_LINE:
        letters -= 1
    step = round(letters * 1.6)
    baseline = (size.height - step * len(lines)) // 2 + letters
    for line in lines:
        origin = ((size.width - width(line)) // 2, baseline)
        cv2.putText(picture, line, origin, _INK, font, letters, 500)
        baseline += step
    return picture


def _draw_in_column(text: str, size: Size) -> npt.NDArray[np.uint8]:
    """Return a slate for a tall column: as high as the wide pictures that it stands in for."""
    inner = fit_into(WIDE, size)
    picture = np.zeros((size.height, size.width, 3), np.uint8)
    top = (size.height - inner.height) // 4 * 2
    picture[top : top + inner.height] = draw_slate(text, inner)
    return picture


def slate_png(key: SlateKey, size: Size, language: str) -> bytes:
    """Return a slate as a PNG file."""
    draw = _draw_in_column if size.width < size.height else draw_slate
    written, data = cv2.imencode(".png", draw(say(language, f"slate.{key}"), size))
    if not written:
        raise Broken("slate", "render.no_png")
    return data.tobytes()

"""The words of one picture, line by line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from merger.analysis.words.networks import Tensor, are_there, finder, word_reader

Picture = npt.NDArray[np.uint8]  # (H, W, 3), BGR
Box = tuple[int, int, int, int]  # left, top, right, bottom

MOST_LINES = 12  # of one picture: each costs 10 to 40 ms

# Pixels that words are looked for in: 0.2 s of a processor. Letters need 8 rows or more.
_AREA = 184_000
_MOST_ENLARGED = 1.5  # times
_STEP = 32  # sides are multiples of it
# The figures below are those that the networks were trained and published with.
_MEAN, _HALF = 127.5, 127.5
_IS_TEXT = 0.3  # of a pixel
_IS_LINE = 0.5  # of a line, on the average of its pixels
_GROWS = 1.6  # the network marks the middle of letters: a line is larger by so much
_ROWS = 48  # of a line that is read
_WIDEST = 960  # columns of a line that is read: 0.06 s
_THINNEST = 3  # px of a line's height as it was found: less is a rule or a speck


@dataclass(frozen=True)
class Line:
    """One line of words.

    Args:
        box: left, top, right and bottom, as fractions of the picture, 0 to 1.
        score: how sure the reading is, 0 to 1.
    """

    text: str
    box: tuple[float, float, float, float]
    score: float

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]


def read_words(
    picture: Picture, most: int = MOST_LINES, unless_more: int | None = None
) -> list[Line]:
    """Read the words of a picture, from top to bottom; none where the networks are not installed.

    Latin, Chinese and Japanese. Lines in other scripts come out as what they look like, with low
    scores, or as no text at all: where they lie is known all the same.

    Args:
        picture: (H, W, 3) uint8, BGR, as sharp as there is: it is reduced here.
        most: lines to read; of more, the tallest. The others have no text.
        unless_more: with more lines than these, none is read.
    """
    if not are_there():
        return []
    height, width = picture.shape[:2]
    boxes = sorted(_find_lines(picture), key=lambda box: box[1] - box[3])
    if unless_more is not None and len(boxes) > unless_more:
        most = 0
    lines = []
    for n, (left, top, right, bottom) in enumerate(boxes):
        text, score = _read_line(picture[top:bottom, left:right]) if n < most else ("", 0.0)
        box = (left / width, top / height, right / width, bottom / height)
        lines.append(Line(text, box, score))
    return sorted(lines, key=lambda line: (line.box[1], line.box[0]))


def _find_lines(picture: Picture) -> list[Box]:
    height, width = picture.shape[:2]
    scale = min(_MOST_ENLARGED, (_AREA / (height * width)) ** 0.5)
    columns, rows = (max(_STEP, round(side * scale / _STEP) * _STEP) for side in (width, height))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(picture, (columns, rows), interpolation=method)
    likely = finder().run(_tensor(np.asarray(small, np.uint8)))[0, 0]
    contours, _ = cv2.findContours(
        np.asarray(likely > _IS_TEXT, np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    across, down = width / columns, height / rows
    boxes = []
    for contour in contours:
        x, y, wide, high = cv2.boundingRect(contour)
        inside = likely[y : y + high, x : x + wide]
        if high < _THINNEST or float(inside[inside > _IS_TEXT].mean()) < _IS_LINE:
            continue
        grown = wide * high * _GROWS / (2 * (wide + high))
        boxes.append(
            (
                max(0, int((x - grown) * across)), max(0, int((y - grown) * down)),
                min(width, round((x + wide + grown) * across)),
                min(height, round((y + high + grown) * down)),
            )
        )  # fmt: skip
    return boxes


def _read_line(line: Picture) -> tuple[str, float]:
    height, width = line.shape[:2]
    columns = min(_WIDEST, max(_ROWS, round(width * _ROWS / height)))
    method = cv2.INTER_AREA if height > _ROWS else cv2.INTER_CUBIC
    likely = word_reader().run(
        _tensor(np.asarray(cv2.resize(line, (columns, _ROWS), interpolation=method), np.uint8))
    )[0]
    return _spell(likely, _characters())


def _spell(likely: Tensor, characters: Sequence[str]) -> tuple[str, float]:
    """Return the likeliest text and how sure it is: repeats and blanks (number 0) fall out."""
    best = likely.argmax(axis=1)
    is_new = np.diff(best, prepend=0) != 0
    kept = np.flatnonzero(is_new & (best > 0))
    text = "".join(characters[n - 1] for n in best[kept])
    return text.strip(), float(likely.max(axis=1)[kept].mean()) if kept.size else 0.0


@cache
def _characters() -> list[str]:
    return [*word_reader().facts["character"].splitlines(), " "]


def _tensor(picture: Picture) -> Tensor:
    """Return a picture as the networks take it: (1, 3, H, W), -1 to 1."""
    planes = (picture.astype(np.float32) - _MEAN) / _HALF
    return np.ascontiguousarray(planes.transpose(2, 0, 1)[None])

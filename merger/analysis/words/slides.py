"""A slide, read once: its words, a small picture of it, and what another reader is to read.

`read_slide` runs in a reader. `tesseract` reads what is in scripts that the networks do not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from merger.analysis.words.networks import are_there, finder, word_reader
from merger.analysis.words.reading import Line, Picture, read_words
from merger.analysis.words.small import decode, shrink

_LINES = 8  # of a slide, the tallest: each costs 20 to 30 ms
# Letters and digits of a line, for each of its heights in width: of words that were read, some two.
_FEWEST_LETTERS = 1.0
_ROW, _PAUSE, _MARGIN = 48, 24, 20  # px of a sheet: a line, between two, and around them
_WIDEST = 1600  # px of a line on a sheet


@dataclass(frozen=True)
class SlideRead:
    """What reading a slide has shown.

    Attributes:
        lines: from top to bottom.
        small: the picture (JPEG), for lists.
        sheet: the lines that the networks could not read, one below the other (PNG); else empty.
        rows: the numbers of these lines.
    """

    lines: list[Line]
    small: bytes
    sheet: bytes = b""
    rows: tuple[int, ...] = ()


def prepare() -> None:
    """Load the networks before a reader forks: each slide is read by a fork of its own."""
    if are_there():
        finder()
        word_reader()


def read_slide(jpeg: bytes, wants_sheet: bool) -> SlideRead:
    """Read a slide; without the networks it has no lines.

    Args:
        wants_sheet: there is somebody to read what the networks cannot.
    """
    picture = decode(jpeg)
    lines = read_words(picture, _LINES)
    rows = [n for n, line in enumerate(lines) if _is_unread(line, picture)] if wants_sheet else []
    rows = sorted(rows, key=lambda n: -lines[n].height)[:_LINES]
    sheet = _draw_sheet(picture, [lines[n] for n in rows]) if rows else b""
    return SlideRead(lines, shrink(picture), sheet, tuple(rows))


def with_rows(slide: SlideRead, texts: Sequence[tuple[str, float]]) -> list[Line]:
    """Return the lines of a slide with what another reader has read of its sheet.

    It may know a script better, and less of another: what has more letters stands.

    Args:
        texts: of each row, and how sure they are.
    """
    lines = list(slide.lines)
    for n, (text, score) in zip(slide.rows, texts, strict=True):
        if _letters(text) > _letters(lines[n].text):
            lines[n] = replace(lines[n], text=text, score=score)
    return lines


def row_at(y: float) -> int:
    """Return which row of a sheet is at a height in pixels."""
    return max(0, int((y - _PAUSE / 2) // (_ROW + _PAUSE)))


def _is_unread(line: Line, picture: Picture) -> bool:
    height, width = picture.shape[:2]
    left, top, right, bottom = line.box
    heights_wide: float = (right - left) * width / max(1.0, (bottom - top) * height)
    return _letters(line.text) < _FEWEST_LETTERS * heights_wide


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def _draw_sheet(picture: Picture, lines: Sequence[Line]) -> bytes:
    height, width = picture.shape[:2]
    strips = []
    for line in lines:
        left, top, right, bottom = line.box
        rows = slice(int(top * height), int(bottom * height))
        cut = picture[rows, int(left * width) : int(right * width)]
        wide = min(_WIDEST, max(1, round(cut.shape[1] * _ROW / cut.shape[0])))
        grey = cv2.cvtColor(cut, cv2.COLOR_BGR2GRAY)
        strips.append(_dark_on_light(np.asarray(
            cv2.resize(grey, (wide, _ROW), interpolation=cv2.INTER_AREA), np.uint8
        )))  # fmt: skip
    columns = max(strip.shape[1] for strip in strips) + 2 * _MARGIN
    sheet = np.full((len(strips) * (_ROW + _PAUSE) + _PAUSE, columns), 255, np.uint8)
    for n, strip in enumerate(strips):
        top = _PAUSE + n * (_ROW + _PAUSE)
        sheet[top : top + _ROW, _MARGIN : _MARGIN + strip.shape[1]] = strip
    return cv2.imencode(".png", sheet)[1].tobytes()


def _dark_on_light(strip: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return a line as a page shows it: most of it, its ground, white."""
    ground = float(np.median(strip))
    if ground < 128:
        strip, ground = np.asarray(255 - strip, np.uint8), 255 - ground
    return np.asarray(np.clip(strip * (255 / max(1.0, ground)), 0, 255), np.uint8)

"""Words are read once from pictures that look the same, as those of a slide that stands do."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from merger.analysis.words.reading import Line, Picture

# Levels by which a cell of 160x90 may differ: an encoder's pictures of one scene differ by 4, a
# letter of 3 % of the height that is another one by 20.
SAME = 10
_MOST_KEPT = 16


def remember(read: Callable[[Picture], list[Line]]) -> Callable[[Picture], list[Line]]:
    """Return a reader that answers for a picture like an earlier one what it answered then."""
    known: list[tuple[npt.NDArray[np.int16], list[Line]]] = []

    def read_once(picture: Picture) -> list[Line]:
        form = cv2.resize(picture, (160, 90), interpolation=cv2.INTER_AREA).astype(np.int16)
        for other, lines in reversed(known):
            if np.abs(form - other).max() <= SAME:
                return lines
        lines = read(picture)
        known.append((form, lines))
        del known[:-_MOST_KEPT]
        return lines

    return read_once


def at_most(times: int, read: Callable[[Picture], list[Line]]) -> Callable[[Picture], list[Line]]:
    """Return a reader that finds no words any more once it has read so often."""
    left = times

    def read_some(picture: Picture) -> list[Line]:
        nonlocal left
        left -= 1
        return read(picture) if left >= 0 else []

    return read_some


def read_nothing(picture: Picture) -> list[Line]:
    """Find no words: for those who want none to be read."""
    return []

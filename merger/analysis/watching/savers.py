"""Screen savers: one thing that wanders over an even ground, such as a logo; pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from merger.analysis.watching.thumbs import Thumb

Spot = tuple[float, float]  # in cells of a thumb: from the left, from the top

_LEVELS = 12  # by which what wanders differs from its ground
_LARGEST = 0.14  # of the picture: what is drawn
_LARGEST_BOX = 0.3  # of the picture: around nearly all that is drawn
_NEARLY_ALL = (0.02, 0.98)
_STEP = 6.0  # cells, between two looks
_LONGEST_PAUSE_US = 11_000_000  # between two looks
_SHORTEST_US = 8_000_000
_FEWEST_LOOKS = 3


def find_spot(thumb: Thumb) -> Spot | None:
    """Return the middle of the only thing on an even ground; None where there is no such thing."""
    drawn = np.abs(thumb - np.median(thumb)) > _LEVELS
    if not drawn.any() or drawn.mean() > _LARGEST:
        return None
    rows, columns = np.nonzero(drawn)
    (left, right), (top, bottom) = np.quantile(columns, _NEARLY_ALL), np.quantile(rows, _NEARLY_ALL)
    if (right - left) * (bottom - top) > _LARGEST_BOX * thumb.size:
        return None
    return float(left + right) / 2, float(top + bottom) / 2


def find_savers(times_us: Sequence[int], spots: Sequence[Spot | None]) -> list[tuple[int, int]]:
    """Return where one thing wanders for eight seconds and more.

    Returns:
        the numbers of the first and the last look of each.
    """
    found = []
    first = 0
    for n in range(1, len(times_us) + 1):
        if n < len(times_us) and _wanders(times_us, spots, n):
            continue
        last = n - 1
        is_long = times_us[last] - times_us[first] >= _SHORTEST_US
        if is_long and last - first + 1 >= _FEWEST_LOOKS:
            found.append((first, last))
        first = n
    return found


def _wanders(times_us: Sequence[int], spots: Sequence[Spot | None], n: int) -> bool:
    before, here = spots[n - 1], spots[n]
    if before is None or here is None or times_us[n] - times_us[n - 1] > _LONGEST_PAUSE_US:
        return False
    return float(np.hypot(here[0] - before[0], here[1] - before[1])) > _STEP

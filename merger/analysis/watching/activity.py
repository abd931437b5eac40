"""Where a screen moves, judged by how many bytes its pictures take; pure.

Nearly all that a still screen sends is a few bytes a picture: a change stands out without decoding.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from merger.timeline.media import MediaFile

Mask = npt.NDArray[np.bool_]

# Of the pictures around one, so many of which are before it and as many after.
_AROUND = 50
_QUIET_SHARE = 0.3  # of them take as little as a picture in which nothing changes
# A picture is busy that takes this many times what the quiet ones take, and some bytes more:
# x264, NVENC and a camera's encoder write 20 to 60 bytes where nothing changes.
_TIMES, _BYTES_MORE = 4, 60
_FEWEST_BYTES = 140
_FILM_BUSY, _FILM_BYTES = 0.4, 0.025  # shares: of the pictures, and of the key frame's bytes each
_JOINED_US = 500_000  # busy pictures that are nearer to each other belong to one change


@dataclass(frozen=True)
class Burst:
    """Neighbouring pictures that changed. first, last: their numbers in the file, both included."""

    first: int
    last: int


def find_bursts(file: MediaFile) -> list[Burst]:
    """Return where the pictures of a file change, in order."""
    busy = _mark_busy(file)
    bursts: list[Burst] = []
    for number in np.flatnonzero(busy).tolist():
        before = bursts[-1] if bursts else None
        if before and file.picture_us[number] - file.picture_us[before.last] <= _JOINED_US:
            bursts[-1] = Burst(before.first, number)
        else:
            bursts.append(Burst(number, number))
    return bursts


def extra_keys(file: MediaFile) -> set[int]:
    """Return the numbers of the key frames that come early: an encoder puts them at a new scene."""
    at = np.searchsorted(file.picture_us, file.key_us)
    if len(at) < 3:
        return set()
    steps = np.diff(at)
    usual = int(steps.max())
    return {n for n, step in enumerate(steps.tolist(), 1) if step < usual - 1}


def _mark_busy(file: MediaFile) -> Mask:
    sizes = file.picture_bytes
    count = len(file.picture_us)
    if sizes is None or not count:
        return np.zeros(count, np.bool_)
    at_keys = np.searchsorted(file.picture_us, file.key_us)
    at_keys = at_keys[at_keys < count]
    if file.video is not None and file.video.variable_rate:
        # A picture is sent because something has changed.
        busy = sizes > _FEWEST_BYTES
    else:
        busy = sizes > np.maximum(_TIMES * _quiet_bytes(sizes) + _BYTES_MORE, _FEWEST_BYTES)
    # A key frame is large whatever it shows.
    busy[at_keys] = False
    extra = [at_keys[n] for n in extra_keys(file) if n < len(at_keys)]
    busy[extra] = True
    return np.asarray(busy, np.bool_)


def _quiet_bytes(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return what the quiet pictures around each one take; in steps, as it changes slowly."""
    step = 10
    begins = range(0, len(sizes), step)
    quiet = [np.quantile(sizes[max(0, n - _AROUND) : n + _AROUND], _QUIET_SHARE) for n in begins]
    return np.repeat(quiet, step)[: len(sizes)]


def bursts_between(bursts: Sequence[Burst], after: int, before: int) -> list[Burst]:
    """Return what of bursts lies after a picture and before another, cut to that."""
    begin = bisect_right(bursts, after, key=lambda b: b.last)
    cut = []
    for burst in islice(bursts, begin, None):
        if burst.first >= before:
            break
        cut.append(Burst(max(burst.first, after + 1), min(burst.last, before - 1)))
    return cut


def largest_share(file: MediaFile, inside: Sequence[Burst], key: int, end: int) -> float:
    """Return how large the largest picture of bursts is beside the key frames around them."""
    sizes = file.picture_bytes
    if sizes is None or not inside:
        return 0.0
    of_keys = int(sizes[[key, min(end, len(sizes) - 1)]].max())
    return max(int(sizes[b.first : b.last + 1].max()) for b in inside) / max(1, of_keys)


def is_film(file: MediaFile, inside: Sequence[Burst], key: int, end: int) -> bool:
    """Return whether nearly all changes between two pictures, and much of it: each change is none.

    A pointer moves all the time, too, but in a few bytes.
    """
    sizes = file.picture_bytes
    count = end - key - 1
    if sizes is None or count < 1:
        return False
    busy = sum(b.last - b.first + 1 for b in inside)
    mean = float(sizes[key + 1 : end].mean())
    return busy > _FILM_BUSY * count and mean > _FILM_BYTES * int(sizes[key])

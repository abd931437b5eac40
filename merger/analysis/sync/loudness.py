"""How loud a sound is over time, by which two recordings of one room can be compared. Pure.

Samples are 16-bit integers, 8,000 a second; what was not recorded is exact silence.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 8_000
LOUDNESS_HOP = 80  # samples: 10 ms
ONSET_HOP = 16  # samples: 2 ms

Curve = npt.NDArray[np.float32]


class Samples(Protocol):
    """Samples in memory, or in a file that is too long for it: a slice of them is an array."""

    def __len__(self) -> int: ...

    def __getitem__(self, wanted: slice, /) -> npt.NDArray[np.int16]: ...


_AT_ONCE = 1 << 14  # hops: a day of sound is not held as floats
_GROUND_S = 3.0  # loudness is told against that of the seconds around
_BEFORE_S = 0.12  # an onset is told against what was just before it


def loudness(samples: Samples) -> Curve:
    """Return how much louder each 10 ms is than what is around it, in nepers of power.

    Zero where there is no sound at all.
    """
    power = _power(samples, LOUDNESS_HOP)
    level = np.log(power + 1)
    is_there = power > 0
    level[~is_there] = 0
    reach = round(_GROUND_S * SAMPLE_RATE / LOUDNESS_HOP / 2)
    ground = _sum_around(level, reach) / np.maximum(_sum_around(is_there, reach), 1)
    return np.where(is_there, np.clip(level - ground, -3, 3), 0).astype(np.float32)


def onsets(samples: Samples) -> Curve:
    """Return how much louder each 2 ms is than what was just before it, in nepers of power."""
    level = np.log(_power(samples, ONSET_HOP) + 4)
    reach = round(_BEFORE_S * SAMPLE_RATE / ONSET_HOP)
    padded = np.concatenate([np.full(reach, level[0]), level])
    total = np.concatenate([[0.0], np.cumsum(padded)])
    before = (total[reach : reach + len(level)] - total[: len(level)]) / reach
    rise = np.clip(level - before, -2, 4)
    return np.asarray(rise - rise.mean(), np.float32)


def _power(samples: Samples, hop: int) -> npt.NDArray[np.float64]:
    count = len(samples) // hop
    power = np.empty(count)
    for first in range(0, count, _AT_ONCE):
        end = min(count, first + _AT_ONCE)
        part = samples[first * hop : end * hop].astype(np.float32).reshape(-1, hop)
        power[first:end] = np.einsum("ij,ij->i", part, part) / hop
    return power


def _sum_around(values: npt.NDArray[Any], reach: int) -> npt.NDArray[np.float64]:
    padded = np.pad(values, (reach + 1, reach))
    total = np.cumsum(padded, dtype=np.float64)
    return np.asarray(total[2 * reach + 1 :] - total[: len(values)])

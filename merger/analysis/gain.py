"""How loud a record is made at each instant: from the loudness of what is heard to a gain. Pure.

The gain at an instant depends on what was heard before and on LOOKS_AHEAD_S after it, on nothing
later: what is made while a lecture runs stays as it is when more of it has been recorded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

LEVELS_PER_S = 10  # each of 400 ms, as ITU-R BS.1770 measures momentary loudness
# With the step to the next value, the filter that draws the curve and the limiter, under 3 s.
LOOKS_AHEAD_S = 2.7

Floats = npt.NDArray[np.float64]

_LOOKS_BACK_S = 6.0
_FEWEST = 5  # levels to judge by
# In LUFS: nobody speaks so softly that a microphone gives less, but rooms hum and hiss so.
_AUDIBLE = -60.0
_PAUSE = 10.0  # LU under the mean; BS.1770 leaves out what is softer, and so do we
# In LU, between the softest and the loudest tenth: a fan is steadier than that, a voice is not.
_STEADY = 2.0
_MOST_DB, _LEAST_DB = 24.0, -24.0
_UP_DB_PER_S, _DOWN_DB_PER_S = 4.0, 8.0
_ROWS = 8192  # of windows in memory at once


def gain_curve(levels: Sequence[float], target: float) -> Floats:
    """Return the gain in dB at the beginning of each level, for a loudness that is wanted.

    Args:
        levels: momentary loudness in LUFS, LEVELS_PER_S of them, each by its end.
        target: in LUFS.
    """
    heard = np.nan_to_num(np.asarray(levels, np.float64), nan=-200.0, neginf=-200.0)
    ahead, back = round(LOOKS_AHEAD_S * LEVELS_PER_S), round(_LOOKS_BACK_S * LEVELS_PER_S)
    padded = np.concatenate([np.full(back, -200.0), heard, np.full(ahead, -200.0)])
    curve = np.zeros(len(heard))
    spoken, gain = None, 0.0  # the loudness of what was heard last, and the gain for it
    for first in range(0, len(heard), _ROWS):
        part = padded[first : first + _ROWS + back + ahead]
        windows = np.lib.stride_tricks.sliding_window_view(part, back + ahead)[: len(heard) - first]
        for n, (loudness, is_steady) in enumerate(zip(*_judge(windows), strict=True), first):
            # A pause is not made louder: whatever is steady and much softer is the room.
            is_pause = is_steady and loudness < (target if spoken is None else spoken) - _PAUSE
            if not np.isnan(loudness) and not is_pause:
                spoken = loudness
            if spoken is not None:
                wanted = min(_MOST_DB, max(_LEAST_DB, target - spoken))
                nothing_heard = padded[n : n + back + 1].max() < _AUDIBLE
                up, down = _UP_DB_PER_S / LEVELS_PER_S, _DOWN_DB_PER_S / LEVELS_PER_S
                gain = wanted if nothing_heard else min(gain + up, max(gain - down, wanted))
            curve[n] = gain
    return curve


def _judge(windows: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the loudness in each window, NaN where nothing is heard, and whether it is steady."""
    power = 10 ** (windows / 10)
    audible = windows >= _AUDIBLE
    mean = _mean_db(power, audible)
    counted = audible & (windows >= mean[:, None] - _PAUSE)
    loudness = _mean_db(power, counted)
    loudness[counted.sum(axis=1) < _FEWEST] = np.nan
    ordered = np.sort(np.where(audible, windows, 200.0), axis=1)
    count = audible.sum(axis=1)
    rows = np.arange(len(windows))
    softest = ordered[rows, count // 10]
    loudest = ordered[rows, np.maximum(0, count - 1 - count // 10)]
    return loudness, loudest - softest < _STEADY


def _mean_db(power: Floats, counted: npt.NDArray[np.bool_]) -> Floats:
    count = counted.sum(axis=1)
    total = np.where(counted, power, 0.0).sum(axis=1)
    mean = np.divide(total, count, out=np.full(len(power), np.nan), where=count > 0)
    decibels: Floats = 10 * np.log10(mean)
    return decibels

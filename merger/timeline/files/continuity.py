"""Clocks of files that jump: stray times, and clocks that were set. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

_SECOND_US = 1_000_000
# Times go back by less than this where packets are out of order, and are missing for as long as
# this where a recorder stood still: what is more is no media of one file, which lasts half an hour.
BACK_US = _SECOND_US
FORTH_US = 3600 * _SECOND_US
# A stray time is followed by the right ones within so many packets.
_MOST_STRAYS = 50
_RETURNS_US = 10 * _SECOND_US
_SAME_STEP_US = _SECOND_US


def jumps(before_us: int, after_us: int) -> bool:
    """Return whether a clock jumps between two times of packets that follow each other."""
    return not -BACK_US <= after_us - before_us <= FORTH_US


def continuous(times_us: Sequence[int], steps: Sequence[int] = ()) -> tuple[list[int], list[int]]:
    """Return the times of a stream's packets on one clock that does not jump.

    Stray times are replaced by such as lie between their neighbours'. Where a clock was set, the
    stream goes on one packet's length after the packet before.

    Args:
        times_us: decoding times, in the order of the file.
        steps: by how much the clock was set in another stream of the file, each time. A step of
            this stream that is nearly as long is the same, so that both stay in time.

    Returns:
        The times, and by how much the clock was set.
    """
    lengths = [b - a for a, b in pairwise(times_us) if 0 < b - a <= FORTH_US]
    length_us = int(median(lengths)) if lengths else 0
    far_us = max(BACK_US, 2 * length_us)  # forward, and no usual step
    found: list[int] = []
    taken: list[int] = []
    offset_us, last_us, n = 0, None, 0
    while n < len(times_us):
        at_us = times_us[n]
        if last_us is not None and _leaps(last_us, at_us, far_us):
            back = _where_it_returns(times_us, n, last_us, far_us)
            if back is not None:
                between_us = (times_us[back] - last_us) / (back - n + 1)
                found += [
                    round(last_us + offset_us + between_us * k) for k in range(1, back - n + 1)
                ]
                n = back
                continue
        if last_us is not None and jumps(last_us, at_us):
            step_us = last_us + length_us - at_us
            near = [s for s in steps if abs(s - step_us) <= _SAME_STEP_US]
            step_us = min(near, key=lambda s: abs(s - step_us), default=step_us)
            taken.append(step_us)
            offset_us += step_us
        found.append(at_us + offset_us)
        last_us = at_us
        n += 1
    return found, taken


def _leaps(before_us: int, after_us: int, far_us: int) -> bool:
    return not -BACK_US <= after_us - before_us <= far_us


def _where_it_returns(times_us: Sequence[int], first: int, last_us: int, far_us: int) -> int | None:
    """Return the number of the packet that goes on where the stream was before a stray one.

    It leaps there, and somewhere on the way the clock goes back: after a pause it does not.
    """
    goes_back = times_us[first] < last_us - BACK_US
    for n in range(first + 1, min(len(times_us), first + 1 + _MOST_STRAYS)):
        goes_back |= times_us[n] < times_us[n - 1] - BACK_US
        is_back = -BACK_US <= times_us[n] - last_us <= _RETURNS_US
        if goes_back and is_back and _leaps(times_us[n - 1], times_us[n], far_us):
            return n
    return None

"""How long to pause after failures in a row: longer each time. Pure."""

from __future__ import annotations

from datetime import timedelta

_MOST_DOUBLINGS = 20  # beyond which every pause is the longest


def backoff(
    failures: int,
    first: timedelta,
    longest: timedelta,
    *,
    jitter: float = 0.0,
    chance: float = 0.5,
) -> timedelta:
    """Return the pause after a failure: the first, doubled with each failure since.

    Args:
        failures: in a row, this one included; fewer than one counts as one.
        jitter: by which part of itself the pause may be shorter or longer, 0..1.
        chance: 0..1, spreads what failed together; 0.5 leaves the pause as it is.
    """
    doublings = min(max(failures, 1) - 1, _MOST_DOUBLINGS)
    pause: timedelta = min(first * 2**doublings, longest)
    return pause * (1 + jitter * (2 * chance - 1))

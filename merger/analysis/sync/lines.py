"""The line that most of some points lie on, whatever the others do. Pure, and without chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Line:
    """value = at_zero + slope * time. agrees: which of the points lie on it."""

    at_zero: float
    slope: float
    agrees: npt.NDArray[np.bool_]
    spread: float  # the standard deviation of those from it


def most_agreed_line(points: Floats, tolerance: float, steepest: float) -> Line | None:
    """Return the line through two of some points that most others agree with, fitted to those.

    None where no two points have a line that is flat enough.

    Args:
        points: a row for each: its time, its value, and its weight.
    """
    times, values, weights = points.T
    first, second = np.triu_indices(len(times), 1)
    apart = times[second] - times[first]
    is_far = np.abs(apart) >= max(1.0, np.ptp(times) / 8) if len(times) else apart > 0
    first, second, apart = first[is_far], second[is_far], apart[is_far]
    slopes = (values[second] - values[first]) / apart
    is_flat = np.abs(slopes) <= steepest
    first, slopes = first[is_flat], slopes[is_flat]
    if not len(slopes):
        return None
    at_zero = values[first] - slopes * times[first]
    errors = np.abs(values - at_zero[:, None] - slopes[:, None] * times)
    best = int(np.argmax((errors < tolerance) @ weights))
    agrees = errors[best] < tolerance
    for _ in range(3):
        line = _fit(times[agrees], values[agrees], weights[agrees])
        now = np.abs(values - line[0] - line[1] * times) < tolerance
        if now.sum() < 2 or np.array_equal(now, agrees):
            break
        agrees = now
    spread = float((values - line[0] - line[1] * times)[agrees].std())
    return Line(line[0], line[1], agrees, spread)


def _fit(times: Floats, values: Floats, weights: Floats) -> tuple[float, float]:
    columns = np.stack([np.ones(len(times)), times], axis=1) * np.sqrt(weights)[:, None]
    (at_zero, slope), *_ = np.linalg.lstsq(columns, values * np.sqrt(weights), rcond=None)
    return float(at_zero), float(slope)

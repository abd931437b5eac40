"""How far one sound is from another of the same room: its offset, and how its clock drifts. Pure.

Three steps, each on what the one before has found:

1. loudness over the whole length: which offset and drift make both loud at the same times;
2. onsets in windows of some seconds, and the line that most windows agree with;
3. the phase in windows, once offset and drift are taken out: what arrived first counts, not what
   the walls returned.

The same voice in one room has one answer; another lecture, or a sound that repeats, has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from merger.analysis.sync.lines import Floats, Line, most_agreed_line
from merger.analysis.sync.loudness import (
    LOUDNESS_HOP,
    ONSET_HOP,
    SAMPLE_RATE,
    Curve,
    Samples,
    loudness,
    onsets,
)

Refusal = Literal["too_short", "unrelated"]

SHORTEST_S = 25.0  # of sound: in less, a chance likeness cannot be told from a true one
LARGEST_OFFSET_S = 90.0
LARGEST_DRIFT = 800e-6  # a quartz clock is a tenth of this off

# 1. Loudness. A block is so short that drift does not smear it, and so long that chance is small.
_BLOCK_S = 300.0
_MOST_BLOCKS = 36
_LOUDNESS_STEP_S = LOUDNESS_HOP / SAMPLE_RATE
_SLOPE_STEP_S = 0.05  # over the whole length
_FEWEST_DEVIATIONS = 7.0  # how far the best offset stands out of all others
_REPEATS_S, _REPEATS = 0.4, 0.8  # so far from it none may be nearly as good
# 2. Onsets.
_MOST_WINDOWS = 80
_ONSET_WINDOW_S, _ONSET_REACH_S, _ONSET_TOLERANCE_S = 20.0, 0.3, 0.012
_LEAST_LIKENESS = 0.1
# 3. Phase.
_PHASE_WINDOW_S, _PHASE_REACH_S, _PHASE_TOLERANCE_S = 8.0, 0.03, 0.0025
_BAND_HZ = (150, 3500)
_LEAST_SHARPNESS = 6.0
_LARGEST_CORRECTION = 80e-6

_FEWEST_WINDOWS = 4
_LEAST_AGREEMENT = 0.5
_QUIET = 3.0  # of samples of 16 bits: what is below is no sound to go by


@dataclass(frozen=True)
class Alignment:
    """What is heard at a time t of one sound is heard at t + offset_s + drift * t of the other.

    Attributes:
        windows: how many could be compared; `agreeing`: how many of them lie on this line.
        spread_s: how far those are from it, as a standard deviation.
    """

    offset_s: float
    drift: float
    windows: int
    agreeing: int
    spread_s: float

    def offset_at(self, at_s: float) -> float:
        return self.offset_s + self.drift * at_s

    @property
    def confidence(self) -> float:
        """The share of windows that agree, 0 to 1."""
        return self.agreeing / self.windows if self.windows else 0.0


def align(reference: Samples, other: Samples) -> Alignment | Refusal:
    """Return where what is heard in `other` is heard in `reference`, or why that is not known."""
    if min(map(_audible_s, (reference, other))) < SHORTEST_S:
        return "too_short"
    rough = _by_loudness(loudness(reference), loudness(other))
    if rough is None:
        return "unrelated"
    by_onsets = _by_onsets(reference, other, rough)
    if by_onsets is None:
        return "unrelated"
    return _by_phase(reference, other, by_onsets) or by_onsets


def _audible_s(samples: Samples) -> float:
    hop = SAMPLE_RATE  # a second
    seconds = range(0, len(samples), hop)
    return float(sum(bool(samples[at : at + hop].any()) for at in seconds))


# --- 1. loudness ----------------------------------------------------------------------------------


def _by_loudness(reference: Curve, other: Curve) -> tuple[float, float] | None:
    """Return offset and drift to some 50 ms; None where no offset stands out."""
    starts, profiles = _profiles(reference, other)
    if not len(profiles):
        return None
    middle_s = (starts + _block_hops(other) / 2) * _LOUDNESS_STEP_S
    steepest = LARGEST_DRIFT * np.ptp(middle_s)  # seconds over the whole length
    count = int(steepest / _SLOPE_STEP_S)
    slopes = np.linspace(-LARGEST_DRIFT, LARGEST_DRIFT, 2 * count + 1) if count else np.zeros(1)
    best: tuple[float, int, float] | None = None
    for slope in slopes:
        total = _sum_along(profiles, slope * middle_s)
        at = int(np.argmax(total))
        if best is None or total[at] > best[0]:
            best = (float(total[at]), at, float(slope))
            along = total
    assert best is not None
    score, at, slope = best
    far = np.abs(np.arange(len(along)) - at) * _LOUDNESS_STEP_S > _REPEATS_S
    others = along[far]
    if score < _FEWEST_DEVIATIONS * others.std() or others.max() > _REPEATS * score:
        return None
    return (at - len(along) // 2) * _LOUDNESS_STEP_S, slope


def _block_hops(other: Curve) -> int:
    return min(len(other), round(_BLOCK_S / _LOUDNESS_STEP_S))


def _profiles(reference: Curve, other: Curve) -> tuple[Floats, Floats]:
    """Return the first hops of blocks, and how like the other sound each is at each offset."""
    length, reach = _block_hops(other), round(LARGEST_OFFSET_S / _LOUDNESS_STEP_S)
    count = int(np.clip(len(other) // length, 1, _MOST_BLOCKS))
    starts, profiles = [], []
    for start in np.linspace(0, len(other) - length, count).astype(int).tolist():
        block = other[start : start + length]
        around = _cut(reference, start - reach, start + length + reach)
        energy = np.concatenate([[0.0], np.cumsum(around.astype(np.float64) ** 2)])
        energies = energy[length:] - energy[:-length]
        whole = float(block @ block)
        if whole <= 0 or energies.max() <= 0:
            continue
        # Where hardly anything of the other sound is left, chance is large.
        scale = np.sqrt(whole * np.maximum(energies, 0.25 * energies.max()))
        starts.append(start)
        profiles.append(_correlate(around, block) / scale)
    return np.array(starts, np.float64), np.array(profiles)


def _sum_along(profiles: Floats, shifts_s: Floats) -> Floats:
    """Return the mean of profiles, each moved by its own shift."""
    total = np.zeros(profiles.shape[1])
    for profile, shift_s in zip(profiles, shifts_s, strict=True):
        shift = round(shift_s / _LOUDNESS_STEP_S)
        total += _cut(profile, shift, shift + len(profile))
    return total / len(profiles)


# --- 2. onsets ------------------------------------------------------------------------------------


def _by_onsets(reference: Samples, other: Samples, rough: tuple[float, float]) -> Alignment | None:
    window_s = min(_ONSET_WINDOW_S, max(4.0, len(other) / SAMPLE_RATE / 10))
    reach = round(_ONSET_REACH_S * SAMPLE_RATE / ONSET_HOP)
    points = []
    for first, count in _windows(other, window_s):
        middle_s = (first + count / 2) / SAMPLE_RATE
        start = first + round((rough[0] + rough[1] * middle_s) * SAMPLE_RATE)
        margin = reach * ONSET_HOP
        if start + count <= 0 or start >= len(reference):
            continue
        piece = _cut(reference, start - margin, start + count + margin)
        if not _is_audible(piece):
            continue
        part = other[first : first + count]
        around, within = onsets(piece), onsets(part)
        energy = np.concatenate([[0.0], np.cumsum(around.astype(np.float64) ** 2)])
        energies = np.maximum(energy[len(within) :] - energy[: -len(within)], 1e-9)
        like = _correlate(around, within) / np.sqrt(energies * float(within @ within) + 1e-9)
        at = int(np.argmax(like))
        offset_s = (start - first + (at - reach + _peak(like, at)) * ONSET_HOP) / SAMPLE_RATE
        points.append((middle_s, offset_s, float(like[at])))
    found = np.array(points, np.float64).reshape(-1, 3)
    found = found[found[:, 2] >= _LEAST_LIKENESS]
    line = most_agreed_line(found, _ONSET_TOLERANCE_S, LARGEST_DRIFT)
    if not _is_agreed(line):
        return None
    assert line is not None
    return _alignment(line.at_zero, line.slope, line)


# --- 3. phase -------------------------------------------------------------------------------------


def _by_phase(reference: Samples, other: Samples, near: Alignment) -> Alignment | None:
    window_s = min(_PHASE_WINDOW_S, max(4.0, len(other) / SAMPLE_RATE / 10))
    reach = round(_PHASE_REACH_S * SAMPLE_RATE)
    points = []
    for first, count in _windows(other, window_s):
        at = np.arange(first, first + count, dtype=np.float64)
        wanted = at * (1 + near.drift) + near.offset_s * SAMPLE_RATE
        part, piece = other[first : first + count], _read_at(reference, wanted)
        if not _is_audible(piece):
            continue
        offset, sharpness = _phase_offset(piece, part, reach)
        if sharpness >= _LEAST_SHARPNESS:
            middle_s = (first + count / 2) / SAMPLE_RATE
            points.append((middle_s, offset / SAMPLE_RATE, sharpness))
    found = np.array(points, np.float64).reshape(-1, 3)
    line = most_agreed_line(found, _PHASE_TOLERANCE_S, _LARGEST_CORRECTION)
    if not _is_agreed(line):
        return None
    assert line is not None
    # other's t is heard at u = t + offset + drift * t, and that at u + line(t)
    return _alignment(near.offset_s + line.at_zero, near.drift + line.slope, line)


def _phase_offset(
    piece: npt.NDArray[Any], part: npt.NDArray[Any], reach: int
) -> tuple[float, float]:
    """Return by how many samples `piece` is later, and how far that stands out of all others."""
    size = 1 << (len(part) + len(piece) - 1).bit_length()
    ours, theirs = (np.fft.rfft(x.astype(np.float32) - x.mean(), size) for x in (piece, part))
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    both = ours * np.conj(theirs)
    strength = np.abs(both)
    # Not to the full: what is loud has more of the voice in it, and less of the noise.
    weight = ((hertz > _BAND_HZ[0]) & (hertz < _BAND_HZ[1])) / (
        strength**0.8 + 1e-3 * strength.max() ** 0.8 + 1e-12
    )
    whole = np.fft.irfft(both * weight, size)
    near = np.concatenate([whole[-reach:], whole[: reach + 1]])
    at = int(np.argmax(near))
    rest = np.delete(near, slice(max(0, at - 24), at + 25))
    return at - reach + _peak(near, at), float(near[at] / (rest.std() + 1e-12))


def _read_at(samples: Samples, wanted: Floats) -> Floats:
    """Return a sound at times between its samples; silence where it has none."""
    first, end = int(np.floor(wanted[0])), int(np.ceil(wanted[-1])) + 1
    values = np.interp(wanted - first, np.arange(end - first), _cut(samples, first, end))
    return np.asarray(values, np.float64)


# --- what the steps share -------------------------------------------------------------------------


def _windows(samples: Samples, window_s: float) -> list[tuple[int, int]]:
    """Return windows in which there is sound, spread over it, as first sample and length."""
    count = round(window_s * SAMPLE_RATE)
    firsts = range(0, len(samples) - count + 1, count // 2)
    audible = [first for first in firsts if _is_audible(samples[first : first + count])]
    chosen = np.linspace(0, len(audible) - 1, min(len(audible), _MOST_WINDOWS)).round()
    return [(audible[n], count) for n in chosen.astype(int).tolist()]


def _is_audible(samples: npt.NDArray[Any]) -> bool:
    return float(samples.std()) > _QUIET


def _is_agreed(line: Line | None) -> bool:
    if line is None:
        return False
    agreeing = int(line.agrees.sum())
    return agreeing >= max(_FEWEST_WINDOWS, _LEAST_AGREEMENT * len(line.agrees))


def _alignment(offset_s: float, drift: float, line: Line) -> Alignment:
    agreeing = int(line.agrees.sum())
    return Alignment(offset_s, drift, len(line.agrees), agreeing, line.spread)


def _cut(values: npt.NDArray[Any] | Samples, first: int, end: int) -> npt.NDArray[Any]:
    """Return values from one index to another; zeros where there are none."""
    inside = values[max(0, first) : max(0, min(end, len(values)))]
    before = min(max(0, -first), end - first)
    return np.pad(inside, (before, end - first - before - len(inside)))


def _correlate(around: Curve, block: Curve) -> Floats:
    """Return how like a block is to each stretch of its length in what is around it."""
    size = 1 << (len(around) - 1).bit_length()
    spectrum = np.fft.rfft(around, size) * np.conj(np.fft.rfft(block, size))
    whole = np.fft.irfft(spectrum, size)[: len(around) - len(block) + 1]
    return np.asarray(whole, np.float64)


def _peak(curve: npt.NDArray[Any], at: int) -> float:
    """Return how far the true top of a curve is from its highest value, in steps."""
    if not 0 < at < len(curve) - 1:
        return 0.0
    before, top, after = (float(value) for value in curve[at - 1 : at + 2])
    bend = before - 2 * top + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0

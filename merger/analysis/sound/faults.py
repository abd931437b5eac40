"""Hum of the mains, and loud places that are cut off, as somebody should mend both; pure.

A sound is told by some windows of it: hum does not stop, and who is too loud is so often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Sound = npt.NDArray[np.float32]  # (channels, samples), 1 is full scale
Floats = npt.NDArray[np.float64]

_MAINS = (50, 60)  # Hz
_HARMONICS = 6
# A line of the mains has nearly the same power in the softest seconds and in those that are less
# soft, in dB; voices and music move on.
_SOFTEST, _LESS_SOFT = 0.1, 0.3
_SWAY = 3.0
# In dB: of a line over what is between it and the next, in so many Hz to either side.
_STANDS_OUT, _BESIDE = 10.0, (4, 20)
_FEWEST_LINES = 2
# In dB(A) against full scale, and against the loudest tenth: what is softer, nobody hears.
_AUDIBLE, _UNDER_VOICE = -75.0, -50.0

# A second of sound with peaks that are cut off has most of its loudest samples near one level: by
# a voice that has room, few come near its highest peak; of a pure tone, 1.3 times as many do.
# Encoders lift what is at full scale, each sample by another amount.
_FULL = 0.97  # of full scale
_TOP, _NEXT = 0.94, 0.82  # of the peak
_PILED = 2.5  # times as many samples above _TOP as between both
_FEWEST_SAMPLES = 0.002  # of a second
_LOUD = 0.25  # of full scale: the peak of a second that counts
_OFTEN, _FEWEST_SECONDS = 0.05, 3  # of those that count


@dataclass(frozen=True)
class SoundFaults:
    """What is wrong with a sound. hum_hz: of the mains, or None."""

    hum_hz: int | None
    is_clipped: bool


def find_faults(windows: Sequence[Sound], sample_rate: int) -> SoundFaults:
    """Return what is wrong with a sound, by windows of some seconds each."""
    return SoundFaults(_hum(windows, sample_rate), _is_clipped(windows, sample_rate))


# --- hum ------------------------------------------------------------------------------------------


def _hum(windows: Sequence[Sound], sample_rate: int) -> int | None:
    powers = [_powers(window.mean(axis=0), sample_rate) for window in windows]
    frames = np.concatenate([power for power in powers if len(power)] or [np.empty((0, 0))])
    if not len(frames):
        return None
    weights = _a_weights(frames.shape[1])
    voice_db = _db(np.quantile((frames * weights).sum(axis=1), 0.9))
    softest, less_soft = np.quantile(frames, (_SOFTEST, _LESS_SOFT), axis=0) * weights
    levels = {mains: _lines_db(softest, less_soft, mains) for mains in _MAINS}
    loudest = max(levels, key=lambda mains: levels[mains])
    is_heard = levels[loudest] > max(_AUDIBLE, voice_db + _UNDER_VOICE)
    return loudest if is_heard else None


def _powers(sound: Sound, sample_rate: int) -> Floats:
    """Return the power at each whole number of Hz, of each second of a sound, half overlapping."""
    count = 2 * len(sound) // sample_rate - 1
    if count < 1:
        return np.empty((0, sample_rate // 2 + 1))
    shape = np.hanning(sample_rate)
    starts = [n * sample_rate // 2 for n in range(count)]
    frames = np.stack([sound[start : start + sample_rate] * shape for start in starts])
    powers = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    return np.asarray(2 * powers / (sample_rate * np.square(shape).sum()), np.float64)


def _lines_db(softest: Floats, less_soft: Floats, mains: int) -> float:
    """Return the level of all lines of the mains together, if there are enough of them."""
    near, far = _BESIDE
    total, found = 0.0, []
    for n in range(1, _HARMONICS + 1):
        at = n * mains
        beside = np.concatenate([softest[at - far : at - near], softest[at + near : at + far]])
        line = slice(at - 1, at + 2)  # in windows of a second a line is three Hz wide
        power = float(softest[line].sum())
        stands_out = _db(softest[line].max()) - _db(np.median(beside)) > _STANDS_OUT
        if stands_out and _db(less_soft[line].sum()) - _db(power) < _SWAY:
            total += power
            found.append(n)
    is_hum = len(found) >= _FEWEST_LINES and found[0] <= 2
    return _db(total) if is_hum else -np.inf


def _a_weights(count: int) -> Floats:
    """Return by how much a person hears power at each whole number of Hz (IEC 61672, A)."""
    hz = np.arange(count, dtype=np.float64) ** 2
    gain = 12_194**2 * hz**2 / (
        (hz + 20.6**2) * np.sqrt((hz + 107.7**2) * (hz + 737.9**2)) * (hz + 12_194**2)
    )  # fmt: skip
    return np.asarray((1.2589 * gain) ** 2, np.float64)


def _db(power: float | np.floating[npt.NBitBase]) -> float:
    return float(10 * np.log10(max(float(power), 1e-20)))


# --- clipping -------------------------------------------------------------------------------------


def _is_clipped(windows: Sequence[Sound], sample_rate: int) -> bool:
    loud = clipped = 0
    for window in windows:
        for first in range(0, window.shape[1] - sample_rate + 1, sample_rate):
            second = np.abs(window[:, first : first + sample_rate])
            peaks = second.max(axis=1)
            loud += bool(peaks.max() >= _LOUD)
            clipped += any(
                _is_cut_off(channel, float(peak))
                for channel, peak in zip(second, peaks, strict=True)
                if peak >= _LOUD
            )
    return clipped >= max(_FEWEST_SECONDS, _OFTEN * loud)


def _is_cut_off(levels: Sound, peak: float) -> bool:
    """Return whether many samples of a second are at full scale, or near its highest level."""
    fewest = _FEWEST_SAMPLES * len(levels)
    top = int((levels >= _TOP * peak).sum())
    near = int((levels >= _NEXT * peak).sum()) - top
    return int((levels >= _FULL).sum()) > fewest or top > max(fewest, _PILED * near)

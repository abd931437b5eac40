"""Sound like speech, to film with: two devices of one room hear the same, each by its own clock.

Syllables of modulated noise with pauses between them and between sentences, as no two lectures have
them alike. Nobody understands a word; loudness, onsets and pauses are those of a voice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 8_000
Samples = npt.NDArray[np.float32]

_BAND_HZ = (150.0, 3_000.0)
_BLOCK_S = 60


@dataclass(frozen=True)
class Lecture:
    """Speech that begins at an instant; two numbers have nothing in common."""

    number: int
    begins: datetime

    def heard(
        self, start: datetime, count: int, sample_rate: int, media_rate: Fraction = Fraction(1)
    ) -> Samples:
        """Return what a device hears from an instant on.

        Args:
            media_rate: of its clock, in seconds per second of wall clock.
        """
        after_s = (start - self.begins) / timedelta(seconds=1)
        at_s = after_s + np.arange(count) / (sample_rate * float(media_rate))
        whole = speech(float(at_s[-1]) + 1, self.number)
        return np.interp(at_s * SAMPLE_RATE, np.arange(len(whole)), whole).astype(np.float32)


def speech(length_s: float, lecture: int) -> Samples:
    """Return a lecture's speech from its beginning, 8,000 samples a second, at most about 0.5.

    A longer one begins with a shorter one.

    Args:
        lecture: which; two lectures have nothing in common.
    """
    blocks = [_block(lecture, number) for number in range(int(length_s // _BLOCK_S) + 1)]
    return np.concatenate(blocks)[: round(length_s * SAMPLE_RATE)]


@lru_cache(maxsize=8)  # two devices hear the same
def _block(lecture: int, number: int) -> Samples:
    """Return a minute, which begins and ends with a pause."""
    chance = np.random.default_rng([lecture, number])
    count = _BLOCK_S * SAMPLE_RATE
    envelope = np.zeros(count)
    at_s = chance.uniform(0.1, 0.5)
    while at_s < _BLOCK_S - 1:
        length_s = chance.uniform(0.09, 0.3)
        first, end = round(at_s * SAMPLE_RATE), round((at_s + length_s) * SAMPLE_RATE)
        rise = np.linspace(0, 1, end - first)
        shape = np.minimum(1, rise / 0.12) * (1 - rise) ** 0.7  # begins sharply, dies away
        envelope[first:end] = shape * np.exp(chance.normal(0, 0.5))
        at_s += length_s + (chance.uniform(0.3, 1.8) if chance.random() < 0.14 else 0.03)
    noise = np.fft.rfft(chance.normal(0, 1, count))
    hertz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    noise *= (hertz > _BAND_HZ[0]) * (hertz < _BAND_HZ[1]) / np.sqrt(np.maximum(hertz, 300))
    wave = np.fft.irfft(noise, count) * envelope
    return np.asarray((0.12 * wave / (wave.std() + 1e-12)).clip(-0.9, 0.9), np.float32)

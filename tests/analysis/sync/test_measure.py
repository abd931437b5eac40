"""How far two sounds of one room are apart: measured to the millisecond, or not at all."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from merger.analysis.sync.lines import most_agreed_line
from merger.analysis.sync.loudness import SAMPLE_RATE
from merger.analysis.sync.measure import align
from merger.timeline.clock import ClockMap
from merger.timeline.sync.outcome import Measured, moved_clock
from recorders.testing.speech import speech
from tests.conftest import CARRIED
from tests.support.selection import rarely

Sound = npt.NDArray[np.float32]

REVERBERATION_S = 1.2
SNR_DB = 5
MOST_ERROR_S = 0.005


def heard(
    lecture: int, length_s: float, offset_s: float = 0.0, ppm: float = 0.0, *, lead_s: int = 70
) -> Sound:
    """Return what a device without walls or noise hears, by a clock that is off and drifts."""
    whole = speech(length_s + 2 * lead_s, lecture)
    at_s = np.arange(round(length_s * SAMPLE_RATE)) / SAMPLE_RATE
    wanted = (at_s * (1 + ppm * 1e-6) + offset_s + lead_s) * SAMPLE_RATE
    return np.interp(wanted, np.arange(len(whole)), whole).astype(np.float32)


def in_a_hall(sound: Sound, seed: int) -> Sound:
    """Return a sound with the walls' answer, as loud as what comes directly, and the device's noise."""
    chance = np.random.default_rng(seed)
    count = round(REVERBERATION_S * SAMPLE_RATE)
    tail = chance.normal(0, 1, count) * 10 ** (-3 * np.arange(count) / count)
    answer = tail / np.sqrt((tail**2).sum())
    answer[0] = 1
    size = 1 << 18
    spectrum, step = np.fft.rfft(answer, size), size - count
    made = np.zeros(len(sound) + size, np.float32)
    for first in range(0, len(sound), step):
        block = np.fft.irfft(np.fft.rfft(sound[first : first + step], size) * spectrum, size)
        made[first : first + size] += block
    made = made[: len(sound)]
    return made + chance.normal(0, made.std() * 10 ** (-SNR_DB / 20), len(made))


def through_aac(sound: Sound, path: Path) -> Sound:
    """Return a sound as it comes back from AAC at 64 kbit/s."""
    raw = ("-f", "f32le", "-ar", "8000", "-ac", "1")
    encode = (*raw, "-i", "-", "-ar", "16000", "-c:a", "aac", "-b:a", "64k", "-y", str(path))
    run = (CARRIED.path, "-v", "error")
    subprocess.run([*run, *encode], input=sound.astype("<f4").tobytes(), check=True)
    decoded = subprocess.run([*run, "-i", str(path), *raw, "-"], capture_output=True, check=True)
    return np.frombuffer(decoded.stdout, np.float32)


def as_samples(sound: Sound) -> npt.NDArray[np.int16]:
    return (sound * 8_000).clip(-32_767, 32_767).astype(np.int16)


@pytest.mark.parametrize(
    ("length_s", "offset_s", "ppm", "aac"),
    [
        (60, 1.2, 300, False),
        (300, 63, 500, True),
        (300, -63, -500, False),
        rarely(3600, 63, 500, True, why="an hour of sound, as five minutes of it"),
        rarely(3600, -1.2, -500, False, why="an hour of sound, as five minutes of it"),
    ],
)
def test_offset_and_drift(
    tmp_path: Path, length_s: int, offset_s: float, ppm: float, aac: bool
) -> None:
    sounds = [
        in_a_hall(heard(1, length_s), 1),
        in_a_hall(heard(1, length_s, offset_s, ppm), 2),
    ]
    if aac:
        sounds = [through_aac(sound, tmp_path / "sound.mp4") for sound in sounds]
    found = align(*map(as_samples, sounds))
    assert not isinstance(found, str), found
    for at_s in (0, length_s):
        assert abs(found.offset_at(at_s) - offset_s - ppm * 1e-6 * at_s) <= MOST_ERROR_S
    assert found.confidence > 0.9 and found.spread_s < MOST_ERROR_S


def test_other_lectures_are_refused() -> None:
    """Twenty of twenty, although all have the same manner of speaking, halls and noise."""
    lectures = [heard(lecture, 59, lead_s=0) for lecture in range(21)]
    sounds = [as_samples(in_a_hall(lecture, n)) for n, lecture in enumerate(lectures)]
    found = [align(one, other) for one, other in pairwise(sounds)]
    assert found == ["unrelated"] * 20


def test_what_repeats_has_no_offset() -> None:
    """Two devices that hear a beep each second may be any number of seconds apart."""
    at_s = np.arange(60 * SAMPLE_RATE) / SAMPLE_RATE
    beeps = [np.sin(2 * np.pi * hertz * at_s) * (at_s % 1 < 0.1) for hertz in (440, 660)]
    for other in beeps:
        assert align(*map(as_samples, (beeps[0], other))) == "unrelated"


def test_too_little_sound() -> None:
    whole, little = as_samples(heard(1, 60)), as_samples(heard(1, 60))
    little[20 * SAMPLE_RATE :] = 0
    assert align(whole, little) == "too_short" == align(little, whole)


def test_a_line_is_what_most_agree_on() -> None:
    times = np.arange(20.0) * 10
    values = 3 + 0.001 * times
    values[[2, 7, 11, 12, 19]] += [4, -1, 2, 2, 0.5]
    points = np.stack([times, values, np.ones(20)], axis=1)
    line = most_agreed_line(points, tolerance=0.05, steepest=0.01)
    assert line is not None and line.agrees.sum() == 15
    assert (line.at_zero, line.slope) == pytest.approx((3, 0.001))
    assert most_agreed_line(points, tolerance=0.05, steepest=0.0001) is None
    assert most_agreed_line(points[:1], tolerance=0.05, steepest=0.01) is None


def test_clocks_after_three_hours() -> None:
    """Fifty seconds of every twenty minutes are spoken. The clocks are those that a merge would have."""
    hours_s, spoken_s, every_s = 3 * 3600, 49, 1200
    offset_s, ppm = 1.2, 300.0
    sounds = [np.zeros(hours_s * SAMPLE_RATE, np.int16) for _ in range(2)]
    for lecture, at_s in enumerate(range(0, hours_s, every_s)):
        first, end = at_s * SAMPLE_RATE, (at_s + spoken_s) * SAMPLE_RATE
        late_s = offset_s + ppm * 1e-6 * at_s
        sounds[0][first:end] = as_samples(heard(lecture, spoken_s, lead_s=5))
        sounds[1][first:end] = as_samples(heard(lecture, spoken_s, late_s, ppm, lead_s=5))
    found = align(*sounds)
    assert not isinstance(found, str), found
    measured = Measured("same", round(found.offset_s * 1e6), round(found.drift * 1e9))
    start = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
    clock = moved_clock(ClockMap(start, 0), measured, start)
    for at_s in (0, hours_s):
        right = start + timedelta(seconds=at_s + offset_s + ppm * 1e-6 * at_s)
        assert abs(clock.wall(at_s * 1_000_000) - right) <= timedelta(milliseconds=5)

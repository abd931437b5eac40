"""Hum and loud places that are cut off are told, and nothing else is taken for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from merger.analysis.sound.faults import SoundFaults, find_faults
from merger.analysis.sound.hearing import WINDOW_US, hear_faults, windows_in
from merger.media.index import read_media
from merger.timeline.clock import Stretch
from recorders.testing.speech import SAMPLE_RATE, speech
from tests.support.sounds import write_sound

Wave = npt.NDArray[np.float32]
LENGTH_S = 30
MINUTE_US = 60_000_000


def voice(loudness: float = 1.0, limit: float = 1.0) -> Wave:
    """Return speech; what is louder than a limit is cut off."""
    return np.clip(loudness * speech(LENGTH_S, 1), -limit, limit)


def tones(level_db: float, *hertz: float) -> Wave:
    """Return tones, each half as loud as the one before."""
    at_s = np.arange(LENGTH_S * SAMPLE_RATE) / SAMPLE_RATE
    waves = [0.5**n * np.sin(2 * np.pi * hz * at_s + n) for n, hz in enumerate(hertz)]
    return np.asarray(10 ** (level_db / 20) * sum(waves), np.float32)


def rough(level: float) -> Wave:
    random = np.random.default_rng(3)
    return np.asarray(random.normal(0, level, LENGTH_S * SAMPLE_RATE), np.float32)


def sung() -> Wave:
    """Return a voice whose pitch wanders about 100 Hz, as nobody's stands still."""
    at_s = np.arange(LENGTH_S * SAMPLE_RATE) / SAMPLE_RATE
    pitch = 100 + 8 * np.sin(2 * np.pi * 0.31 * at_s) + 3 * np.sin(2 * np.pi * 1.7 * at_s)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    return np.asarray(0.1 * sum(np.sin(n * phase) / n for n in range(1, 12)), np.float32)


NOTHING, CLIPPED = SoundFaults(None, is_clipped=False), SoundFaults(None, is_clipped=True)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("sound", "expected"),
    [
        pytest.param(voice(), NOTHING, id="a voice"),
        pytest.param(voice(0.02), NOTHING, id="a soft voice"),
        pytest.param(voice() + rough(0.01), NOTHING, id="beside a fan"),
        pytest.param(sung(), NOTHING, id="a voice on one pitch"),
        pytest.param(voice() + tones(-30, 440, 660), NOTHING, id="tones of something else"),
        pytest.param(voice() + tones(-80, 100, 150, 200), NOTHING, id="a hum that nobody hears"),
        pytest.param(tones(-1, 440), NOTHING, id="a loud tone"),
        pytest.param(voice() + tones(-30, 50, 100, 150), SoundFaults(50, False), id="50 Hz"),
        pytest.param(voice() + tones(-45, 120, 180, 240), SoundFaults(60, False), id="60 Hz"),
        pytest.param(voice(4), CLIPPED, id="cut off at full scale"),
        pytest.param(voice(4, 0.5), CLIPPED, id="cut off before it was digital"),
    ],
)
def test_what_is_wrong_with_a_sound(sound: Wave, expected: SoundFaults) -> None:
    assert find_faults([sound[None]], SAMPLE_RATE) == expected


def test_it_is_heard_through_an_encoder(tmp_path: Path) -> None:
    """In a part of the file alone, and on one of two channels."""
    loud = np.stack([voice(4) + tones(-20, 50, 100, 150), voice()])
    sound = np.concatenate([np.stack([voice(), voice()]), loud.clip(-1, 1)], axis=1)
    path = tmp_path / "sound.mp4"
    write_sound(path, sound, SAMPLE_RATE)
    media = read_media(path)
    first, second = Stretch(5_000_000, 25_000_000), Stretch(35_000_000, 55_000_000)
    assert hear_faults(media, [first]) == NOTHING
    assert hear_faults(media, [second]) == SoundFaults(50, is_clipped=True)
    assert hear_faults(media, []) == NOTHING


@pytest.mark.quick
def test_ten_seconds_of_five_minutes_are_listened_to() -> None:
    found = windows_in([Stretch(0, 12 * MINUTE_US), Stretch(20 * MINUTE_US, 20 * MINUTE_US + 1)])
    assert [w.start_us / MINUTE_US for w in found] == pytest.approx([2.42, 7.42, 10.92], abs=0.01)
    assert {w.end_us - w.start_us for w in found} == {WINDOW_US}

"""The gain by which a record is made as loud as others: levels in, decibels out."""

from __future__ import annotations

import numpy as np
import pytest

from merger.analysis.gain import LEVELS_PER_S, gain_curve

pytestmark = pytest.mark.quick

SILENCE = -120.7
TARGET = -18.0


def voice(seconds: float, lufs: float, seed: int = 1) -> list[float]:
    """Return levels that move by some decibels, as those of people who speak, with pauses."""
    chance = np.random.default_rng(seed)
    levels = lufs + chance.normal(0, 2.5, round(seconds * LEVELS_PER_S))
    for begin in range(40, len(levels), 100):
        levels[begin : begin + 8] = lufs - 25
    return [float(level) for level in levels]


def fan(seconds: float, lufs: float) -> list[float]:
    levels = lufs + np.random.default_rng(2).normal(0, 0.3, round(seconds * LEVELS_PER_S))
    return [float(level) for level in levels]


def made(levels: list[float], curve: np.ndarray, *between_s: float) -> float:
    """Return the loudness of what is heard with a gain, the pauses left out."""
    first, end = (round(at * LEVELS_PER_S) for at in between_s)
    loud = (np.array(levels) + curve)[first:end]
    loud = loud[loud > loud.max() - 15]
    return float(10 * np.log10(np.mean(10 ** (loud / 10))))


@pytest.mark.parametrize("recorded", [-38.0, -23.0, -9.0])
def test_all_voices_become_equally_loud(recorded: float) -> None:
    levels = voice(60, recorded)
    assert made(levels, gain_curve(levels, TARGET), 0, 60) == pytest.approx(TARGET, abs=1)


@pytest.mark.parametrize(("before", "after"), [(-20.0, -35.0), (-35.0, -20.0)])
def test_ten_seconds_after_a_step_it_is_made_up_for(before: float, after: float) -> None:
    levels = voice(60, before) + voice(60, after)
    curve = gain_curve(levels, TARGET)
    for between_s in ((10, 57), (70, 120)):
        assert made(levels, curve, *between_s) == pytest.approx(TARGET, abs=2)
    # whatever it does, it does slowly
    assert np.diff(curve).min() > -0.81 and np.diff(curve).max() < 0.41


@pytest.mark.parametrize("pause", [[SILENCE] * 600, fan(60, -48), fan(60, -64)])
def test_pauses_are_not_made_louder(pause: list[float]) -> None:
    levels = voice(30, -25) + pause + voice(30, -25, seed=3)
    curve = gain_curve(levels, TARGET)
    assert curve[250:1000].max() - curve[250:300].mean() < 3


def test_a_room_in_which_nobody_speaks_yet_is_left_as_it_is() -> None:
    assert np.abs(gain_curve(fan(60, -50) + voice(10, -25), TARGET)[:550]).max() == 0
    assert np.abs(gain_curve([SILENCE, float("nan"), float("-inf")] * 100, TARGET)).max() == 0
    assert len(gain_curve([], TARGET)) == 0


def test_after_silence_another_microphone_is_right_from_its_first_word() -> None:
    levels = [SILENCE] * 100 + voice(20, -38) + [SILENCE] * 100 + voice(20, -12)
    curve = gain_curve(levels, TARGET)
    assert curve[100] == pytest.approx(20, abs=2.5) and curve[400] == pytest.approx(-6, abs=2.5)


def test_what_is_recorded_later_changes_the_last_three_seconds_at_most() -> None:
    levels = voice(30, -30) + fan(20, -45) + voice(30, -12) + [SILENCE] * 100 + voice(30, -38)
    whole = gain_curve(levels, TARGET)
    for cut in range(0, len(levels), 7):
        same = max(0, cut - 3 * LEVELS_PER_S + 2)  # between two values it is drawn
        assert np.array_equal(gain_curve(levels[:cut], TARGET)[:same], whole[:same]), cut

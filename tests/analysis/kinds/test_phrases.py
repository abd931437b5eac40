"""What words mean: phrases with errors, what stands beside them, and titles that only sound alike."""

import pytest

from merger.analysis.kinds.phrases import meaning_of, simplify
from merger.analysis.words.reading import Line

pytestmark = pytest.mark.quick


def read(*texts: str, score: float = 0.97) -> list[Line]:
    """Place lines below each other in the middle of the picture."""
    return [
        Line(text, (0.3, 0.4 + 0.08 * n, 0.7, 0.45 + 0.08 * n), score)
        for n, text in enumerate(texts)
    ]


@pytest.mark.parametrize(
    ("texts", "verdict"),
    [
        (["No signal"], "no_signal"),
        (["NO SIGNAL DETECTED ON INPUT 3"], "no_signal"),
        (["Nlo s1gnal"], None),
        (["No s|gnal"], "no_signal"),
        (["LUMENCAST", "No signal. Searching for source…"], "no_signal"),
        (["Pearl-2 Input 1: No signal", "HDMI-A · room 12", "http://10.0.0.7"], "no_signal"),
        (["Aucun signal", "Vérifiez le câble HDMI"], "no_signal"),
        (["Sin señal"], "no_signal"),
        (["Brak sygnału"], "no_signal"),
        (["2011年11月23日", "无视频信号"], "no_signal"),
        (["信号がありません"], "no_signal"),
        (["OUT OF RANGE", "H: 91.1 kHz V: 85 Hz"], "no_signal"),
        (["2026-11-20 10:42:17", "Video loss"], "no_signal"),
        (["Ready to cast", "Hall 12"], "standby"),
        (["Login code", "8830", "Open a browser, download and run the software"], "standby"),
        (["Your PC ran into a problem and needs to restart.", "30% complete"], "lock"),
        (["Recycle Bin", "Type here to search"], "desktop"),
        ([], None),
        (["04:59"], None),
        (["No signal?"], None),
        (["No signal processing"], None),
        (["No signal", "without noise", "chapter three of the course"], None),
        (["No signals from space"], None),
        (["NO SIGMAS"], None),
        (["SIGNALS"], None),
        (["Index out of range"], None),
        (["Out of range"], None),
        (["No video"], None),
        (["Searching for signals in noise"], None),
        (["Pas de signalement"], None),
        (["No signal", *"abcdefg"], None),
    ],
)
def test_what_words_mean(texts: list[str], verdict: str | None) -> None:
    meaning = meaning_of(read(*texts))
    assert (meaning and meaning.verdict) == verdict


def test_what_is_read_badly_may_have_more_errors_if_it_is_long() -> None:
    garbled = "Walring Iti the ptesenter to share a srreen"
    assert meaning_of(read(garbled)) is None
    assert meaning_of(read(garbled, score=0.8)) is not None
    assert meaning_of(read("No sigma", score=0.8)) is None
    assert meaning_of(read("No signal", score=0.4)) is None


@pytest.mark.parametrize(
    ("text", "box", "verdict"),
    [
        ("HDMI 1", (0.85, 0.04, 0.97, 0.09), "blank"),
        ("Source: DisplayPort 1080p 60 Hz", (0.1, 0.9, 0.4, 0.95), "blank"),
        ("HDMI 1", (0.4, 0.45, 0.6, 0.5), None),
        ("HDMI 1", (0.6, 0.04, 0.97, 0.24), None),
        ("HDMI and its successors", (0.1, 0.04, 0.6, 0.09), None),
        ("10:42", (0.85, 0.04, 0.97, 0.09), None),
    ],
)
def test_a_display_tells_its_input(
    text: str, box: tuple[float, float, float, float], verdict: str | None
) -> None:
    meaning = meaning_of([Line(text, box, 0.97)])
    assert (meaning and meaning.verdict) == verdict


def test_signs_and_accents_are_left_out() -> None:
    assert simplify("Ctrl+Alt+Del – «Señal», 10:42 · Pearl-2") == "ctrl alt del senal 10:42 pearl-2"

"""How the colours of HDR and wide gamuts look in BT.709."""

from __future__ import annotations

import av
import numpy as np
import pytest

from merger.media.colour import colours_of, complaints_about, cube, matrix_of, to_sdr
from merger.timeline.media import Colours, Primaries, Transfer

pytestmark = pytest.mark.quick

KINDS = [
    Colours("hlg", "bt2020"),
    Colours("pq", "bt2020"),
    Colours("pq", "p3"),
    Colours("sdr", "bt2020"),
    Colours("sdr", "p3"),
]


def shown(colours: Colours, *signals: tuple[float, float, float]) -> np.ndarray:
    """Return the levels, 0 to 255, that a display of BT.709 gets for some signals."""
    return np.asarray(to_sdr(np.array(signals), colours) * 255)


@pytest.mark.parametrize(("transfer", "white"), [("hlg", 0.75), ("pq", 0.5807), ("sdr", 1.0)])
def test_the_white_of_a_page_is_light_and_highlights_are_lighter(
    transfer: Transfer, white: float
) -> None:
    """ITU-R BT.2408 says where white lies."""
    black, grey, page, highlight = shown(
        Colours(transfer, "bt2020"), *((white * share,) * 3 for share in (0, 0.5, 1, 1 / white))
    )
    assert black.max() < 1
    assert 225 < page.min() <= highlight.min()
    assert highlight == pytest.approx(255, abs=1)
    for neutral in (grey, page, highlight):
        assert np.ptp(neutral) < 1  # a grey stays grey


@pytest.mark.parametrize(
    ("primaries", "red"),
    [
        # red of BT.709 in light of the others (ITU-R BT.2087, SMPTE EG 432-1)
        ("bt2020", (0.6274, 0.0691, 0.0164)),
        ("p3", (0.8225, 0.0332, 0.0171)),
    ],
)
def test_the_primaries_are_those_of_bt709(
    primaries: Primaries, red: tuple[float, float, float]
) -> None:
    signal = tuple(part ** (1 / 2.4) for part in red)
    assert shown(Colours("sdr", primaries), signal)[0] == pytest.approx([255, 0, 0], abs=6)  # type: ignore[arg-type]


@pytest.mark.parametrize("colours", KINDS, ids=lambda c: c.name)
def test_brighter_is_brighter(colours: Colours) -> None:
    ramp = shown(colours, *((level / 100,) * 3 for level in range(101)))
    assert (np.diff(ramp, axis=0) > -1e-6).all()
    assert (ramp[0].max(), ramp[-1].max()) == (0, pytest.approx(255, abs=1))


def test_the_table_holds_the_same() -> None:
    colours = Colours("hlg", "bt2020")
    head, *rows = cube(colours).splitlines()
    assert head == "LUT_3D_SIZE 33"
    assert len(rows) == 33**3
    red, green, blue = 20, 10, 5  # red changes fastest
    found = [float(level) for level in rows[red + 33 * (green + 33 * blue)].split()]
    expected = to_sdr(np.array([red, green, blue]) / 32, colours)
    assert found == pytest.approx(expected.tolist(), abs=1e-5)


def picture(transfer: int, primaries: int, matrix: int) -> av.VideoFrame:
    """Return a picture that says so of itself, in the numbers of ITU-T H.273."""
    frame = av.VideoFrame(64, 36, "yuv420p")
    frame.color_trc, frame.color_primaries, frame.colorspace = transfer, primaries, matrix
    return frame


@pytest.mark.parametrize(
    ("numbers", "colours", "matrix"),
    [
        ((1, 1, 1), None, "bt709"),
        ((2, 2, 2), None, None),  # it says nothing
        ((13, 1, 6), None, "bt601"),  # a screen in sRGB
        ((18, 9, 9), Colours("hlg", "bt2020"), "bt2020"),
        ((16, 9, 9), Colours("pq", "bt2020"), "bt2020"),
        ((16, 2, 2), Colours("pq", "bt2020"), "bt2020"),
        ((14, 9, 9), Colours("sdr", "bt2020"), "bt2020"),
        ((1, 12, 1), Colours("sdr", "p3"), "bt709"),
    ],
)
def test_what_pictures_say_of_their_colours(
    numbers: tuple[int, int, int], colours: Colours | None, matrix: str | None
) -> None:
    said = picture(*numbers)
    assert (colours_of(said), matrix_of(said)) == (colours, matrix)
    assert complaints_about(said) == []


@pytest.mark.parametrize("numbers", [(10, 9, 9), (17, 10, 1), (16, 9, 14)])
def test_colours_that_would_look_wrong_are_told(numbers: tuple[int, int, int]) -> None:
    assert [c.key for c in complaints_about(picture(*numbers))] == ["media.unknown_colours"]

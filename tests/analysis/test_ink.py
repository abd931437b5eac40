"""Where slides have ink, as far as small JPEGs of them show it; and where the speaker goes then."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from merger.analysis.ink import ink_of
from merger.timeline.layout import CORNERS, Corner, least_hidden_corner

pytestmark = pytest.mark.quick

SIZE = (1920, 1080)
Ink = tuple[int, int, int]
BLACK, WHITE, GREY = (20, 20, 20), (255, 255, 255), (150, 150, 150)
# Baselines of three lines of small text, in the corner where the speaker would hide it.
PLACES: dict[Corner, tuple[int, int]] = {
    "top_left": (60, 90), "top_right": (1500, 90), "bottom_left": (60, 900),
    "bottom_right": (1500, 900),
}  # fmt: skip


def slide(*corners: Corner, ground: Ink = WHITE, ink: Ink = BLACK) -> np.ndarray:
    """Return a slide with text in its middle and in some of its corners."""
    picture = np.full((SIZE[1], SIZE[0], 3), ground, np.uint8)
    font = cv2.FontFace("sans")
    cv2.putText(picture, "The middle of every slide", (480, 560), ink, font, 80, 500)
    for corner in corners:
        x, y = PLACES[corner]
        for line in range(3):
            origin = (x, y + 50 * line)
            cv2.putText(picture, "n log n, on average", origin, ink, font, 36, 400)
    return picture


def jpeg(picture: np.ndarray) -> bytes:
    """Return a picture as chunks have it."""
    height, width = picture.shape[:2]
    scale = min(192 / width, 108 / height)
    size = (round(width * scale), round(height * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 70])
    return data.tobytes()


def corner_of(*pictures: np.ndarray) -> Corner:
    return least_hidden_corner(ink_of(map(jpeg, pictures)))


@pytest.mark.parametrize(("ground", "ink"), [(WHITE, BLACK), (BLACK, WHITE), (WHITE, GREY)])
@pytest.mark.parametrize("free", CORNERS)
def test_the_speaker_goes_where_no_slide_has_text(free: Corner, ground: Ink, ink: Ink) -> None:
    others = [corner for corner in CORNERS if corner != free]
    slides = [slide(corner, ground=ground, ink=ink) for corner in others]
    assert corner_of(*slides, slide(ground=ground, ink=ink)) == free


def test_text_in_one_corner() -> None:
    assert corner_of(slide("bottom_right")) == "top_right"
    for corner in CORNERS[1:]:
        assert corner_of(slide(corner)) == "bottom_right"


def test_nothing_is_known() -> None:
    plain = np.full((1080, 1920, 3), 255, np.uint8)
    assert corner_of() == corner_of(slide()) == corner_of(plain) == "bottom_right"


def test_soft_grounds_and_noise_are_no_ink() -> None:
    """A gradient, a blurred photo, the noise of a camera at a document."""
    across = np.linspace(0, 255, 1920, dtype=np.float32)[None, :, None]
    gradient = np.repeat(np.repeat(across, 1080, 0), 3, 2).astype(np.uint8)
    chance = np.random.default_rng(7)
    noisy = np.clip(chance.normal(128, 6, (1080, 1920, 3)), 0, 255).astype(np.uint8)
    photo = cv2.GaussianBlur(chance.integers(0, 255, (1080, 1920, 3), np.uint8), (0, 0), 60)
    for picture in (gradient, noisy, photo):
        assert sum(map(sum, ink_of([jpeg(picture)]))) < 1


def test_a_narrow_slide_has_bars_where_the_speaker_hides_less_of_it() -> None:
    wide = slide("bottom_right")
    narrow = np.ascontiguousarray(wide[:, 240:1680])  # 4:3
    ink = ink_of([jpeg(narrow)])
    assert len(ink) == 18 and {len(row) for row in ink} == {32}
    assert not any(row[n] for row in ink for n in (0, 1, 2, 3, 28, 29, 30, 31))
    assert sum(map(sum, ink)) > 1


def test_pictures_that_cannot_be_read_are_left_out() -> None:
    good = jpeg(slide("bottom_right"))
    assert ink_of([b"", b"no picture", good[:20], good]) == ink_of([good])

"""Words are read where they lie; by the networks, as they are installed."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from merger.analysis.words.memory import remember
from merger.analysis.words.networks import are_there
from merger.analysis.words.reading import Line, read_words

pytestmark = [
    pytest.mark.quick,
    pytest.mark.skipif(not are_there(), reason="words are not read on this system"),
]


def slide() -> np.ndarray:
    picture = np.full((720, 1280, 3), (250, 250, 245), np.uint8)
    font = cv2.FontFace("sans")
    cv2.putText(picture, "Signals and noise", (100, 130), (40, 30, 20), font, 70, 700)
    for row, text in enumerate(("sampling", "what aliasing is", "filters of order 2")):
        cv2.putText(picture, text, (160, 300 + 110 * row), (40, 30, 20), font, 36, 400)
    return picture


def test_lines_from_top_to_bottom_with_their_places() -> None:
    lines = read_words(slide())
    assert [line.text for line in lines] == [
        "Signals and noise", "sampling", "what aliasing is", "filters of order 2",
    ]  # fmt: skip
    left, top, right, bottom = lines[0].box
    assert left == pytest.approx(0.08, abs=0.02) and right == pytest.approx(0.56, abs=0.06)
    assert top < 130 / 720 < bottom and lines[0].height > lines[1].height
    assert all(0.9 < line.score <= 1 for line in lines)


def test_the_tallest_lines_are_read_first_or_none() -> None:
    lines = read_words(slide(), most=1)
    assert [line.text for line in lines] == ["Signals and noise", "", "", ""]
    assert [line.text for line in read_words(slide(), unless_more=3)] == [""] * 4


@pytest.mark.parametrize("shape", [(36, 64), (2160, 3840), (40, 3000), (3000, 40)])
def test_a_picture_of_any_shape_without_words(shape: tuple[int, int]) -> None:
    assert read_words(np.full((*shape, 3), 90, np.uint8)) == []


def test_a_picture_that_looks_the_same_is_read_once() -> None:
    asked: list[np.ndarray] = []

    def read(picture: np.ndarray) -> list[Line]:
        asked.append(picture)
        return [Line(str(len(asked)), (0, 0, 1, 1), 1.0)]

    read_once = remember(read)
    noise = np.random.default_rng(1).integers(-3, 4, slide().shape)
    again = np.clip(slide() + noise, 0, 255).astype(np.uint8)
    other = slide()
    cv2.putText(other, "x", (160, 640), (40, 30, 20), cv2.FontFace("sans"), 36, 400)
    assert [read_once(p)[0].text for p in (slide(), again, other, again)] == ["1", "1", "2", "1"]


def test_nothing_is_loaded_before_words_are_read() -> None:
    program = (
        "import sys, merger.analysis.looking as l; l.prepare();"
        "assert not {'onnxruntime', 'rapidocr'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

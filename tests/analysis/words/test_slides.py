"""What slides say: headings and words, in two scripts."""

from __future__ import annotations

import difflib
import re

import cv2
import pytest

from merger.analysis.words import tesseract
from merger.analysis.words.networks import are_there
from merger.analysis.words.slides import prepare, read_slide, with_rows
from merger.timeline.screen.chapters import title_of, words_of
from tests.analysis.words.drawn import ENGLISH, RUSSIAN, draw_slide
from tests.support.selection import rarely

HEADINGS = {"en": ENGLISH, "ru": RUSSIAN}
NEEDED = 0.75  # of the headings
SAMPLE = range(0, 40, 14)


@pytest.fixture(scope="module", autouse=True)
def networks() -> None:
    if not are_there():
        pytest.skip("the networks that read are not installed")
    prepare()


def read(heading: str, number: int, language: str) -> tuple[str, str]:
    _, jpeg = cv2.imencode(
        ".jpg", draw_slide(heading, number, language), [cv2.IMWRITE_JPEG_QUALITY, 70]
    )
    slide = read_slide(jpeg.tobytes(), bool(tesseract.languages()))
    lines = with_rows(slide, tesseract.read_rows(slide.sheet, len(slide.rows)))
    return title_of(lines), words_of(lines)


def is_right(read_as: str, heading: str) -> bool:
    one, other = ("".join(re.findall(r"\w", text.casefold())) for text in (read_as, heading))
    return difflib.SequenceMatcher(None, one, other).ratio() > 0.9


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize(
    "numbers",
    [pytest.param(SAMPLE, id="some"), rarely(range(40), why="the other 37 of each")],
)  # fmt: skip
def test_three_headings_of_four_are_right(numbers: range, language: str) -> None:
    if language == "ru" and not tesseract.languages():
        pytest.skip("Tesseract's rus is not installed")
    titles = {HEADINGS[language][n]: read(HEADINGS[language][n], n, language)[0] for n in numbers}
    wrong = [(heading, title) for heading, title in titles.items() if not is_right(title, heading)]
    print(language, len(titles) - len(wrong), "of", len(titles), wrong)
    assert len(wrong) <= (1 - NEEDED) * len(titles), wrong

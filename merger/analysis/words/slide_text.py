"""The text of a slide: its heading, its words and a small picture, from whoever can read it."""

from __future__ import annotations

from dataclasses import dataclass

from merger.analysis.words import tesseract
from merger.analysis.words.networks import are_there
from merger.analysis.words.slides import read_slide, with_rows
from merger.analysis.words.small import small_slide
from merger.isolation import reader
from merger.timeline.screen.chapters import title_of, words_of

# Raise it when the same slide would be read otherwise.
READING = 1


@dataclass(frozen=True)
class SlideText:
    """The heading and the words of a slide. picture: JPEG, small."""

    title: str
    words: str
    picture: bytes


def reading_facts() -> list[object]:
    """Return what decides, beside the slide itself, how it is read."""
    return [READING, are_there(), tesseract.languages()]


def read_slide_text(jpeg: bytes, *, reads: bool) -> SlideText:
    """Read a slide (JPEG) in a reader, and by Tesseract what that cannot. Raises Unreadable.

    Args:
        reads: whether words are read; else there is only the small picture.
    """
    if not reads:
        return SlideText("", "", reader.call(small_slide, jpeg))
    slide = reader.call(read_slide, jpeg, bool(tesseract.languages()))
    lines = slide.lines
    if slide.rows:
        lines = with_rows(slide, tesseract.read_rows(slide.sheet, len(slide.rows)))
    return SlideText(title_of(lines), words_of(lines), slide.small)

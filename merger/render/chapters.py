"""Slides become chapters: each is read once, whoever shows it again."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence

from merger.analysis.words import tesseract
from merger.analysis.words.networks import are_there
from merger.analysis.words.slides import read_slide, with_rows
from merger.isolation import reader
from merger.isolation.reader import Unreadable
from merger.render.context import RenderContext
from merger.timeline.plan import Chapter
from merger.timeline.screen.chapters import Slide, join_same, title_of, words_of

# Raise it when the same slide would be read otherwise.
READING = 1


def read_chapters(context: RenderContext, slides: Sequence[Slide]) -> list[Chapter]:
    """Return the chapters of a record: its slides with their headings, words and small pictures."""
    chapters = []
    for n, slide in enumerate(slides):
        context.progress(n, len(slides))
        title, words, picture = _read(context, slide.jpeg) if slide.jpeg else ("", "", b"")
        chapters.append(Chapter(slide.span, title, words, picture))
    return join_same(chapters)


def _read(context: RenderContext, jpeg: bytes) -> tuple[str, str, bytes]:
    """Return heading, words and small picture of a slide."""
    others = tesseract.languages()
    facts = [READING, are_there(), others, hashlib.sha256(jpeg).hexdigest()]
    name = f"{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:40]}.slide.json"
    known = context.cache.recall(name, context.work)
    if known:
        title, words, picture = known
        return title, words, base64.b64decode(picture)
    with context.budget.slot(context.cancelled):
        try:
            slide = reader.call(read_slide, jpeg, bool(others))
        except Unreadable:  # a chapter without a heading is one, too
            return "", "", b""
        lines = slide.lines
        if slide.rows:
            lines = with_rows(slide, tesseract.read_rows(slide.sheet, len(slide.rows)))
    title, words = title_of(lines), words_of(lines)
    context.cache.remember(
        name, [title, words, base64.b64encode(slide.small).decode()], context.work
    )
    return title, words, slide.small

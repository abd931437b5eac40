"""Chapters as an MP4 has them: without gaps, from its beginning to its end; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from merger.i18n import say
from merger.timeline.captions import chapter_name
from merger.timeline.clock import Span
from merger.timeline.plan import Chapter

_MS = timedelta(milliseconds=1)
_LONGEST_BYTES = 255  # of a name in the list that Nero's players read; ffmpeg cuts it anywhere
# Of the index: four tables with an entry of 16 bytes at most, and the name with nine more.
_BYTES_EACH, _BYTES_ONCE = 4 * 16 + 9 + _LONGEST_BYTES, 2048


@dataclass(frozen=True)
class ChapterMark:
    """A chapter on the time of the video, in milliseconds."""

    start_ms: int
    end_ms: int
    name: str


def chapter_marks(chapters: Sequence[Chapter], span: Span, language: str) -> list[ChapterMark]:
    """Return the chapters of a video: its slides, and what is between them.

    Players show a chapter until the next one begins, so a stretch without slides is one, too.

    Args:
        chapters: of a record, in order.
        span: of the record.
        language: of names that are not on slides.
    """
    if not chapters:
        return []
    marks: list[ChapterMark] = []
    end_ms = span.length // _MS
    between = say(language, "chapters.between")
    at_ms = 0
    for number, chapter in enumerate(chapters, 1):
        start_ms = (chapter.span.start - span.start) // _MS
        until_ms = min(end_ms, (chapter.span.end - span.start) // _MS)
        if start_ms > at_ms:
            marks.append(ChapterMark(at_ms, start_ms, between))
        name = _cut(chapter_name(chapter, number, language))
        marks.append(ChapterMark(start_ms, until_ms, name))
        at_ms = until_ms
    if at_ms < end_ms:
        marks.append(ChapterMark(at_ms, end_ms, between))
    return marks


def _cut(name: str) -> str:
    return " ".join(name.encode()[:_LONGEST_BYTES].decode("utf-8", "ignore").split())


def metadata_of(marks: Sequence[ChapterMark]) -> str:
    """Return chapters as ffmpeg reads them; whatever a name holds, it is the name and no more."""
    blocks = [
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={mark.start_ms}\nEND={mark.end_ms}\n"
        f"title={_escape(mark.name)}\n"
        for mark in marks
    ]
    return "".join([";FFMETADATA1\n", *blocks])


def _escape(text: str) -> str:
    return re.sub(r"([=;#\\\n])", r"\\\1", text)


def marks_bytes(marks: Sequence[ChapterMark]) -> int:
    """Return how much room chapters need in the index of a file, from above."""
    return _BYTES_EACH * len(marks) + _BYTES_ONCE if marks else 0

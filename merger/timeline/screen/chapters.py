"""The slides of a record as its chapters: when each is shown, and what it says; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median_low
from typing import Protocol

from merger.timeline.clock import Span
from merger.timeline.plan import Chapter, Decision
from merger.timeline.screen.signals import ScreenSignal

# What is shown for less is flipped through, on the way to the next slide.
SHORTEST_SLIDE = timedelta(seconds=3)
# Of a slide that stands two pictures are kept, its first and its last, and one at the end of each
# window of a file. More of them in a row, with no change between them, are of something that never
# stands; and are as near to each other as key frames are.
_FEWEST_OF_FILM, _KEY_FRAMES = 4, timedelta(seconds=25)
_UNEVEN = 1.5  # times the usual step from picture to picture of a film

_LONGEST_TITLE, _LONGEST_WORDS = 120, 4_000  # characters
_SHORTEST_WORD, _LONGEST_WORD = 2, 64  # characters, of words that are looked for
_SUREST, _SURE = 0.6, 0.5  # that a line is read rightly: for a title, and to be looked for
_UPPER = 0.42  # of the picture: where headings are
_AS_TALL = 0.8  # of the tallest line: what is one heading with it
_MOST_ROWS = 3  # of a heading: more of one size are the text of a slide
_NEAR = 0.9  # of a line's height, from it to the next one of the same heading
_SAME_ROW = 0.5  # of a line's height
_STILL_THERE = 0.85  # of a slide's words are on the next one when that is the same, with more


@dataclass(frozen=True)
class Slide:
    """A slide while it is shown, with all that is added to it meanwhile.

    jpeg: as it stood last; None where no picture of it was kept.
    """

    span: Span
    jpeg: bytes | None = None


class Line(Protocol):
    """A line that was read: its text, its box (left, top, right, bottom; 0 to 1), how surely."""

    @property
    def text(self) -> str: ...
    @property
    def box(self) -> tuple[float, float, float, float]: ...
    @property
    def score(self) -> float: ...


# --- when ---------------------------------------------------------------------------------------


def find_slides(signal: ScreenSignal, decisions: Sequence[Decision]) -> list[Slide]:
    """Return the slides that are shown while the screen is on, in order.

    What is only added to a slide belongs to it, what is flipped through to the slide behind it. A
    film is none, nor is what was not recorded.
    """
    turns = [at for at in signal.changes if at not in signal.builds]
    missing = [shown.span for shown in signal.shown if shown.kind == "missing"]
    holes = [span for span in missing if span.length >= SHORTEST_SLIDE] + find_films(signal)
    holes.sort(key=lambda span: span.start)
    slides = []
    for span in _spans_of_screen(decisions):
        begins = [span.start, *(at for at in turns if span.start < at < span.end)]
        pieces = [Span(*edges) for edges in pairwise([*begins, span.end])]
        rest = [part for piece in pieces for part in without_spans(piece, holes)]
        for whole, stood in _join_flips(rest):
            shown = [p.jpeg for p in signal.slides if p.at in stood]
            slides.append(Slide(whole, shown[-1] if shown else None))
    return slides


def _spans_of_screen(decisions: Sequence[Decision]) -> list[Span]:
    spans: list[Span] = []
    for decision in decisions:
        if decision.right in ("board", "speaker"):
            continue
        if spans and spans[-1].end == decision.span.start:
            spans[-1] = Span(spans[-1].start, decision.span.end)
        else:
            spans.append(decision.span)
    return spans


def without_spans(span: Span, holes: Sequence[Span]) -> Iterator[Span]:
    """Yield what is left of a span without others, which are in order."""
    start = span.start
    for hole in holes:
        if hole.end <= start or hole.start >= span.end:
            continue
        if start < hole.start:
            yield Span(start, hole.start)
        start = hole.end
    if start < span.end:
        yield Span(start, span.end)


def find_films(signal: ScreenSignal) -> list[Span]:
    """Return where pictures follow each other and none stands."""
    run: list[datetime] = []
    films: list[Span] = []
    for at in [*(picture.at for picture in signal.slides), None]:
        if run and (at is None or not _is_same_run(run[-1], at, signal.changes)):
            films += _films_in(run, signal.changes)
            run = []
        if at is not None:
            run.append(at)
    return films


def _is_same_run(one: datetime, after: datetime, changes: Sequence[datetime]) -> bool:
    return after - one <= _KEY_FRAMES and not any(one < at <= after for at in changes)


def _films_in(run: Sequence[datetime], changes: Sequence[datetime]) -> Iterator[Span]:
    """Yield where pictures follow each other evenly; slides before and behind a film stand longer.

    It ends with the change behind its last picture, if one is told.
    """
    if len(run) < _FEWEST_OF_FILM:
        return
    step = _UNEVEN * median_low(after - one for one, after in pairwise(run))
    first = 0
    for n in range(1, len(run) + 1):
        if n < len(run) and run[n] - run[n - 1] <= step:
            continue
        if n - first >= _FEWEST_OF_FILM:
            last = run[n - 1]
            yield Span(run[first], next((at for at in changes if last < at <= last + step), last))
        first = n


def _join_flips(pieces: Sequence[Span]) -> Iterator[tuple[Span, Span]]:
    """Yield the slides of pieces that are in order: the whole span of each, and where it stands."""
    start = pieces[0].start if pieces else None
    found: list[tuple[Span, Span]] = []
    for n, piece in enumerate(pieces):
        after = pieces[n + 1] if n + 1 < len(pieces) else None
        is_last = after is None or after.start != piece.end
        assert start is not None
        if piece.length >= SHORTEST_SLIDE:
            found.append((Span(start, piece.end), piece))
        elif not is_last:
            continue
        elif found and found[-1][0].end == start:
            whole, stood = found.pop()
            found.append((Span(whole.start, piece.end), stood))
        start = piece.end if not is_last else after.start if after else None
    yield from found


# --- what it says -------------------------------------------------------------------------------


def title_of(lines: Sequence[Line]) -> str:
    """Return the heading of a slide: its tallest lines, of the upper part if any are there.

    Empty where nothing can be read.
    """
    read = [line for line in lines if line.score >= _SUREST and re.search(r"\w\w", line.text)]
    upper = [line for line in read if _middle(line) < _UPPER] or read
    if not upper:
        return ""
    tallest = max(map(_height, upper))
    rows = _rows([line for line in upper if _height(line) >= _AS_TALL * tallest])
    heading = rows[:1]
    for row in rows[1:]:
        if row[0].box[1] - heading[-1][0].box[3] > _NEAR * tallest:
            break
        heading.append(row)
    if len(heading) > _MOST_ROWS:
        heading = heading[:1]
    text = " ".join(line.text for row in heading for line in row)
    return _shorten(text, _LONGEST_TITLE)


def words_of(lines: Sequence[Line]) -> str:
    """Return all that a slide says, from top to bottom."""
    rows = _rows([line for line in lines if line.score >= _SURE and line.text])
    return _shorten(" ".join(line.text for row in rows for line in row), _LONGEST_WORDS)


def sought(text: str) -> list[str]:
    """Return the words of a text as they are looked for: each once, in any case, and ё is е."""
    folded = text.casefold().replace("ё", "е")
    found = (word[:_LONGEST_WORD] for word in re.findall(r"\w+", folded))
    return sorted({word for word in found if len(word) >= _SHORTEST_WORD})


def _shorten(text: str, longest: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def _rows(lines: Sequence[Line]) -> list[list[Line]]:
    """Return lines as rows from top to bottom, each from left to right."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=_middle):
        if rows and _middle(line) - _middle(rows[-1][0]) < _SAME_ROW * _height(line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: line.box[0]) for row in rows]


def _height(line: Line) -> float:
    return line.box[3] - line.box[1]


def _middle(line: Line) -> float:
    return (line.box[1] + line.box[3]) / 2


def join_same(chapters: Sequence[Chapter]) -> list[Chapter]:
    """Join neighbours that say the same, or the same and more: a slide that was hidden, or built.

    What stands last of such a slide is kept.
    """
    joined: list[Chapter] = []
    for chapter in chapters:
        if joined and _is_same(joined[-1], chapter):
            chapter = replace(chapter, span=Span(joined.pop().span.start, chapter.span.end))
        joined.append(chapter)
    return joined


def _is_same(one: Chapter, after: Chapter) -> bool:
    if one.span.end != after.span.start or not one.title:
        return False
    words = set(one.words.casefold().split())
    kept = words & set(after.words.casefold().split())
    is_titled_alike = one.title.casefold() == after.title.casefold()
    return is_titled_alike and len(kept) >= _STILL_THERE * len(words)

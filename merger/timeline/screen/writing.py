"""When somebody writes on the board, from how much ink comes; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from merger.timeline.clock import Span

LOOK_US = 2_000_000  # from look to look at a board
# Cells of new ink in four looks. A letter is 10 to 50 of them, by its strokes.
BEGINS = 40
_TOGETHER = 4  # looks
# Of those, from one look. Whatever comes at once is not written, such as a page before the board.
_AT_ONCE = 0.35
_GOES_ON = 0.4  # of what it takes to begin
# Who writes turns round now and then, and explains.
LONGEST_PAUSE = timedelta(seconds=20)
SHORTEST = timedelta(seconds=3)


@dataclass(frozen=True)
class InkLook:
    """How many cells of new ink there are from a look at a board (file time) to the next."""

    at_us: int
    cells: int


@dataclass(frozen=True)
class Ink:
    """How many cells of new ink a board gets from an instant on, until the next look."""

    at: datetime
    cells: int


def spans_of_writing(ink: Sequence[Ink], begins: float = BEGINS) -> list[Span]:
    """Return when somebody writes: it begins with much ink, and goes on with less.

    Args:
        ink: in order.
        begins: how many cells it takes.
    """
    spans: list[Span] = []
    start: datetime | None = None
    last = None
    for n, look in enumerate(ink):
        recent = ink[max(0, n + 1 - _TOGETHER) : n + 1]
        cells = sum(min(near.cells, _AT_ONCE * begins) for near in recent)
        if start is not None and last is not None and look.at - last > LONGEST_PAUSE:
            spans.append(Span(start, last))
            start = None
        if start is None and cells >= begins:
            start = next(near.at for near in recent if near.cells)
        if start is not None and cells >= _GOES_ON * begins:
            last = look.at + timedelta(microseconds=LOOK_US)
    if start is not None and last is not None:
        spans.append(Span(start, last))
    return [span for span in spans if span.length >= SHORTEST]

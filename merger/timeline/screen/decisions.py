"""What stands on the right-hand side at every instant, and why; pure.

It follows the screen, but not each flicker of it: who watches wants to see few switches, and each
where it happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Literal

from merger.i18n import Message
from merger.timeline.clock import Span
from merger.timeline.plan import Chunk, Decision
from merger.timeline.screen.signals import ScreenSignal, Shown, join_alike

Decide = Literal["instant", "chunk"]

# What is shorter is given to its neighbours: a computer that changes its resolution is black for a
# second or two.
SHORTEST_OFF = timedelta(seconds=5)
SHORTEST_ON = timedelta(seconds=3)


def decide_instants(signal: ScreenSignal) -> list[Decision]:
    """Return what follows from what the screen shows: the screen, or the board."""
    return [
        Decision(here.span, "screen" if _is_on(here) else "board", _why(here))
        for here in settle(signal.shown)
    ]


def decide_chunks(chunks: Sequence[Chunk]) -> list[Decision]:
    """Return what follows from the verdicts of half hours."""
    return [
        Decision(
            chunk.span,
            "screen" if chunk.presence else "board",
            Message("decision.chunk", verdict=Message(f"verdict.{chunk.verdict}")),
        )
        for chunk in chunks
    ]


def settle(shown: Sequence[Shown]) -> list[Shown]:
    """Return the spans in which the screen shows a presentation, and those in which it does not.

    Those too short for a switch are given to their neighbours, the shortest first; those that begin
    or end the record may be a part of something longer, and stay.
    """
    runs = _join_sides(shown)
    while True:
        short = [
            (here.span.length, n)
            for n, here in enumerate(runs[1:-1], 1)
            if here.span.length < (SHORTEST_ON if _is_on(here) else SHORTEST_OFF)
        ]
        if not short:
            return runs
        _, n = min(short)
        before, after = runs[n - 1], runs[n + 1]
        longer = max(before, after, key=lambda run: run.span.length)
        whole = Span(before.span.start, after.span.end)
        runs[n - 1 : n + 2] = [replace(longer, span=whole)]


def _join_sides(shown: Sequence[Shown]) -> list[Shown]:
    """Join neighbours that are both a presentation or both none: the longest one's kind stands."""
    runs: list[list[Shown]] = []
    for here in join_alike(shown):
        if runs and _is_on(runs[-1][-1]) == _is_on(here):
            runs[-1].append(here)
        else:
            runs.append([here])
    return [
        replace(
            max(run, key=lambda here: here.span.length),
            span=Span(run[0].span.start, run[-1].span.end),
        )
        for run in runs
    ]


def _is_on(shown: Shown) -> bool:
    return shown.kind == "presentation"


def _why(shown: Shown) -> Message:
    return Message("decision.shows", verdict=Message(f"verdict.{shown.kind}"), why=shown.reason)


def switches(decisions: Sequence[Decision]) -> int:
    """Return how often the right-hand side changes."""
    return sum(one.right != after.right for one, after in pairwise(decisions))

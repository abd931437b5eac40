"""What stands on the right-hand side at every instant, and why; pure.

It follows the screen, but not each flicker of it: who watches wants to see few switches, and each
where it happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
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
LONGEST_MISSING = timedelta(minutes=30)


@dataclass(frozen=True)
class Run:
    """A span in which the screen is to be shown, or is not to be; and what it shows for longest."""

    span: Span
    is_on: bool
    shown: Shown


def decide_instants(signal: ScreenSignal) -> list[Decision]:
    """Return what follows from what the screen shows: the screen, or the board."""
    return [
        Decision(run.span, "screen" if run.is_on else "board", _why(run.shown))
        for run in settle(signal.shown)
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


def settle(shown: Sequence[Shown]) -> list[Run]:
    """Return the spans in which the screen is to be shown, and those in which it is not.

    Those too short for a switch are given to their neighbours, the shortest first; those that begin
    or end the record may be a part of something longer, and stay.
    """
    runs = _join_runs(_sides(join_alike(shown)))
    while True:
        short = [
            (run.span.length, n)
            for n, run in enumerate(runs[1:-1], 1)
            if run.span.length < (SHORTEST_ON if run.is_on else SHORTEST_OFF)
        ]
        if not short:
            return runs
        _, n = min(short)
        before, after = runs[n - 1], runs[n + 1]
        middle = Run(runs[n].span, before.is_on, before.shown)
        runs[n - 1 : n + 2] = _join_runs([before, middle, after])


def _sides(shown: Sequence[Shown]) -> list[Run]:
    """Return on which side each span is.

    Of what is missing nobody knows: beside a presentation it counts as one, so that a notice says
    what is missing; a screen that was not recorded for half an hour counts as off.
    """
    kinds = [here.kind for here in shown]
    runs = []
    for n, here in enumerate(shown):
        is_on = here.kind == "presentation"
        if here.kind == "missing" and here.span.length < LONGEST_MISSING:
            is_on = "presentation" in kinds[max(0, n - 1) : n + 2]
        runs.append(Run(here.span, is_on, here))
    return runs


def _join_runs(runs: Sequence[Run]) -> list[Run]:
    """Join neighbours on one side: what stands for all is what was seen for longest."""
    joined: list[Run] = []
    for run in runs:
        if joined and joined[-1].is_on == run.is_on:
            before = joined.pop()
            shown = max(before.shown, run.shown, key=_weight)
            run = Run(Span(before.span.start, run.span.end), run.is_on, shown)
        joined.append(run)
    return joined


def _weight(shown: Shown) -> tuple[bool, timedelta]:
    return shown.kind != "missing", shown.span.length


def _why(shown: Shown) -> Message:
    return Message("decision.shows", verdict=Message(f"verdict.{shown.kind}"), why=shown.reason)

"""What stands on the right-hand side at every instant, and why; pure.

It follows the screen, but not each flicker of it: who watches wants to see few switches, and each
where it happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal, get_args

from merger.errors import Invalid
from merger.i18n import Message
from merger.timeline.clock import Span
from merger.timeline.plan import Chunk, Decision, Overrule, Right
from merger.timeline.screen.signals import ScreenSignal, Shown, join_alike

OVERRULED = "decision.overruled"
RIGHTS: tuple[Right, ...] = get_args(Right)
Decide = Literal["instant", "chunk"]
DECIDES: tuple[Decide, ...] = get_args(Decide)

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


def right_named(name: str) -> Right:
    """Return what may stand on the right-hand side. Raises Invalid for an unknown name."""
    for right in RIGHTS:
        if right == name:
            return right
    raise Invalid("right", "timeline.no_right", name=name, rights=RIGHTS)


def decide_named(name: str) -> Decide:
    """Return when the right-hand side switches. Raises Invalid for an unknown name."""
    for decide in DECIDES:
        if decide == name:
            return decide
    raise Invalid("decide", "timeline.no_right", name=name, rights=DECIDES)


def decide_instants(signal: ScreenSignal) -> list[Decision]:
    """Return what follows from what the screen shows: the screen, or the board."""
    return [
        Decision(run.span, "screen" if run.is_on else "board", run.shown.kind, _why(run.shown))
        for run in settle(signal.shown)
    ]


def decide_chunks(chunks: Sequence[Chunk]) -> list[Decision]:
    """Return what follows from the verdicts of half hours."""
    return [
        Decision(
            chunk.span,
            "screen" if chunk.presence else "board",
            chunk.verdict,
            Message("decision.chunk", verdict=Message(f"verdict.{chunk.verdict}")),
        )
        for chunk in chunks
    ]


def overrule(decisions: Sequence[Decision], overrules: Sequence[Overrule]) -> list[Decision]:
    """Return decisions with what an editor wants in their place; of two, the later one counts."""
    for one in overrules:
        changed: list[Decision] = []
        for decision in decisions:
            here = decision.span.cut_to(one.span)
            if not here:
                changed.append(decision)
                continue
            before = Span(decision.span.start, here.start)
            after = Span(here.end, decision.span.end)
            by_hand = replace(decision, span=here, right=one.right, why=Message(OVERRULED))
            changed += [
                *([replace(decision, span=before)] if before else ()),
                by_hand,
                *([replace(decision, span=after)] if after else ()),
            ]
        decisions = changed
    return list(decisions)


def lay_flat(overrules: Sequence[Overrule], span: Span) -> list[Overrule]:
    """Return what overrules ask for within a span, in order: two lists that ask for one are equal.

    Of two, the later one counts; neighbours that ask for one thing are one.
    """
    flat: list[Overrule] = []
    for wanted in overrules:
        here = wanted.span.cut_to(span)
        flat = [replace(other, span=part) for other in flat for part in _around(other.span, here)]
        flat += [replace(wanted, span=here)] if here else []
    joined: list[Overrule] = []
    for wanted in sorted(flat, key=lambda overrule: overrule.span.start):
        before = joined[-1] if joined else None
        if before and (before.span.end, before.right) == (wanted.span.start, wanted.right):
            joined[-1] = replace(before, span=Span(before.span.start, wanted.span.end))
        else:
            joined.append(wanted)
    return joined


def _around(span: Span, hole: Span) -> list[Span]:
    """Return what of a span lies before and after another, which may be empty."""
    if not hole:
        return [span]
    before = Span(span.start, max(span.start, min(span.end, hole.start)))
    after = Span(min(span.end, max(span.start, hole.end)), span.end)
    return [part for part in (before, after) if part]


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

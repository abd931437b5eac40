"""Where the board is shown with the slide: while that stands, and somebody writes; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from merger.i18n import Message
from merger.timeline.clock import Span
from merger.timeline.plan import Decision
from merger.timeline.screen.chapters import find_films, without_spans
from merger.timeline.screen.signals import ScreenSignal

# A switch is never nearer to another one.
SHORTEST_BOTH = timedelta(seconds=3)


def find_standing(signal: ScreenSignal) -> list[Span]:
    """Return where one slide stands, unchanged, from its beginning; of films, nothing does."""
    films = find_films(signal)
    found = []
    for shown in signal.shown:
        if shown.kind == "presentation":
            for span in without_spans(shown.span, films):
                changes = [at for at in signal.changes if span.start < at < span.end]
                found += [Span(*edges) for edges in pairwise([span.start, *changes, span.end])]
    return found


def stand_longer(standing: Sequence[Span], after: timedelta) -> list[Span]:
    """Return what is left of spans, from so long after their beginning on."""
    return [Span(s.start + after, s.end) for s in standing if s.length > after]


def show_both(
    decisions: Sequence[Decision],
    standing: Sequence[Span],
    writing: Sequence[Span],
    after: timedelta,
) -> list[Decision]:
    """Return decisions with both wherever somebody writes and the slide has stood for long.

    When the slide changes, it is the screen again at once.

    Args:
        decisions: that tile a record.
        standing: where one slide stands.
        writing: when somebody writes on the board.
        after: for how long the slide has to stand; 3 s at least.
    """
    decided: list[Decision] = []
    for n, decision in enumerate(decisions):
        if decision.right != "screen":
            decided.append(decision)
            continue
        at = decision.span.start
        for both in _both_within(decision.span, standing, writing, after):
            if n + 1 < len(decisions) and decision.span.end - both.span.end < SHORTEST_BOTH:
                both = replace(both, span=Span(both.span.start, decision.span.end))
            if at < both.span.start:
                decided.append(replace(decision, span=Span(at, both.span.start)))
            decided.append(replace(both, verdict=decision.verdict))
            at = both.span.end
        if at < decision.span.end:
            decided.append(replace(decision, span=Span(at, decision.span.end)))
    return decided


def _both_within(
    span: Span, standing: Sequence[Span], writing: Sequence[Span], after: timedelta
) -> list[Decision]:
    found = []
    for stands in standing:
        late = Span(min(stands.start + after, stands.end), stands.end).cut_to(span)
        for writes in writing:
            both = writes.cut_to(late)
            if both.length >= SHORTEST_BOTH:
                seconds = round((both.start - stands.start).total_seconds())
                why = Message("decision.both", seconds=seconds)
                found.append(Decision(both, "both", "presentation", why))
    return found

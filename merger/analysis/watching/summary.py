"""What a screen has shown in a chunk, in one verdict: for who looks at half hours; pure."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction

from merger.analysis.sampling import MOST_PICTURES, Look
from merger.i18n import Message
from merger.timeline.clock import Span, microseconds
from merger.timeline.plan import Chunk, Verdict
from merger.timeline.screen.signals import ScreenSignal, Shown, ShownPicture, cut_shown

_SECOND = timedelta(seconds=1)
_MOST_REASONS = 3


def summarise(signal: ScreenSignal, cell: Span) -> Look:
    """Return the verdict of a chunk: presence is more than half of the time that had a picture."""
    inside = cut_shown(signal.shown, cell)
    lengths: defaultdict[Verdict, timedelta] = defaultdict(timedelta)
    for shown in inside:
        lengths[shown.kind] += shown.span.length
    seen = sum((length for kind, length in lengths.items() if kind != "missing"), timedelta())
    share = Fraction(microseconds(lengths["presentation"]), microseconds(seen) or 1)
    commonest: Verdict = max(lengths, key=lambda kind: lengths[kind]) if lengths else "missing"
    samples = sum(at in cell for at in signal.looks)
    chunk = Chunk(cell, share > Fraction(1, 2), commonest, share, samples)
    pictures = [picture for picture in signal.pictures if picture.at in cell]
    return Look(chunk, _reasons(inside), [_facts(p) for p in _pick_evenly(pictures)])


def _reasons(inside: Sequence[Shown]) -> list[Message]:
    lengths: defaultdict[tuple[Verdict, Message], timedelta] = defaultdict(timedelta)
    for shown in inside:
        if shown.kind != "missing":
            lengths[shown.kind, shown.reason] += shown.span.length
    longest = sorted(lengths.items(), key=lambda item: -item[1])[:_MOST_REASONS]
    return [
        Message(
            "analysis.reason_for", seconds=max(1, round(length / _SECOND)),
            verdict=Message(f"verdict.{kind}"), why=why,
        )
        for (kind, why), length in longest
    ]  # fmt: skip


def _pick_evenly(pictures: Sequence[ShownPicture]) -> list[ShownPicture]:
    count = min(MOST_PICTURES, len(pictures))
    return [pictures[(2 * n + 1) * len(pictures) // (2 * count)] for n in range(count)]


def _facts(picture: ShownPicture) -> dict[str, str]:
    jpeg = base64.b64encode(picture.jpeg).decode()
    return {"at": picture.at.isoformat(), "verdict": picture.kind, "jpeg": jpeg}

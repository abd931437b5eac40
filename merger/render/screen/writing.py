"""How much is written on the board of a record; what was looked at is kept in the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from merger.analysis.watching.writing import INK, find_ink
from merger.isolation import reader
from merger.isolation.reader import Unreadable
from merger.media.library import Library, segments
from merger.render.context import MergeRequest, RenderContext
from merger.timeline.clock import Clip, Span, Stretch, picture_track
from merger.timeline.screen.signals import WINDOW_US, windows_of
from merger.timeline.screen.writing import Ink, InkLook, spans_of_writing


def find_writing(
    context: RenderContext, request: MergeRequest, library: Library, spans: Sequence[Span]
) -> list[Span]:
    """Return when somebody writes on the board; nothing is looked at but some spans."""
    board = request.sources.board
    if board is None or not spans:
        return []
    found = segments(library.entries, request.sources.screen, {})
    written: list[Span] = []
    for clip in picture_track(board, request.span, found).clips:
        windows = {n for span in spans for n in _windows_within(clip, span)}
        ink = [
            Ink(at, look.cells)
            for done, n in enumerate(sorted(windows))
            for look in _look_once(context, library, clip.segment.file, n, done / len(windows))
            if (at := clip.segment.clock.wall(look.at_us)) in clip.span
        ]
        written += [span for each in spans_of_writing(ink) if (span := each.cut_to(clip.span))]
    return written


def _windows_within(clip: Clip, span: Span) -> Sequence[int]:
    here = clip.span.cut_to(span)
    return windows_of(Clip(here, clip.segment)) if here else ()


def _look_once(
    context: RenderContext, library: Library, file: str, n: int, progress: float
) -> list[InkLook]:
    """Return the ink of a window of a file; none where it cannot be looked at."""
    context.progress(progress, 1)
    facts = json.dumps([INK, WINDOW_US, library.identities[file], n])
    name = f"{hashlib.sha256(facts.encode()).hexdigest()[:40]}.ink.watched.json"
    kept = context.cache.recall(name, context.work)
    if kept:
        return [InkLook(at_us, cells) for at_us, cells in kept]
    try:
        with context.budget.slot(context.cancelled):
            stretch = Stretch(n * WINDOW_US, (n + 1) * WINDOW_US)
            looks = reader.call(find_ink, library.media[file], stretch)
    except Unreadable:
        return []
    context.cache.remember(name, [[look.at_us, look.cells] for look in looks], context.work)
    return looks

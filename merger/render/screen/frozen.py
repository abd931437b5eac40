"""Warnings about pictures that stand although life goes on: of a camera, or a screen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from merger.analysis.watching.writing import find_writing
from merger.i18n import Message
from merger.isolation import reader
from merger.isolation.reader import Unreadable
from merger.media.library import Library, segments
from merger.render.context import MergeRequest, RenderContext
from merger.timeline.clock import Span, Stretch, picture_track
from merger.timeline.screen.frozen import still_spans, still_stretches
from merger.timeline.screen.signals import ScreenSignal

_LONG_ENOUGH = timedelta(minutes=1)  # of writing, beside a screen that stands


def warn_of_frozen(
    context: RenderContext, request: MergeRequest, library: Library, signal: ScreenSignal
) -> list[Message]:
    """Return warnings about what stands though it should not."""
    warnings = [
        _warning("timeline.frozen_camera", request, source, span)
        for source, span in _frozen_cameras(request, library)
    ]
    shown = [shown.span for shown in signal.shown if shown.kind == "presentation"]
    for span in still_spans(signal.changes, shown):
        if _written_in(context, request, library, span) >= _LONG_ENOUGH:
            source = request.sources.screen or ""
            warnings.append(_warning("timeline.frozen_screen", request, source, span))
    return warnings


def _frozen_cameras(request: MergeRequest, library: Library) -> Iterator[tuple[str, Span]]:
    """Yield where the pictures of a camera stand while its sound goes on."""
    cameras = {request.sources.speaker, request.sources.board} - {request.sources.screen}
    for entry in library.entries:
        if entry.source in cameras:
            for stretch in entry.cut(still_stretches(entry.media)):
                span = Span(entry.clock.wall(stretch.start_us), entry.clock.wall(stretch.end_us))
                if here := span.cut_to(request.span):
                    yield entry.source, here


def _written_in(
    context: RenderContext, request: MergeRequest, library: Library, span: Span
) -> timedelta:
    """Return for how long somebody wrote on the board in a span."""
    board = request.sources.board
    if board is None:
        return timedelta()
    total_us = 0
    found = segments(library.entries, request.sources.screen, {})
    for clip in picture_track(board, span, found).clips:
        clock = clip.segment.clock
        stretch = Stretch(clock.file_us(clip.span.start), clock.file_us(clip.span.end))
        try:
            with context.budget.slot(context.cancelled):
                written = reader.call(find_writing, library.media[clip.segment.file], stretch)
        except Unreadable:
            continue
        total_us += sum(s.end_us - s.start_us for s in written)
    return timedelta(microseconds=total_us)


def _warning(key: str, request: MergeRequest, source: str, span: Span) -> Message:
    start, end = (f"{at.astimezone(request.zone):%H:%M:%S}" for at in (span.start, span.end))
    return Message(key, source=source, start=start, end=end)

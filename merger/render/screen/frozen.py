"""Warnings about pictures that stand although life goes on: of a camera, or a screen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from merger.i18n import Message
from merger.media.library import Library
from merger.render.context import MergeRequest, RenderContext
from merger.render.screen.writing import find_writing
from merger.timeline.clock import Span
from merger.timeline.screen.both import find_standing
from merger.timeline.screen.frozen import SHORTEST_SCREEN, still_stretches
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
    standing = [span for span in find_standing(signal) if span.length >= SHORTEST_SCREEN]
    writing = find_writing(context, request, library, standing)
    for span in standing:
        written = sum((one.cut_to(span).length for one in writing), timedelta())
        if written >= _LONG_ENOUGH:
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


def _warning(key: str, request: MergeRequest, source: str, span: Span) -> Message:
    start, end = (f"{at.astimezone(request.zone):%H:%M:%S}" for at in (span.start, span.end))
    return Message(key, source=source, start=start, end=end)

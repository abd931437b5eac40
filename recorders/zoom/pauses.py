"""When a recording ran between its pauses: Zoom goes on in the same file. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from merger.ports.meetings import MeetingEvent
from merger.timeline.clock import Span

_BEGINS = ("recording.started", "recording.resumed")
_ENDS = ("recording.paused", "recording.stopped")


def stretches(file_span: Span, events: Iterable[MeetingEvent]) -> list[Span]:
    """Return when the media of a file was recorded, in order of time.

    Of several beginnings in a row the first counts, and of several ends; where one of both is
    missing, it is the file's own. What happened before the file or after it is of another one.

    Args:
        events: of its meeting, in any order, however often each of them came.
    """
    found: list[Span] = []
    begins = file_span.start
    is_running = True
    for event in sorted(events, key=lambda event: event.order):
        if not file_span.start <= event.at <= file_span.end:
            continue
        if is_running and event.kind in _ENDS:
            found.append(Span(begins, event.at))
            is_running = False
        elif not is_running and event.kind in _BEGINS:
            begins, is_running = event.at, True
    if is_running:
        found.append(Span(begins, file_span.end))
    return [span for span in found if span]

"""Where the media of a file lies on the wall clock: all of it in a row, or between pauses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from merger.i18n import Message
from merger.media.drift import clock_rate, measured_us
from merger.media.sidecar import Sidecar
from merger.timeline.clock import ClockMap, Span, Stretch, microseconds
from merger.timeline.media import MediaFile

# By so much the stretches of a sidecar and its file may differ in length; else they are not of it.
_LARGEST_DIFFERENCE_US = 2_000_000
_EDGE_US = 1 << 62  # before or behind all media of any file


@dataclass(frozen=True)
class Placement:
    """How a part of a file lies on the wall clock. window: that part; None: all of the file."""

    clock: ClockMap
    window: Stretch | None = None


def placements_of(
    path: Path, name: str, start: datetime, sidecar: Sidecar, media: MediaFile
) -> tuple[list[Placement], Message | None]:
    """Return how a file lies on the wall clock, in order of time, and what is wrong with that.

    Args:
        name: of the file, as people know it.
        start: of the file; that of its sidecar, where it has one.
    """
    if not sidecar.stretches:
        rate, warning = clock_rate(path, name, sidecar, media)
        return [Placement(ClockMap(start, media.zero_us, rate))], warning
    wanted_us = sum(microseconds(span.length) for span in sidecar.stretches)
    length_us = measured_us(media, wanted_us)
    if abs(length_us - wanted_us) > _LARGEST_DIFFERENCE_US:
        seconds, wanted = round(length_us / 1e6, 1), round(wanted_us / 1e6, 1)
        warning = Message("media.paused", file=name, seconds=seconds, sidecar_seconds=wanted)
        return [Placement(ClockMap(start, media.zero_us))], warning
    return list(_place_stretches(sidecar.stretches, media.zero_us)), None


def _place_stretches(stretches: Iterable[Span], zero_us: int) -> Iterator[Placement]:
    """Yield each stretch; what a file has before the first and behind the last belongs to them."""
    spans = list(stretches)
    at_us = zero_us
    for n, span in enumerate(spans):
        ends_us = at_us + microseconds(span.length)
        is_first, is_last = n == 0, n == len(spans) - 1
        window = Stretch(-_EDGE_US if is_first else at_us, _EDGE_US if is_last else ends_us)
        yield Placement(ClockMap(span.start, at_us), window)
        at_us = ends_us

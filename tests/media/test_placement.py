"""A file that was paused: each stretch of it has a clock of its own, and a window in file time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from merger.i18n import Message
from merger.media.library import Entry, segments
from merger.media.placement import Placement, placements_of
from merger.media.sidecar import Sidecar
from merger.timeline.clock import ClockMap, Segment, Span, Stretch
from merger.timeline.media import MediaFile, Video

pytestmark = pytest.mark.quick

TEN = datetime(2026, 11, 20, 10, tzinfo=UTC)
SECOND_US = 1_000_000
ZERO_US = 5 * SECOND_US  # what the file's own clock shows at its beginning
CAMERA = Video(
    0, "h264", 1280, 720, Fraction(1), 0, "yuv420p", False, None, False, 40_000, False, False
)


def film(length_s: float) -> MediaFile:
    ends = ZERO_US + round(length_s * SECOND_US)
    return MediaFile(
        path=Path("a.mp4"), demuxer="mov", size_bytes=1, mtime_ns=1, video=CAMERA, audio=None,
        picture_us=np.arange(ZERO_US, ends, 40_000, np.int64), picture_ends_us=ends,
        key_us=np.full(1, ZERO_US), key_read_us=np.full(1, ZERO_US),
        sound=(Stretch(ZERO_US - 20_000, ends + 20_000),), zero_us=ZERO_US,
    )  # fmt: skip


def after(seconds: float) -> datetime:
    return TEN + timedelta(seconds=seconds)


# Recorded for 60, 20 and 30 s; paused for 9 and 15 s.
RAN = (Span(TEN, after(60)), Span(after(69), after(89)), Span(after(104), after(134)))
PAUSED = Sidecar(TEN, after(134), exact_to=timedelta(seconds=1), stretches=RAN)


def place(sidecar: Sidecar, length_s: float) -> tuple[list[Placement], Message | None]:
    return placements_of(Path("a.mp4"), "a.mp4", TEN, sidecar, film(length_s))


@pytest.mark.parametrize("length_s", [108, 110, 112])
def test_each_stretch_has_its_clock(length_s: float) -> None:
    placements, warning = place(PAUSED, length_s)
    assert warning is None
    begins = [ZERO_US, ZERO_US + 60 * SECOND_US, ZERO_US + 80 * SECOND_US]
    assert [p.clock for p in placements] == [
        ClockMap(span.start, at_us) for span, at_us in zip(RAN, begins, strict=True)
    ]


def placed(length_s: float) -> list[Segment]:
    media = film(length_s)
    placements, _ = place(PAUSED, length_s)
    entries = [Entry("zoom", media, p.clock, "identity", window=p.window) for p in placements]
    return segments(entries, None, {})


def test_pictures_and_sound_end_at_a_pause() -> None:
    found = placed(111)
    assert [s.spans(s.pictures) for s in found] == [
        [Span(TEN, after(60))], [Span(after(69), after(89))], [Span(after(104), after(135))],
    ]  # fmt: skip
    early, late = timedelta(milliseconds=20), timedelta(milliseconds=20)
    assert [s.spans(s.sound) for s in found] == [
        [Span(TEN - early, after(60))], [Span(after(69), after(89))],
        [Span(after(104), after(135) + late)],
    ]  # fmt: skip
    # The picture before a pause does not stand until after it; that at the end of the file may.
    assert [s.frame_us for s in found] == [0, 0, 40_000]


def test_damage_is_cut_out_of_the_stretch_that_it_is_in() -> None:
    media = film(110)
    entries = [
        Entry("zoom", media, p.clock, "identity", window=p.window) for p in place(PAUSED, 110)[0]
    ]
    hole = Stretch(ZERO_US + 58 * SECOND_US, ZERO_US + 63 * SECOND_US)
    first, second, _ = segments(entries, None, {"a.mp4": [hole]})
    assert first.spans(first.pictures) == [Span(TEN, after(58))]
    assert second.spans(second.pictures) == [Span(after(72), after(89))]


@pytest.mark.parametrize("length_s", [107.9, 112.1, 134])
def test_of_another_length_only_the_start_is_believed(length_s: float) -> None:
    placements, warning = place(PAUSED, length_s)
    assert placements == [Placement(ClockMap(TEN, ZERO_US))]
    assert warning == Message("media.paused", file="a.mp4", seconds=length_s, sidecar_seconds=110.0)
    assert "a.mp4" in str(warning) and "times after a pause may be wrong" in str(warning)


def test_without_stretches_it_is_one() -> None:
    placements, warning = place(Sidecar(TEN), 110)
    assert placements == [Placement(ClockMap(TEN, ZERO_US))] and warning is None

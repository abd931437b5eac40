"""A sidecar's span and the length of the file: a clock, a pause, or a picture that stood still."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from merger.i18n import Message
from merger.media.drift import clock_rate
from merger.media.sidecar import Sidecar
from merger.timeline.clock import Stretch
from merger.timeline.media import MediaFile, Video

pytestmark = pytest.mark.quick

TEN = datetime(2026, 11, 20, 10, tzinfo=UTC)
CAMERA = Video(
    0, "h264", 1280, 720, Fraction(1), 0, "yuv420p", False, None, False, 40_000, False, False
)
SCREEN = dataclasses.replace(CAMERA, variable_rate=True)


def media(length_s: float, video: Video, sound_s: float, still_s: float = 0) -> MediaFile:
    ends, sound, still = (round(s * 1_000_000) for s in (length_s, sound_s, still_s))
    return MediaFile(
        path=Path("a.mp4"), demuxer="mov", size_bytes=1, mtime_ns=1, video=video, audio=None,
        picture_us=np.arange(0, ends, 40_000, np.int64), picture_ends_us=ends,
        key_us=np.zeros(1, np.int64), key_read_us=np.zeros(1, np.int64),
        sound=(Stretch(0, sound),) if sound else (), zero_us=0,
        still=(Stretch(ends - 40_000, still),) if still else (),
    )  # fmt: skip


def complained(length_s: float) -> MediaFile:
    said = Message("media.clock_jumps")
    return dataclasses.replace(media(length_s, CAMERA, length_s), complaints=(said,))


@pytest.mark.parametrize(
    ("file", "told_s", "exact_to_s", "rate", "warning"),
    [
        # clocks
        (media(1800, CAMERA, 1800), 1800.0, 0, 1, None),
        (media(1800, CAMERA, 1800), 1800.09, 0, Fraction(180009, 180000), None),
        (media(20, CAMERA, 20), 20.2, 0, Fraction(101, 100), None),
        (media(1800, CAMERA, 1800), 1782.0, 0, Fraction(99, 100), None),
        # a recording that was paused, however shortly: no clock loses that much
        (media(1740, CAMERA, 1740), 1800.0, 0, 1, "media.shorter"),
        (media(1795, CAMERA, 1795), 1800.0, 0, 1, "media.shorter"),
        (media(120, CAMERA, 120), 160.0, 0, 1, "media.shorter"),
        (media(1740, SCREEN, 1740), 1800.0, 0, 1, "media.shorter"),
        (media(1700, SCREEN, 0), 1800.0, 0, 1, "media.shorter"),
        (media(160, CAMERA, 160), 120.0, 0, 1, "media.no_drift"),
        # a screen that stood still at its end: its sound went on, its table says so, or it may have
        (media(1740, SCREEN, 1800), 1800.0, 0, 1, None),
        (media(1740, CAMERA, 0, 1800), 1800.0, 0, 1, None),
        (media(1750, SCREEN, 0), 1800.0, 0, 1, None),
        # a file that was not read to its end
        (complained(9.9), 10.0, 0, 1, None),
        (complained(7), 10.0, 0, 1, "media.shorter"),
        # a span in whole seconds says nothing of a clock, but of a pause
        (media(120, CAMERA, 120), 160.0, 1, 1, "media.shorter"),
        (media(3600, CAMERA, 3600), 3601.0, 1, 1, None),
        (media(60, CAMERA, 60), 62.0, 1, 1, None),
        (media(62, CAMERA, 62), 60.0, 1, 1, None),
        (media(60, CAMERA, 60), 63.0, 1, 1, None),
        (media(60, CAMERA, 60), 63.1, 1, 1, "media.shorter"),
        (media(7200, CAMERA, 7200), 7203.5, 1, 1, "media.shorter"),
        (media(160, CAMERA, 160), 120.0, 1, 1, None),
    ],
)
def test_a_span_and_a_length(
    file: MediaFile, told_s: float, exact_to_s: int, rate: Fraction, warning: str | None
) -> None:
    ends = TEN + timedelta(seconds=told_s)
    sidecar = Sidecar(TEN, ends, exact_to=timedelta(seconds=exact_to_s))
    measured, said = clock_rate(file.path, file.path.name, sidecar, file)
    assert (measured, said and said.key) == (rate, warning)


def test_what_is_missing_is_told() -> None:
    sidecar = Sidecar(TEN, TEN + timedelta(seconds=160))
    _, said = clock_rate(Path("/data/a~1.mp4"), "a.mp4", sidecar, media(120, CAMERA, 120))
    assert said == Message("media.shorter", file="a.mp4", seconds=120.0, missing=40.0)

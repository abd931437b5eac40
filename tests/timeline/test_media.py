"""Where a file really has media: pauses, screens that stand still, key frames."""

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merger.timeline.clock import Stretch
from merger.timeline.media import PAUSE_US, STILL_US, MediaFile, Video

pytestmark = pytest.mark.quick

Seconds = tuple[float, float]
VIDEO = Video(
    0, "h264", 1280, 720, Fraction(1), 0, "yuv420p", False, None, False, 40_000, False, False
)


def us(seconds: float) -> int:
    return round(seconds * 1_000_000)


def media_file(
    times: Sequence[float],
    end: float,
    sound: Sequence[Seconds] = (),
    keys: Sequence[float] = (),
    zero: float = 0,
    frame: float = 0.04,
    still: Sequence[Seconds] = (),
) -> MediaFile:
    """Return a file with pictures at some seconds, the last one shown until the end."""
    return MediaFile(
        path=Path("a.mp4"),
        demuxer="mov",
        size_bytes=1,
        mtime_ns=1,
        video=dataclasses.replace(VIDEO, frame_us=us(frame)),
        audio=None,
        picture_us=np.array([us(t) for t in times], np.int64),
        picture_ends_us=us(end),
        key_us=np.array([us(k) for k in keys], np.int64),
        key_read_us=np.array([us(k) for k in keys], np.int64),
        sound=tuple(Stretch(us(a), us(b)) for a, b in sound),
        zero_us=us(zero),
        still=tuple(Stretch(us(a), us(b)) for a, b in still),
    )


def pictures(file: MediaFile, *, still_s: float = 0) -> list[Seconds]:
    found = file.pictures(still_us=us(still_s))
    return [(s.start_us / 1e6, s.end_us / 1e6) for s in found]


def every(step: float, start: float, end: float) -> list[float]:
    return [float(t) for t in np.arange(start, end - step / 2, step)]


@pytest.mark.parametrize(
    ("times", "end", "frame", "expected"),
    [
        (every(0.04, 0, 20), 20, 0.04, [(0, 20)]),
        (every(0.04, 3.5, 20), 20, 0.04, [(3.5, 20)]),
        # two seconds without a picture are none; more are a pause, and a gap
        ([*every(0.04, 0, 5), *every(0.04, 6.96, 20)], 20, 0.04, [(0, 20)]),
        ([*every(0.04, 0, 5), *every(0.04, 6.97, 20)], 20, 0.04, [(0, 5), (6.97, 20)]),
        ([*every(0.04, 0, 5), *every(0.04, 9, 12), 19.0], 19.04, 0.04,
         [(0, 5), (9, 12), (19, 19.04)]),
        # a picture every second, or every ten, is how such a source is
        (every(1, 0, 20), 20, 1, [(0, 20)]),
        ([*every(1, 0, 5), *every(1, 8, 20)], 20, 1, [(0, 5), (8, 20)]),
        (every(10, 0, 100), 100, 10, [(0, 100)]),
        ([0, 10, 20, 40, 50], 60, 10, [(0, 30), (40, 60)]),
        ([4.0], 4.04, 0.04, [(4, 4.04)]),
        ([], 0, 0.04, []),
        # a few pictures are no rate
        ([0, 300, 600], 900, 300, [(0, 60), (300, 360), (600, 660)]),
    ],
)  # fmt: skip
def test_pauses(times: list[float], end: float, frame: float, expected: list[Seconds]) -> None:
    assert pictures(media_file(times, end, [(0, 900)], frame=frame, still=[(0, 900)])) == expected
    # Nor does a screen stand still where its file does not say so.
    assert pictures(media_file(times, end, frame=frame), still_s=60) == expected


BURST = every(0.1, 0, 5)


@pytest.mark.parametrize(
    ("times", "end", "sound", "still", "expected"),
    [
        # nothing changed, and the sound went on: the slide was shown
        ([*BURST, *every(0.1, 14, 20)], 20, [(0, 20)], [], [(0, 20)]),
        ([*BURST, *every(0.1, 60, 65)], 65, [(0, 65)], [], [(0, 65)]),
        # the file's own table says so
        ([*BURST, *every(0.1, 60, 65)], 65, [], [(4.9, 60)], [(0, 65)]),
        ([0, 8, 40, 41], 50, [], [(0, 8), (8, 40), (41, 50)], [(0, 50)]),
        # over a minute nobody knows
        ([*BURST, *every(0.1, 80, 85)], 85, [(0, 85)], [], [(0, 64.9), (80, 85)]),
        ([*BURST, *every(0.1, 66, 70)], 70, [(0, 70)], [], [(0, 70)]),  # less than a pause is left
        # the sound stopped as well, but not for a moment
        ([*BURST, *every(0.1, 24, 30)], 30, [(0, 8), (19, 30)], [], [(0, 8), (24, 30)]),
        ([*BURST, *every(0.1, 24, 30)], 30, [(0, 8), (9, 30)], [], [(0, 30)]),
        ([*BURST, *every(0.1, 14, 20)], 20, [(0, 3), (15, 20)], [], [(0, 5), (14, 20)]),
        ([*BURST, *every(0.1, 14, 20)], 20, [], [], [(0, 5), (14, 20)]),
        # sound that begins a little later says as much
        ([0, 9], 10, [(0.3, 10)], [], [(0, 10)]),
        # the last picture stands until the sound ends, or its own time
        (BURST, 5, [(0, 12)], [], [(0, 12)]),
        (BURST, 5, [], [(4.9, 30)], [(0, 30)]),
        (BURST, 5, [(0, 99)], [], [(0, 64.9)]),
        (BURST, 5, [(0, 6), (9, 12)], [], [(0, 6)]),
        (BURST, 5, [(0, 3)], [], [(0, 5)]),
    ],
)  # fmt: skip
def test_a_screen_that_stands_still(
    times: list[float],
    end: float,
    sound: list[Seconds],
    still: list[Seconds],
    expected: list[Seconds],
) -> None:
    file = media_file(times, end, sound, frame=0.1, still=still)
    assert pictures(file, still_s=60) == expected
    # A camera never stands still: each of these pauses is one.
    assert all(b - a < 6.1 for a, b in pictures(file))


def test_how_long_a_picture_may_stand_is_a_setting() -> None:
    file = media_file([*BURST, *every(0.1, 30, 40)], 40, [(0, 60)], frame=0.1)
    assert pictures(file, still_s=10) == [(0, 14.9), (30, 49.9)]
    assert pictures(file, still_s=0) == [(0, 5), (30, 40)]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(40_000, 80_000_000), min_size=1, max_size=30),
    st.lists(st.integers(1, 20_000_000), max_size=6),
    st.sets(st.integers(0, 29)),
    st.sampled_from([0, 5_000_000, STILL_US]),
)
def test_stretches_of_pictures(
    steps: list[int], sounds: list[int], told: set[int], still_us: int
) -> None:
    times = np.cumsum([0, *steps])
    edges = np.cumsum(sounds).tolist()
    file = dataclasses.replace(
        media_file([], 0),
        picture_us=times,
        picture_ends_us=int(times[-1]) + 40_000,
        sound=tuple(Stretch(a, b) for a, b in zip(edges[::2], edges[1::2], strict=False)),
        still=tuple(
            Stretch(a, b) for n, (a, b) in enumerate(pairwise(times.tolist())) if n in told
        ),
    )
    found = file.pictures(still_us=still_us)
    assert all(s.start_us < s.end_us for s in found)
    assert all(a.end_us < b.start_us for a, b in pairwise(found))
    for shown in times.tolist():  # every picture is seen, and none for longer than it may
        assert any(s.start_us <= shown < s.end_us for s in found)
    for s in found:
        inside = [t for t in times.tolist() if s.start_us <= t < s.end_us]
        assert all(b - a <= still_us + PAUSE_US for a, b in pairwise([*inside, s.end_us]))


def test_a_file_without_pictures_has_none() -> None:
    deaf = dataclasses.replace(media_file([], 0, [(0, 5)]), video=None)
    assert deaf.pictures(still_us=STILL_US) == ()
    assert deaf.length_us == us(5)


@pytest.mark.parametrize(
    ("times", "end", "sound", "zero", "length"),
    [
        (every(0.04, 0, 10), 10, [], 0, 10),
        (every(0.04, 5, 15), 15, [(5, 15)], 5, 10),
        (every(0.04, 0, 10), 10, [(0, 10.06)], 0, 10),  # the sound encoder's padding
        (every(0.04, 0, 10), 10, [(0, 12)], 0, 12),
        (every(0.04, 0, 10), 10, [(0, 3)], 0, 10),
        (every(0.04, 0, 10), 10, [(-2, 10)], -2, 12),
    ],
)
def test_the_length(
    times: list[float], end: float, sound: list[Seconds], zero: float, length: float
) -> None:
    assert media_file(times, end, sound, zero=zero).length_us == us(length)


@pytest.mark.parametrize(
    ("at", "key"),
    [(-1, None), (1.999, None), (2, 0), (3.999, 0), (4, 1), (9, 1), (10, 2), (99, 2)],
)
def test_the_key_frame_to_begin_with(at: float, key: int | None) -> None:
    file = media_file(every(0.04, 2, 20), 20, keys=[2, 4, 10])
    assert file.key_before(us(at)) == key


def test_a_file_without_key_frames_is_read_from_its_beginning() -> None:
    assert media_file(every(0.04, 0, 5), 5).key_before(us(3)) is None


@pytest.mark.parametrize(
    ("start", "end", "count"), [(0, 5, 5), (1, 3, 2), (0.5, 1.5, 1), (1.2, 1.8, 0), (7, 9, 0)]
)
def test_how_many_pictures_a_stretch_shows(start: float, end: float, count: int) -> None:
    assert media_file([0, 1, 2, 3, 4], 5).pictures_in(us(start), us(end)) == count


@pytest.mark.parametrize(
    ("width", "height", "pixel", "rotation", "aspect"),
    [
        (1280, 720, Fraction(1), 0, Fraction(16, 9)),
        (1280, 720, Fraction(1), 180, Fraction(16, 9)),
        (1280, 720, Fraction(1), 90, Fraction(9, 16)),
        (1280, 720, Fraction(1), 270, Fraction(9, 16)),
        (720, 576, Fraction(16, 15), 0, Fraction(4, 3)),
        (720, 576, Fraction(16, 15), 90, Fraction(3, 4)),
        (1920, 1080, Fraction(2, 3), 0, Fraction(32, 27)),
    ],
)
def test_the_aspect_as_shown(
    width: int, height: int, pixel: Fraction, rotation: int, aspect: Fraction
) -> None:
    video = dataclasses.replace(
        VIDEO, width=width, height=height, pixel_aspect=pixel, rotation=rotation
    )
    assert video.aspect == aspect
    assert video.rate == 25

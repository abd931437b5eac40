"""Pictures that stand although life goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from merger.timeline.clock import Stretch
from merger.timeline.media import MediaFile
from merger.timeline.screen.frozen import still_stretches

pytestmark = pytest.mark.quick

S = 1_000_000


def camera(*lengths: tuple[int, int], sound_s: int = 600) -> MediaFile:
    """Return a file whose pictures take so many bytes for so many seconds each."""
    sizes = np.concatenate([np.full(25 * seconds, size) for seconds, size in lengths])
    times = np.arange(len(sizes), dtype=np.int64) * 40_000
    sizes[::50] = 60_000  # key frames
    return MediaFile(
        Path("camera.mp4"), "mov", 1, 1, None, None, times, int(times[-1]) + 40_000, times[::50],
        times[::50], (Stretch(0, sound_s * S),), 0, picture_bytes=sizes.astype(np.int64),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        pytest.param(camera((200, 2000), (90, 30), (100, 2000)), [(200, 290)], id="it hung"),
        pytest.param(camera((200, 2000), (50, 30), (100, 2000)), [], id="not for long"),
        pytest.param(camera((400, 400)), [], id="a quiet room with little noise"),
        pytest.param(camera((400, 30), sound_s=100), [(0, 100)], id="its sound ended, too"),
        pytest.param(camera((400, 30), sound_s=0), [], id="nothing says that life goes on"),
    ],
)
def test_a_camera_that_does_not_move_though_its_sound_goes_on(
    file: MediaFile, expected: list[tuple[int, int]]
) -> None:
    found = still_stretches(file)
    assert [(round(s.start_us / S), round(s.end_us / S)) for s in found] == expected

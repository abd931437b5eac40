"""A screen is watched to the frame, however its encoder places its key frames."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from merger.analysis.watching.watch import watch
from merger.media.index import read_media
from merger.timeline.clock import Stretch
from merger.timeline.screen.signals import Observation
from tests.analysis.watching.screens import (
    BLACK,
    SIZE,
    Picture,
    Scene,
    card,
    film,
    slide,
    still,
    with_pointer,
    write_screen,
)
from tests.support.selection import rarely

ALL = Stretch(0, 10**12)
FRAME_US = 40_000

LECTURE = [
    Scene(130, still(slide(1))),
    Scene(167, still(card())),
    Scene(61, still(slide(2))),
    Scene(130, film()),
    Scene(70, still(slide(3))),
    Scene(160, still(BLACK)),
    Scene(90, with_pointer(slide(4))),
    Scene(135, still(card("SMPTE bars"))),
    Scene(80, film(3)),
]
KINDS = ["presentation", "no_signal", "presentation", "blank", "presentation", "bars"]
KINDS += ["presentation"]
BEGINS = [0, 130, 297, 558, 718, 808, 943]


def watched(path: Path, stretch: Stretch = ALL) -> Observation:
    return watch(read_media(path), stretch, ())


def frames_of(seen: Observation, rate: Fraction = Fraction(25)) -> list[int]:
    return [round(mark.at_us * rate / 1_000_000) for mark in seen.marks]


@pytest.mark.parametrize(
    ("group", "options"),
    [
        (50, {}),
        (500, {}),
        (250, {"has_scene_cuts": True}),
        (500, {"options": {"intra-refresh": "1"}}),
        rarely(50, {"has_scene_cuts": True}, why="more groups of pictures"),
        rarely(120, {}, why="more groups of pictures"),
        rarely(500, {"has_scene_cuts": True}, why="more groups of pictures"),
        rarely(100, {"crf": 35}, why="more groups of pictures"),
        rarely(100, {"rate": Fraction(5)}, why="more groups of pictures"),
    ],
)
@pytest.mark.parametrize("container", ["mp4", rarely("ts", why="more containers")])
def test_each_change_of_kind_is_found_to_the_frame(
    tmp_path: Path, group: int, options: dict[str, Any], container: str
) -> None:
    path = tmp_path / f"screen.{container}"
    write_screen(path, LECTURE, group=group, **options)
    media = read_media(path)
    seen = watch(media, ALL, ())
    assert [mark.kind for mark in seen.marks] == KINDS
    frames = [int(np.searchsorted(media.picture_us, mark.at_us - 1)) for mark in seen.marks]
    assert max(abs(a - b) for a, b in zip(frames, BEGINS, strict=True)) <= 2


def test_little_is_decoded_of_a_still_screen(tmp_path: Path, monkeypatch: Any) -> None:
    """Key frames, and what lies around a change: no more than a twentieth of all pictures."""
    write_screen(
        tmp_path / "screen.mp4", [Scene(1000, with_pointer(slide(1))), Scene(500, still(slide(2)))]
    )
    decoded: list[int] = []
    from merger.analysis.watching import watch as module

    whole = module.decode_from

    def counted(*arguments: Any) -> Any:
        for at_us, frame in whole(*arguments):
            decoded.append(at_us)
            yield at_us, frame

    monkeypatch.setattr(module, "decode_from", counted)
    seen = watched(tmp_path / "screen.mp4")
    assert [round(c.at_us / FRAME_US) for c in seen.changes] == [1000]
    assert len(decoded) + len(seen.looks_us) <= 1500 / 20


def test_slides_and_what_is_new_on_them_are_changes(tmp_path: Path) -> None:
    scenes = [Scene(60, still(slide(7, lines))) for lines in range(4)]
    scenes.append(Scene(60, still(slide(8, 4))))
    write_screen(tmp_path / "screen.mp4", scenes, group=250)
    seen = watched(tmp_path / "screen.mp4")
    assert [(round(c.at_us / FRAME_US), c.is_build) for c in seen.changes] == [
        (60, True), (120, True), (180, True), (240, False),
    ]  # fmt: skip
    # The last of each slide, and of each step of it, can be read.
    assert {min(4, picture.at_us // (60 * FRAME_US)) for picture in seen.slides} == {0, 1, 2, 3, 4}
    assert [mark.kind for mark in seen.marks] == ["presentation"]


def test_what_wanders_over_an_even_ground_is_a_screen_saver(tmp_path: Path) -> None:
    def logo(n: int) -> Picture:
        shown = BLACK.copy()
        x, y = 20 + 2 * n % 270, 20 + n % 150
        cv2.rectangle(shown, (x, y), (x + 56, y + 24), (200, 120, 40), cv2.FILLED)
        return shown

    scenes = [Scene(100, still(slide(1))), Scene(400, logo), Scene(100, still(slide(2)))]
    write_screen(tmp_path / "screen.mp4", scenes)
    seen = watched(tmp_path / "screen.mp4")
    assert [mark.kind for mark in seen.marks] == ["presentation", "screensaver", "presentation"]
    assert all(abs(a - b) <= 250 for a, b in zip(frames_of(seen), (0, 100, 500), strict=True))


def test_windows_say_together_what_the_whole_says(tmp_path: Path) -> None:
    write_screen(tmp_path / "screen.mp4", LECTURE, group=120)
    media = read_media(tmp_path / "screen.mp4")
    whole = watch(media, ALL, ())
    edges = [0, 7_300_000, 21_000_000, 22_320_000, 10**12]
    marks, changes = [], []
    for start, end in pairwise(edges):
        seen = watch(media, Stretch(start, end), ())
        assert seen.marks[0].at_us == start
        goes_on = bool(marks) and marks[-1].kind == seen.marks[0].kind
        marks += seen.marks[goes_on:]
        changes += seen.changes
    assert [(m.at_us, m.kind) for m in marks] == [(m.at_us, m.kind) for m in whole.marks]
    assert changes == list(whole.changes)


def test_a_screen_that_sends_pictures_only_when_something_changes(tmp_path: Path) -> None:
    import av

    path = tmp_path / "screen.mkv"
    shown = [(0, slide(1)), (9, slide(2)), (21, card()), (40, slide(3)), (41, slide(3))]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height = SIZE
        stream.pix_fmt, stream.options = "yuv420p", {"g": "1000", "preset": "veryfast"}
        stream.codec_context.time_base = Fraction(1, 25)
        for at_s, picture in shown:
            frame = av.VideoFrame.from_ndarray(picture, "bgr24")
            frame.pts, frame.time_base = 25 * at_s, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    seen = watched(path)
    assert [(m.at_us // 1_000_000, m.kind) for m in seen.marks] == [
        (0, "presentation"), (21, "no_signal"), (40, "presentation"),
    ]  # fmt: skip

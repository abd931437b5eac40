"""The pictures of a chunk that people may look at: which they are, and that they are as filmed."""

from __future__ import annotations

import base64
import subprocess
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from merger.analysis import decoding
from merger.analysis.cards import draw_cards
from merger.analysis.decoding import sample_targets
from merger.analysis.jpeg import encode_jpeg
from merger.analysis.sampling import Look, sample_chunk
from merger.analysis.targets import Target
from merger.media.index import read_media
from merger.media.library import read_library, segments
from merger.timeline.clock import Span, picture_track, utc
from merger.timeline.layout import Size
from tests.conftest import CARRIED, MOSCOW, START, Room, seconds
from tests.render.test_inputs import remux

SIZE = (640, 360)
# A key frame every five seconds.
RARE = {"rate": Fraction(5), "codec": ("-c:v", "libx264", "-preset", "veryfast", "-g", "25")}


def four_colours(width: int = SIZE[0], height: int = SIZE[1]) -> np.ndarray:
    """Blue and green above, red and white below."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = (200, 30, 30)
    picture[: height // 2, width // 2 :] = (30, 200, 30)
    picture[height // 2 :, : width // 2] = (30, 30, 200)
    picture[height // 2 :, width // 2 :] = (230, 230, 230)
    return picture


def opened(data: bytes) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None and data[:2] == b"\xff\xd8"
    return picture


def far(one: np.ndarray, other: np.ndarray) -> float:
    """Return by how many levels two pictures differ on the average, scaled to the first's size."""
    size = (one.shape[1], one.shape[0])
    scaled = cv2.resize(other, size, interpolation=cv2.INTER_AREA)
    return float(np.abs(one.astype(int) - scaled.astype(int)).mean())


def seen_in(room: Room, length_s: float) -> Look:
    span = Span(utc(START), utc(START + seconds(length_s)))
    library = read_library(room.library, "504", ("screen",), span, MOSCOW)
    track = picture_track("screen", span, segments(library.entries, "screen", {}))
    return sample_chunk(span, track, library.media)


def test_six_pictures_show_why_a_chunk_was_taken_for_what(one_room: Room) -> None:
    card = cv2.resize(next(iter(draw_cards().values())), SIZE, interpolation=cv2.INTER_AREA)
    for at, length, ground in ((0, 40, card), (40, 50, four_colours())):
        one_room.film("screen", at, length, ground=ground, clock=False, sound=False, **RARE)
    seen = seen_in(one_room, 120)
    assert (seen.chunk.samples, seen.chunk.verdict) == (12, "presentation")
    at = [datetime.fromisoformat(picture["at"]) for picture in seen.pictures]
    assert at == [START + timedelta(seconds=s) for s in (5, 25, 35, 55, 65, 85)]
    assert [p["verdict"] for p in seen.pictures] == ["no_signal"] * 3 + ["presentation"] * 3
    for picture, filmed in zip(seen.pictures, [card] * 3 + [four_colours()] * 3, strict=True):
        small = opened(base64.b64decode(picture["jpeg"]))
        assert small.shape == (108, 192, 3)
        assert far(small, filmed) < 6


def test_a_chunk_with_few_key_frames_has_pictures_between_them(one_room: Room) -> None:
    one_room.film("screen", 0, 12, sound=False, **RARE)
    assert [p["at"] for p in seen_in(one_room, 12).pictures] == [
        utc(START + seconds(at)).isoformat() for at in (0, 3.6, 5, 8.4, 10)
    ]


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_pictures_after_one_key_frame_are_decoded_in_one_go(
    one_room: Room, monkeypatch: pytest.MonkeyPatch, container: str
) -> None:
    codec = ("-c:v", "libx264", "-preset", "veryfast", "-g", "1000", "-bf", "2")
    path = one_room.film(
        "screen", 0, 12, sound=False, rate=Fraction(5), codec=codec, container=container
    )
    media = read_media(path)
    seeks: list[Target] = []
    original = decoding._seek
    monkeypatch.setattr(
        decoding, "_seek", lambda *given: (seeks.append(given[-1]), original(*given))
    )
    first_us = int(media.key_us[0])
    wanted = [Target("", 0, first_us + round(at * 1_000_000)) for at in (3.3, 7.1, 11.5, 11.9)]
    found = list(sample_targets(media, wanted))
    assert [target for target, _ in found] == wanted and len(seeks) == 1
    shown = [frame.time - first_us / 1_000_000 for _, frame in found]
    assert shown == pytest.approx([3.2, 7.0, 11.4, 11.8], abs=0.001)


def test_nothing_to_look_at(one_room: Room) -> None:
    one_room.library.mkdir()
    assert seen_in(one_room, 12).pictures == []


def as_ffmpeg_shows(path: Path, width: int, height: int) -> np.ndarray:
    """Return the first picture of a file as a player shows it."""
    raw = subprocess.run(
        [CARRIED.path, "-v", "error", "-i", str(path), "-frames:v", "1", "-s", f"{width}x{height}",
         "-pix_fmt", "bgr24", "-f", "rawvideo", "-"], capture_output=True, check=True,
    ).stdout  # fmt: skip
    return np.frombuffer(raw, np.uint8).reshape(height, width, 3)


def x264(*options: str) -> dict[str, tuple[str, ...]]:
    return {"codec": ("-c:v", "libx264", "-preset", "ultrafast", *options)}


@pytest.mark.parametrize(
    ("film", "rotation", "shown"),
    [
        ({}, 0, (192, 108)),
        ({}, 90, (61, 108)),
        ({}, 180, (192, 108)),
        ({}, 270, (61, 108)),
        ({"size": (1280, 320)}, 0, (192, 48)),
        ({"size": (160, 90)}, 0, (160, 90)),
        ({"options": ("-aspect", "4:3")}, 0, (144, 108)),
        (x264("-pix_fmt", "yuv444p"), 0, (192, 108)),
        (x264("-pix_fmt", "yuvj420p"), 0, (192, 108)),
        (x264("-pix_fmt", "gray"), 0, (192, 108)),
        (x264("-pix_fmt", "yuv420p10le"), 0, (192, 108)),
    ],
)
def test_a_small_picture_shows_what_a_player_shows(
    one_room: Room, film: dict[str, tuple[str, ...]], rotation: int, shown: tuple[int, int]
) -> None:
    width, height = film.get("size", SIZE)
    ground = four_colours(int(width), int(height))
    options = {key: value for key, value in film.items() if key != "size"}
    path = one_room.film(
        "screen", 0, 1, ground=ground, clock=False, sound=False, **{**x264(), **options}
    )
    if rotation:
        remux(path, before=("-display_rotation", str(rotation)))
    file = read_media(path)
    assert file.video is not None and file.video.rotation == rotation
    [(_, frame)] = sample_targets(file, [Target(str(path), 0, int(file.key_us[0]))])
    small = opened(encode_jpeg(frame, file.video, Size(192, 108)))
    assert (small.shape[1], small.shape[0]) == shown
    assert far(small, as_ffmpeg_shows(path, *shown)) < 4

"""Pictures whose shape changes in mid-file: what is square stays square."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from merger.media.index import read_media
from merger.render.filtergraph import _TURNS
from merger.timeline.report import MergeResult
from tests.conftest import CARRIED, Room
from tests.render.test_inputs import remux
from tests.render.test_time import path_of
from tests.support.selection import BOTH_FFMPEGS

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "3", "-flags", "+ildct+ilme", "-g", "12")
HALF_S = 2


@dataclass(frozen=True)
class Shape:
    """How a recorder sends its pictures for a while."""

    width: int
    height: int
    pixels: Fraction = Fraction(1)
    codec: tuple[str, ...] = X264
    turned: int = 0  # degrees, told by the stream


PAL = Shape(720, 576, Fraction(16, 15))
CHANGES: dict[str, tuple[Shape, Shape]] = {
    "another_laptop": (Shape(640, 480), Shape(640, 360)),
    "turned_phone": (Shape(640, 360), Shape(360, 640)),
    "wide_pixels": (PAL, Shape(720, 576, Fraction(64, 45))),
    "interlaced": (
        Shape(720, 576, Fraction(16, 15), MPEG2),
        Shape(640, 384, Fraction(4, 3), MPEG2),
    ),
    "lying": (Shape(640, 480, turned=90), Shape(640, 360, turned=90)),
    "other_pixels": (Shape(640, 480), Shape(480, 480, Fraction(4, 3))),
    "turned_by_metadata": (Shape(640, 360), Shape(640, 360, turned=90)),
}


def film_square(path: Path, shapes: tuple[Shape, ...]) -> None:
    """Write a transport stream that shows a white square in all of its shapes, one after another."""
    pieces = []
    for n, shape in enumerate(shapes):
        piece = path.with_name(f".{n}.ts")
        high = min(shape.width * shape.pixels, shape.height) // 4 * 2
        square = f"drawbox=x=40:y=40:w={round(high / shape.pixels)}:h={high}:color=white:t=fill"
        told = f"h264_metadata=display_orientation=insert:rotate={shape.turned}"
        subprocess.run(
            [CARRIED.path, "-v", "error", "-y", "-f", "lavfi", "-i",
             f"color=c=0x203040:s={shape.width}x{shape.height}:r=25:d={HALF_S},{square},setsar={shape.pixels}",
             *shape.codec, *(("-bsf:v", told) if shape.turned else ()),
             "-output_ts_offset", str(n * HALF_S), str(piece)], check=True,
        )  # fmt: skip
        pieces.append(piece.read_bytes())
        piece.unlink()
    path.write_bytes(b"".join(pieces))


def square_in(luma: np.ndarray) -> float:
    """Return the width of a white square over its height, to a fraction of a pixel."""
    light = ((luma.astype(float) - 80) / (235 - 80)).clip(0, 1)
    row, column = light.sum(axis=1).argmax(), light.sum(axis=0).argmax()
    return float(light[row].sum() / light[:, column].sum())


def merged(room: Room, speaker: str, screen: str) -> tuple[list[list[np.ndarray]], MergeResult]:
    """Film both sources, and merge them."""
    room.library.mkdir()
    for source, change in (("speaker", speaker), ("screen", screen)):
        film_square(room.library / f"2026-11-20_10-00-00_504_{source}.ts", CHANGES[change])
    return merge_both(room)


def merge_both(room: Room) -> tuple[list[list[np.ndarray]], MergeResult]:
    """Merge what was filmed, and return both sides before the change and after it."""
    result = room.merge(2.0 * HALF_S, profile="540p")
    with av.open(str(path_of(result))) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert len(frames) == 50 * HALF_S
    right = [r.size.width for r in result.renditions if r.kind == "backup"]
    left = result.renditions[0].size.width - sum(right)
    chosen = (frames[25 * HALF_S // 2], frames[75 * HALF_S // 2])
    return [[frame[:, :left], frame[:, left:]] for frame in chosen], result


@BOTH_FFMPEGS
@pytest.mark.parametrize(
    ("speaker", "screen"),
    [
        ("another_laptop", "turned_phone"),
        ("wide_pixels", "interlaced"),
        ("other_pixels", "another_laptop"),
    ],
)
def test_a_square_stays_square(room: Room, speaker: str, screen: str) -> None:
    moments, _ = merged(room, speaker, screen)
    for n, sides in enumerate(moments):
        for side in sides:
            assert square_in(side) == pytest.approx(1, abs=0.03), n


@BOTH_FFMPEGS
def test_sizes_that_change_where_nothing_tells_of_it(room: Room) -> None:
    """The filters follow them, beside pictures that lie on their side, too."""
    room.library.mkdir()
    for ending, turned in (("speaker.mkv", "0"), ("screen.mp4", "90")):
        path = room.library / f"2026-11-20_10-00-00_504_{ending}"
        film_square(path.with_suffix(".ts"), CHANGES["another_laptop"])
        remux(path.with_suffix(".ts"), into=path, before=("-display_rotation", turned))
        assert read_media(path).changes == ()
    moments, _ = merge_both(room)
    for side in (*moments[0], *moments[1]):
        assert square_in(side) == pytest.approx(1, abs=0.03)


@BOTH_FFMPEGS
def test_pictures_that_are_turned_in_mid_file(room: Room) -> None:
    """Before FFmpeg 7 they become a gap; then the rest is merged all the same."""
    (before, after), result = merged(room, "lying", "turned_by_metadata")
    if room.tool.version < "n7":
        assert "render.damaged" in {warning.key for warning in result.warnings}
        return
    for side in (*before, *after):
        assert square_in(side) == pytest.approx(1, abs=0.03)
    for side, is_wide in ((before[0], False), (before[1], True), (after[1], False)):
        rows, columns = np.nonzero(side > 24)
        assert (np.ptp(columns) > np.ptp(rows)) == is_wide


def test_what_changes_is_found_where_it_changes(tmp_path: Path) -> None:
    film_square(tmp_path / "a.ts", (PAL, CHANGES["wide_pixels"][1], PAL, Shape(640, 480)))
    media = read_media(tmp_path / "a.ts")
    zero_us = int(media.picture_us[0])
    assert [
        ((since_us - zero_us) / 1e6, video.width, video.pixel_aspect)
        for since_us, video in media.changes
    ] == [(2, 720, Fraction(64, 45)), (4, 720, Fraction(16, 15)), (6, 640, 1)]
    assert media.video_at(zero_us + 3_000_000) == media.changes[0][1]
    assert media.video_at(zero_us) == media.video


def test_what_does_not_change_is_not_found(tmp_path: Path) -> None:
    film_square(tmp_path / "a.ts", (PAL, PAL))
    assert read_media(tmp_path / "a.ts").changes == ()


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_pictures_are_turned_as_ffmpeg_turns_them(tmp_path: Path, turned: int) -> None:
    """What is read of the file, and our own filters, agree with it."""
    film_square(tmp_path / "a.ts", (Shape(64, 48, turned=turned),))
    video = read_media(tmp_path / "a.ts").video
    assert video is not None
    own = ",".join("=".join(turn) for turn in _TURNS[video.rotation])

    def first_picture(*options: str, turns: str) -> bytes:
        return subprocess.run(
            [CARRIED.path, "-v", "error", *options, "-i", str(tmp_path / "a.ts"), "-vf", turns,
             "-frames:v", "1", "-pix_fmt", "gray", "-f", "rawvideo", "-"], check=True, capture_output=True,
        ).stdout  # fmt: skip

    assert first_picture("-noautorotate", turns=own) == first_picture(turns="null")

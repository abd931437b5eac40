"""Pictures whose shape changes in mid-file: what is square stays square."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.conftest import CARRIED, Room
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


@BOTH_FFMPEGS
@pytest.mark.parametrize(
    ("speaker", "screen"),
    [
        ("another_laptop", "turned_phone"),
        ("wide_pixels", "interlaced"),
        ("lying", "turned_by_metadata"),
    ],
)
def test_a_square_stays_square(room: Room, speaker: str, screen: str) -> None:
    room.library.mkdir()
    for source, change in (("speaker", speaker), ("screen", screen)):
        film_square(room.library / f"2026-11-20_10-00-00_504_{source}.ts", CHANGES[change])
    result = room.merge(2.0 * HALF_S, profile="540p")
    left = result.renditions[0].size.width
    with av.open(str(path_of(result, "backup"))) as backup:
        left -= backup.streams.video[0].width
    with av.open(str(path_of(result))) as merged:
        frames = [frame.to_ndarray(format="gray") for frame in merged.decode(video=0)]
    assert len(frames) == 50 * HALF_S
    for at_s in (0.5, 1.5):
        frame = frames[round(at_s * HALF_S * 25)]
        for side in (frame[:, :left], frame[:, left:]):
            assert square_in(side) == pytest.approx(1, abs=0.03), (at_s, side.shape)
    assert not {w.key for w in result.warnings} - {"timeline.silence"}

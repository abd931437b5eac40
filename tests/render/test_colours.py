"""HDR and wide colour, as phones film by default: they look as they would if filmed in BT.709."""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from merger.analysis.decoding import sample_targets
from merger.analysis.jpeg import encode_jpeg
from merger.analysis.targets import Target
from merger.media.index import read_media
from merger.timeline.layout import Size
from merger.timeline.media import Colours
from tests.conftest import CARRIED, Room
from tests.render.test_time import path_of
from tests.support.selection import BOTH_FFMPEGS

PATCHES = {
    "white": (255, 255, 255),
    "red": (200, 30, 30),
    "green": (30, 160, 30),
    "blue": (30, 30, 200),
}


def film_patches(path: Path, transfer: str) -> None:
    """Write pictures that show the patches side by side, in BT.2020."""
    boxes = ",".join(
        f"drawbox=x={80 * n}:w=80:h=ih:t=fill:color=0x{red:02X}{green:02X}{blue:02X}"
        for n, (red, green, blue) in enumerate(PATCHES.values())
    )
    coded = (
        f"zscale=tin=bt709:pin=bt709:min=gbr:rin=full:t={transfer}:p=bt2020:m=bt2020nc:r=tv:npl=203"
    )
    subprocess.run(
        [CARRIED.path, "-v", "error", "-y", "-f", "lavfi", "-i", f"color=s=320x180:r=25:d=2,{boxes}",
         "-vf", f"format=gbrpf32le,{coded},format=yuv420p10le", "-c:v", "libx265", "-preset", "ultrafast",
         "-x265-params", f"log-level=error:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc",
         "-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc", str(path)], check=True,
    )  # fmt: skip


def check_patches(rgb: np.ndarray) -> None:
    """Fail where a patch is far from its colour. rgb: (H, W, 3), nothing but the patches.

    zscale codes each channel of HLG by itself, where ITU-R BT.2100 goes by their luma: that makes 38.
    """
    height, width = rgb.shape[:2]
    for n, (name, colour) in enumerate(PATCHES.items()):
        left, right = (round(width * (n + share) / 4) for share in (0.2, 0.8))
        level = rgb[height // 4 : -height // 4, left:right].reshape(-1, 3).mean(axis=0)
        assert np.abs(level - colour).max() < 45, (name, level)


@BOTH_FFMPEGS
@pytest.mark.parametrize(
    ("speaker", "screen"), [("arib-std-b67", "smpte2084"), ("bt2020-10", "arib-std-b67")]
)
def test_colours_are_those_of_bt709(room: Room, speaker: str, screen: str) -> None:
    room.library.mkdir()
    for source, transfer in (("speaker", speaker), ("screen", screen)):
        film_patches(room.library / f"2026-11-20_10-00-00_504_{source}.mov", transfer)
    result = room.merge(2.0)
    with av.open(str(path_of(result))) as merged:
        frame = list(merged.decode(video=0))[25]
        rgb = frame.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()
    for side in np.hsplit(rgb, 2):
        check_patches(side)
    assert not {w.key for w in result.warnings} - {"timeline.silence"}


@pytest.mark.parametrize(
    ("transfer", "colours"),
    [("arib-std-b67", Colours("hlg", "bt2020")), ("smpte2084", Colours("pq", "bt2020"))],
)
def test_what_is_looked_at_is_in_the_colours_of_bt709(
    tmp_path: Path, transfer: str, colours: Colours
) -> None:
    film_patches(tmp_path / "a.mov", transfer)
    media = read_media(tmp_path / "a.mov")
    assert media.video is not None
    assert (media.video.colours, media.video.matrix) == (colours, "bt2020")
    ((_, frame),) = sample_targets(media, [Target("a.mov", 0, int(media.key_us[0]))])
    check_patches(frame.to_ndarray(format="rgb24"))
    jpeg = np.frombuffer(encode_jpeg(frame, media.video, Size(640, 640)), np.uint8)
    shown = cv2.imdecode(jpeg, cv2.IMREAD_COLOR_RGB)
    assert shown is not None and shown.shape == (180, 320, 3)
    check_patches(shown)

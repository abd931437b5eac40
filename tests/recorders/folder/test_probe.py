"""What somebody is told who has just entered the address of a folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from merger.errors import MergerError
from recorders.registry import kinds
from tests.recorders.conftest import TEN, Share

FOLDER = kinds()["folder"]
WITHIN = timedelta(seconds=10)
NAME = "2026-11-20_10-00-00_504_camera.mp4"


def nothing(folder: Path) -> None:
    pass


def away(folder: Path) -> None:
    folder.rmdir()


def a_file(folder: Path) -> None:
    folder.rmdir()
    folder.write_text("")


def others(folder: Path) -> None:
    (folder / "2026-11-20_10-00-00_504_encoder.mp4").write_bytes(b"")


@pytest.mark.parametrize(
    ("happens", "words"),
    [
        (nothing, "has no files from 504_camera, or from anything else; is the share mounted?"),
        (away, "mount the share again, or correct the address"),
        (a_file, "is a file; enter its folder"),
        (others, "there are files from 504_encoder"),
    ],
)
def test_why_there_is_nothing(share: Share, happens: Callable[[Path], None], words: str) -> None:
    happens(share.folder)
    with pytest.raises(MergerError) as refused:
        FOLDER.probe(share.source, TEN, WITHIN)  # type: ignore[attr-defined]
    assert words in str(refused.value)


def test_the_newest_file_is_shown(share: Share, clip_at: Callable[[datetime], bytes]) -> None:
    share.put(NAME, clip_at(TEN))
    share.put("2026-11-20_09-30-00_504_camera.mp4", os.urandom(5000))
    seen = FOLDER.probe(share.source, TEN, WITHIN)  # type: ignore[attr-defined]
    assert str(seen.found) == f"there are 2 files of this source; the newest is {NAME}"
    assert seen.jpeg is not None and seen.jpeg.startswith(b"\xff\xd8")
    # What cannot be decoded, as a file that is still growing, is there all the same.
    share.put("2026-11-20_10-30-00_504_camera.mp4", clip_at(TEN)[:3000])
    seen = FOLDER.probe(share.source, TEN, WITHIN)  # type: ignore[attr-defined]
    assert "10-30-00" in str(seen.found) and seen.jpeg is None

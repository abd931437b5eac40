"""Files whose clock jumps are written anew: where there is no room for that, nothing is their fault."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from merger.errors import Temporary
from merger.media.repair import repair
from tests.conftest import Room


@pytest.mark.parametrize(("container", "demuxer"), [("ts", "mpegts"), ("mkv", "matroska,webm")])
def test_no_room_for_the_copy(one_room: Room, tmp_path: Path, container: str, demuxer: str) -> None:
    path = one_room.film("speaker", 0, 8, container=container)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size // 2, hard))
    try:
        with pytest.raises(Temporary) as caught:
            repair(path, demuxer, tmp_path / "copy")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert caught.value.code == "disk_full"


def test_with_room_it_is_written(one_room: Room, tmp_path: Path) -> None:
    path = one_room.film("speaker", 0, 8, container="ts")
    repair(path, "mpegts", tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_size > path.stat().st_size // 2

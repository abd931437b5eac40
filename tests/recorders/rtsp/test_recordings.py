"""A recording becomes a complete file once, wherever whoever finishes it is killed or cannot read."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path
from typing import Any

import av
import pytest

from merger import failpoints
from merger.errors import Temporary
from merger.timeline.clock import utc
from recorders.rtsp.finish import finish_all
from recorders.rtsp.recordings import RAW, Journal, raw_name
from tests.conftest import START, Room, seconds


class Killed(BaseException):
    pass


def recorded(folder: Path, name: str, at_s: int = 0, length_s: int = 2) -> Path:
    """Return a raw file, with its journal, that nobody is recording any more."""
    filmed = Room(folder / "films").film("speaker", at_s, length_s, container="mkv")
    raw = folder / RAW / name
    raw.parent.mkdir(parents=True, exist_ok=True)
    filmed.rename(raw)
    Journal("504", "speaker", "Europe/Moscow", utc(START + seconds(at_s))).write(raw)
    return raw


@pytest.mark.parametrize(
    "place", ["recording.finished", "recording.published", "recording.removed"]
)
def test_a_crash_while_a_recording_is_finished(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "504_speaker"
    # Its name is of the instant as it was known at first: half a second later.
    raw = recorded(folder, raw_name(utc(START + seconds(0.5))))

    def kill(reached: str) -> None:
        if reached == place:
            raise Killed

    with monkeypatch.context() as deadly:
        deadly.setattr(failpoints, "hook", kill)
        with pytest.raises(Killed):
            finish_all(folder)
    finish_all(folder)
    assert finish_all(folder) == []
    [video] = folder.glob("*.mkv")
    assert video.name == "2026-11-20_10-00-00_504_speaker.mkv"
    said = json.loads(video.with_suffix(".json").read_text())
    assert said["start"] == utc(START).isoformat()
    assert list(raw.parent.iterdir()) == [] == list(folder.glob(".*"))


class Failing(io.FileIO):
    """A file that can be read up to a place, and not behind it."""

    def __init__(self, path: Path, until: int, number: int) -> None:
        super().__init__(path, "rb")
        self.until, self.number = until, number

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= self.until:
            raise OSError(self.number, os.strerror(self.number))
        wanted = self.until - self.tell()
        return super().read(wanted if size is None or size < 0 else min(size, wanted)) or b""


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("until", [0, 20, 20_000], ids=["start", "header", "middle"])
def test_what_cannot_be_read_now_is_finished_later(
    tmp_path: Path, until: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system says so once: what was read by then is not all there is. Others do not wait."""
    raw = recorded(tmp_path, "1.mkv")
    other = recorded(tmp_path, "2.mkv", at_s=60)
    pictures, size = len(times_of(raw)), raw.stat().st_size
    assert size > 20_000
    original = Path.open

    def opens(path: Path, *rest: Any, **more: Any) -> Any:
        return Failing(path, until, number) if path == raw else original(path, *rest, **more)

    with monkeypatch.context() as failing:
        failing.setattr(Path, "open", opens)
        with pytest.raises(Temporary):
            finish_all(tmp_path)
    assert raw.stat().st_size == size and not other.exists()
    assert [video.name for video in tmp_path.glob("*.mkv")] == [
        "2026-11-20_10-01-00_504_speaker.mkv"
    ]
    [video] = finish_all(tmp_path)
    assert len(times_of(video)) == pictures and not list(raw.parent.iterdir())


def times_of(path: Path) -> list[int]:
    """Return when each picture of a file is shown."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        return [packet.pts for packet in container.demux(video) if packet.pts is not None]


def test_a_journal_that_cannot_be_read_now_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = recorded(tmp_path, "1.mkv")
    original = Path.read_text

    def reads(path: Path, *rest: Any, **more: Any) -> str:
        if path == raw.with_suffix(".json"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return original(path, *rest, **more)

    with monkeypatch.context() as failing:
        failing.setattr(Path, "read_text", reads)
        with pytest.raises(Temporary):
            finish_all(tmp_path)
    [video] = finish_all(tmp_path)
    assert json.loads(video.with_suffix(".json").read_text())["clock"] == "arrival"

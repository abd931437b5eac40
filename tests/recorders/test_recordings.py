"""A recording becomes a complete file once, wherever whoever finishes it is killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from merger import failpoints
from merger.timeline import utc
from recorders.recordings import RAW, Journal, finish_all
from tests.conftest import START, Room


class Killed(BaseException):
    pass


@pytest.mark.parametrize("place", ["recording.finished", "recording.published"])
def test_a_crash_while_a_recording_is_finished(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    filmed = Room(tmp_path / "films").film("speaker", 0, 2, container="mkv")
    folder = tmp_path / "504_speaker"
    raw = folder / RAW / "1.mkv"
    raw.parent.mkdir(parents=True)
    filmed.rename(raw)
    Journal("504", "speaker", "Europe/Moscow", utc(START)).write(raw)

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
    assert list(raw.parent.glob("*.mkv")) == [] == list(folder.glob(".*"))

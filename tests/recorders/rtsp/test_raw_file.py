"""A file that is being recorded, of real packets: its streams where they belong, whatever is lost."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import av
import pytest

from merger.timeline.clock import utc
from recorders.rtsp.capture_clock import SECOND_US, StreamClock, from_epoch_us
from recorders.rtsp.finish import finish_all
from recorders.rtsp.raw_file import open_raw_file
from recorders.rtsp.recordings import (
    RAW,
    Journal,
    raw_name,
    read_journal,
)
from tests.conftest import START, Room

WALL_US = 1_700_000_000_250_000
JOURNAL = Journal("504", "speaker", "Europe/Moscow", from_epoch_us(WALL_US))


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds whose sound is the first of two streams, as some cameras list them."""
    folder = tmp_path_factory.mktemp("filmed")
    made = folder / "sound-first.mkv"
    with (
        av.open(str(Room(folder).film("speaker", 0, 3, container="mkv"))) as film,
        av.open(str(made), "w") as to,
    ):
        order = film.streams.audio[0], film.streams.video[0]
        streams = {stream.index: to.add_stream_from_template(stream) for stream in order}
        for packet in film.demux(*order):
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                to.mux(packet)
    return made


def record(filmed: Path, folder: Path, late_us: int = 0) -> Path:
    """Record a film; return the raw file. late_us: so much later its sound is than was thought."""
    raw = folder / RAW / raw_name(JOURNAL.start)
    with av.open(str(filmed)) as film:
        video, audio = film.streams.video[0], film.streams.audio[0]
        assert (audio.index, video.index) == (0, 1)
        clocks = {video.index: StreamClock(), audio.index: StreamClock()}
        clocks[video.index].time_of(0, WALL_US, WALL_US)
        file = open_raw_file(raw, JOURNAL, (video, audio), clocks, video.index, 0)
        for packet in film.demux(video, audio):
            if packet.pts is None:
                continue
            number, at = packet.stream_index, round(packet.pts * packet.time_base * SECOND_US)
            captured = WALL_US + at + (late_us if number == audio.index else 0)
            clocks[number].time_of(at, captured, captured)
            file.write(packet, number, at)
        file.close(clocks)
    return raw


def times_us(path: Path, kind: str) -> list[int]:
    with av.open(str(path)) as container:
        stream = container.streams.best(kind)
        found = [packet.pts for packet in container.demux(stream) if packet.pts is not None]
        return [round(pts * stream.time_base * SECOND_US) for pts in found]


def test_sound_is_moved_where_it_is_listed_first(filmed: Path, tmp_path: Path) -> None:
    for late_us in (0, 300_000):
        record(filmed, tmp_path / str(late_us), late_us)
    (on_time,), (moved,) = (finish_all(tmp_path / name) for name in ("0", "300000"))
    assert times_us(moved, "video") == times_us(on_time, "video")
    before, after = times_us(on_time, "audio"), times_us(moved, "audio")
    steps = [b - a for a, b in zip(before, after, strict=True)]
    assert before and {round(step / 1000) for step in steps} == {300}


@pytest.mark.parametrize("left", [b"", None, b'{"room": "504", "sour'])
def test_a_journal_that_a_power_cut_took(filmed: Path, tmp_path: Path, left: bytes | None) -> None:
    raw = record(filmed, tmp_path)
    times = times_us(raw, "video")
    raw.with_suffix(".json").unlink() if left is None else raw.with_suffix(".json").write_bytes(
        left
    )
    [video] = finish_all(tmp_path)
    assert video.name == "2023-11-15_01-13-20_504_speaker.mkv" and times_us(video, "video") == times
    said = json.loads(video.with_suffix(".json").read_text())
    assert (said["start"], said["end"]) == (JOURNAL.start.isoformat(), None)
    assert said["clock"] == "name"
    assert list(raw.parent.iterdir()) == []


@pytest.mark.parametrize("name", [raw_name(JOURNAL.start), "1.mkv"])
def test_what_nothing_is_known_of_is_set_aside(filmed: Path, tmp_path: Path, name: str) -> None:
    raw = record(filmed, tmp_path)
    if raw.name == name:
        raw.write_bytes(bytes(raw.stat().st_size))
    raw.with_suffix(".json").unlink()
    raw.rename(raw.with_name(name))
    assert finish_all(tmp_path) == []
    assert [path.name for path in raw.parent.iterdir()] == [f"{name}.broken"]


def test_a_journal_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    replace = Path.replace

    def synced(handle: int) -> None:
        done.append(Path(f"/proc/self/fd/{handle}").read_text())

    def renamed(path: Path, to: Path) -> Path:
        done.append(to.name)
        return replace(path, to)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    raw = tmp_path / "1.mkv"
    told = Journal("504", "speaker", "UTC", utc(START), utc(START) + timedelta(seconds=3))
    told.write(raw)
    assert read_journal(raw) == told
    assert done == [raw.with_suffix(".json").read_text(), "1.json"]

"""A record waits for room on a disk before anything is written there, and goes on by itself."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from merger import failpoints
from merger.delivery.folder import FolderDestination
from merger.errors import Temporary
from merger.ports.destination import Fence, Upload
from tests.conftest import START, Room
from tests.recorders.conftest import digest
from tests.render.test_time import check_instants
from tests.support.databases import ON_SQLITE
from tests.support.site import LENGTH_S, Site
from tests.support.truth import frames_seen

GB = 1_000_000_000


@dataclass
class Disks:
    """What is free below some folders; elsewhere there is plenty. places: that were reached."""

    free: dict[Path, int] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)

    def usage(self, path: Path) -> Any:
        free = [free for folder, free in self.free.items() if path.is_relative_to(folder)]
        return SimpleNamespace(total=GB, free=min(free, default=GB))


@pytest.fixture
def disks(monkeypatch: pytest.MonkeyPatch) -> Disks:
    made = Disks()
    monkeypatch.setattr(shutil, "disk_usage", made.usage)
    monkeypatch.setattr(failpoints, "hook", made.places.append)
    return made


@pytest.fixture
def lecture(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A record that is due, whose media is on another file system than the data."""

    def link(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", link)
    site.environ["MERGER_OUTPUT"] = str(site.folder / "output")
    site.merged.mkdir()
    site.add_room()
    site.film("speaker")
    site.film("screen", sound=False)
    site.ask()
    return site


def next_look(site: Site) -> str | None:
    site.clock = site.row().run_after
    return site.work()


def videos(folder: Path) -> list[Path]:
    """Return the media below a folder, partial files, too."""
    return [path for path in folder.rglob("*") if path.suffix in (".mp4", ".m4a")]


Where = Callable[[Site], Path]
STAGES: dict[str, tuple[Where, str, str, str]] = {
    "collect": (lambda s: s.settings.data, "recorder.copied", "collect", "2026-11-20_"),
    "encode": (lambda s: s.settings.cache, "encode.part", "encode", "encoding "),
    "join": (lambda s: s.settings.data / "records", "encode.joined", "encode", "joining "),
    "deliver": (lambda s: s.merged, "folder.copied", "deliver", "Lecture_504_"),
}


@pytest.mark.parametrize("what", STAGES)
def test_a_record_waits_for_room(lecture: Site, disks: Disks, what: str) -> None:
    where, not_reached, stage, words = STAGES[what]
    folder = where(lecture)
    reserve = GB // 100
    disks.free[folder] = reserve + 1_000  # room for notes, not for media
    for look in (1, 2):
        assert (lecture.work() if look == 1 else next_look(lecture)) == "deferred"
        assert not_reached not in disks.places and videos(folder) == []
        assert list(lecture.merged.iterdir()) == []
        row = lecture.row()
        assert (row.status, row.stage, row.attempt, row.tries) == ("queued", stage, look, 0)
        told = lecture.details()
        assert told["error"]["code"] == "disk_full"
        assert told["error"]["message"].startswith(words)
        assert f"but only 0.0 MB are free in {folder}" in told["error"]["message"]
        assert told["error"]["message"].endswith(
            "free some space there: the recording continues automatically"
        )
        assert told["events"][-1]["text"] == told["error"]["message"]
    disks.free.clear()
    assert next_look(lecture) == "delivered"
    assert lecture.events() == [
        "asked", "claimed", "put_off", "claimed", "put_off", "claimed", "sent", "sent", "delivered",
    ]  # fmt: skip
    assert lecture.row().error_code is None
    [merge] = [path for path in lecture.merged.iterdir() if "backup" not in path.name]
    check_instants(frames_seen(merge, wanted=range(0, 150, 10)), START)


@ON_SQLITE
def test_what_is_there_already_waits_for_nothing(lecture: Site, disks: Disks) -> None:
    """Each stage that is done stays done on a disk that has become full since."""
    data, cache = lecture.settings.data, lecture.settings.cache
    disks.free = {data: 0}
    assert lecture.work() == "deferred"
    disks.free = {cache: 0}
    assert next_look(lecture) == "deferred"
    assert len(videos(data / "segments")) == 2
    disks.free = {data: 0}  # collected; encodes; cannot be joined
    assert next_look(lecture) == "deferred"
    assert "joining " in lecture.details()["error"]["message"]
    disks.free = {cache: 0, data / "segments": 0, lecture.merged: 0}
    assert next_look(lecture) == "deferred"
    assert lecture.details()["error"]["message"].startswith("Lecture_504_")
    disks.free = {cache: 0, data: 0}
    assert next_look(lecture) == "delivered"


@ON_SQLITE
@pytest.mark.parametrize(
    ("gone", "needed"), [("*.m4a", "0.1 MB"), ("*.merge.mp4", "0.2 MB"), ("*.m*", "0.3 MB")]
)
def test_room_is_asked_for_what_the_cache_lacks(
    lecture: Site, disks: Disks, gone: str, needed: str
) -> None:
    # 640x180 of both sides and 320x180 of the right one, a twentieth of a bit each; the sound.
    assert (640 + 320) * 180 * 25 * LENGTH_S / 160 == 162_000 and 16_000 * LENGTH_S == 96_000
    data, cache = lecture.settings.data, lecture.settings.cache
    disks.free = {data / "records": 0}
    assert lecture.work() == "deferred"
    for path in cache.glob(f"??/{gone}"):
        path.unlink()
    disks.free = {cache: 0}
    assert next_look(lecture) == "deferred"
    message = lecture.details()["error"]["message"]
    assert message.startswith(f"encoding needs {needed}, but only 0.0 MB are free in {cache}")


@ON_SQLITE
def test_waiting_for_room_neither_adds_to_the_tries_nor_ends_them(
    lecture: Site, disks: Disks
) -> None:
    disks.free = {lecture.merged: 0}
    seen = []
    for share_is_there in (False, True, True, False):
        if share_is_there:
            lecture.merged.mkdir(exist_ok=True)
        else:
            lecture.merged.rmdir()
        assert (next_look(lecture) if seen else lecture.work()) == "deferred"
        seen.append((lecture.row().error_code, lecture.row().tries))
    assert seen == [("destination", 1), ("disk_full", 1), ("disk_full", 1), ("destination", 2)]


@ON_SQLITE
def test_a_record_that_waits_can_be_cancelled(lecture: Site, disks: Disks) -> None:
    disks.free = {lecture.merged: 0}
    assert lecture.work() == "deferred"
    assert lecture.run("cancel", "1").returncode == 0
    assert lecture.row().status == "cancelled"
    assert list(lecture.merged.iterdir()) == []


def sent(folder: Path, file: Path) -> str:
    data = file.read_bytes()
    parcel = Upload(1, "merge", "lecture.mp4", file, len(data), digest(data))
    fence = Fence(lambda state: None, lambda: None, lambda: None)
    return FolderDestination(folder, is_ours=True).send(parcel, {}, fence)


def test_what_has_arrived_needs_no_room(tmp_path: Path, disks: Disks) -> None:
    """It is looked at before room is asked for: it may have arrived just before a crash."""
    file, output = tmp_path / "made.mp4", tmp_path / "output"
    file.write_bytes(b"video")
    disks.free = {output: GB // 100 + 4}
    with pytest.raises(Temporary, match=r"lecture\.mp4 needs"):
        sent(output, file)
    assert list(output.iterdir()) == []
    disks.free = {output: GB // 100 + 5}
    link = sent(output, file)
    disks.free = {output: 0}
    assert sent(output, file) == link
    file.write_bytes(b"Video")  # another version of it is copied beside it first
    with pytest.raises(Temporary, match=r"lecture\.mp4 needs"):
        sent(output, file)
    assert Path(link).read_bytes() == b"video"


def test_the_command_merge_fails_with_the_sentence(one_room: Room, disks: Disks) -> None:
    one_room.film("speaker", 0, 4)
    one_room.film("screen", 0, 4, sound=False)
    for folder, words in (
        (one_room.cache, "encoding needs"),
        (one_room.output, "joining the parts needs"),
    ):
        disks.free = {folder: 0}
        with pytest.raises(Temporary, match=words) as caught:
            one_room.merge(4.0)
        assert str(caught.value).endswith("free some space there")
        assert list(one_room.output.iterdir()) == []
    disks.free = {one_room.cache: 0}  # all that it holds was encoded by then
    check_instants(frames_seen(one_room.merge(4.0).renditions[0].path), START)

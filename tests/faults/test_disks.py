"""What happens to a record where a disk is full."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from merger import failpoints
from merger.errors import Temporary
from merger.records.rules.retry import LONGEST_DELAY
from merger.storage.cache import Cache
from merger.storage.files import work_folder
from tests.faults.outages import be_impatient, check_delivered, lecture_that_is_due
from tests.support.aftermath import next_try
from tests.support.databases import ON_SQLITE
from tests.support.line import reason
from tests.support.site import Site


@pytest.fixture
def lecture(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    be_impatient(monkeypatch)
    return lecture_that_is_due(site)


@dataclasses.dataclass
class SmallDisk:
    """A file system of its own that can be filled and made room on."""

    folder: Path

    def fill(self, leave: int = 0) -> None:
        """Fill it with something else, but for so many bytes."""
        status = os.statvfs(self.folder)
        filler = self.folder / "filler"
        filler.write_bytes(b"\0" * max(0, status.f_bavail * status.f_frsize - leave))

    def make_room(self) -> None:
        (self.folder / "filler").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "small disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"NO TEST OF FULL DISKS: only root may mount a small one ({done.stderr})")
    yield SmallDisk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(params=["foreseen", "found out"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """That a disk is full shows before anything is written, or in the middle of it."""
    if request.param == "found out":
        roomy = SimpleNamespace(total=10**15, free=10**15)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: roomy)


def fill_at(monkeypatch: pytest.MonkeyPatch, disk: SmallDisk, at: str, leave: int) -> None:
    """Fill a disk when a place is reached for the first time."""
    filled = False

    def fill(place: str) -> None:
        nonlocal filled
        if place == at and not filled:
            filled = True
            disk.fill(leave)

    monkeypatch.setattr(failpoints, "hook", fill)


def check_waits(site: Site, place: Path, stage: str) -> None:
    """The record waits and says why, and nothing was published."""
    row = site.row()
    assert (row.status, row.error_code, row.tries) == ("queued", "disk_full", 0)
    assert str(place) in reason(row)
    assert "free some space there: the recording continues automatically" in reason(row)
    assert row.stage == stage
    assert timedelta(minutes=7) < row.run_after - site.clock <= 1.25 * LONGEST_DELAY
    assert site.claim() is None
    assert not [path for path in site.merged.glob("**/*") if path.name != "filler"]
    for folder in (site.settings.cache, site.settings.data / "records" / "1"):
        assert not list(folder.glob(".merge-work-*"))
    assert not list((site.settings.data / "segments").glob("*/.*"))


@pytest.mark.parametrize("size", [1_000, 100_000])
def test_the_disk_that_is_full_is_named(disk: SmallDisk, tmp_path: Path, size: int) -> None:
    """The system says only that some disk is full, and a merge writes to several."""
    cache, output = Cache(disk.folder / "cache", 1 << 30), tmp_path / "output"
    for folder in (cache.folder, output):
        folder.mkdir()
    with work_folder(cache.folder) as cached, work_folder(output):
        disk.fill(20_000)
        with pytest.raises(Temporary) as caught:
            for n in range(100):
                cache.remember(f"{n:02}", ["x" * size], cached)
        assert caught.value.code == "disk_full" and str(disk.folder) in str(caught.value)


@ON_SQLITE
@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("leave", [0, 20_000])
def test_the_cache_is_full(lecture: Site, disk: SmallDisk, leave: int) -> None:
    lecture.environ["MERGER_CACHE"] = str(disk.folder / "cache")
    disk.fill(leave)
    assert lecture.work() == "deferred"
    check_waits(lecture, disk.folder / "cache", lecture.row().stage)
    assert next_try(lecture) == "deferred"  # still
    disk.make_room()
    assert next_try(lecture) == "delivered"
    check_delivered(lecture, attempt=3)
    assert lecture.row().error_code is None


@ON_SQLITE
def test_the_cache_becomes_full_in_an_encode(
    lecture: Site, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    lecture.environ["MERGER_CACHE"] = str(disk.folder / "cache")
    fill_at(monkeypatch, disk, "encode.part", 30_000)
    assert lecture.work() == "deferred"
    check_waits(lecture, disk.folder / "cache", "encode")
    disk.make_room()
    assert next_try(lecture) == "delivered"
    check_delivered(lecture, attempt=2)


@ON_SQLITE
@pytest.mark.usefixtures("either_way")
def test_the_output_folder_is_full(lecture: Site, disk: SmallDisk) -> None:
    lecture.environ["MERGER_OUTPUT"] = str(disk.folder)
    disk.fill(50_000)
    assert lecture.work() == "deferred"
    check_waits(lecture, disk.folder, "deliver")
    made = sorted((lecture.settings.data / "records").glob("*/attempt-*/*.mp4"))
    before = [path.stat().st_ino for path in made]
    disk.make_room()
    assert next_try(lecture) == "delivered"
    check_delivered(lecture, attempt=2)
    assert [path.stat().st_ino for path in made] == before  # sent, not made again
    assert len(list((lecture.settings.data / "records").glob("*/attempt-*"))) == 1


@ON_SQLITE
@pytest.mark.usefixtures("either_way")
def test_the_output_folder_is_full_for_the_second_file(
    lecture: Site, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backup is there and stays; the merge, which says that all is there, is not."""
    lecture.environ["MERGER_OUTPUT"] = str(disk.folder)
    fill_at(monkeypatch, disk, "deliver.written", 20_000)
    assert lecture.work() == "deferred"
    row = lecture.row()
    assert (row.status, row.error_code, row.stage) == ("queued", "disk_full", "deliver")
    [backup] = disk.folder.glob("*.mp4")
    before = backup.stat().st_ino
    disk.make_room()
    assert next_try(lecture) == "delivered"
    check_delivered(lecture, attempt=2)
    assert backup.stat().st_ino == before


@ON_SQLITE
@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("leave", [0, 50_000])
def test_the_data_folder_is_full_while_media_is_collected(
    lecture: Site, disk: SmallDisk, leave: int
) -> None:
    lecture.environ |= {
        "MERGER_DATA": str(disk.folder),
        "MERGER_OUTPUT": str(lecture.folder / "out"),
    }
    (lecture.folder / "out").mkdir()
    disk.fill(leave)
    assert lecture.work() == "deferred"
    check_waits(lecture, disk.folder, "collect")
    disk.make_room()
    assert next_try(lecture) == "delivered"
    check_delivered(lecture, attempt=2)


@ON_SQLITE
@pytest.mark.usefixtures("either_way")
def test_the_data_folder_becomes_full_before_parts_are_joined(
    lecture: Site, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    lecture.environ |= {
        "MERGER_DATA": str(disk.folder),
        "MERGER_OUTPUT": str(lecture.folder / "out"),
    }
    (lecture.folder / "out").mkdir()
    fill_at(monkeypatch, disk, "encode.part", 10_000)
    assert lecture.work() == "deferred"
    check_waits(lecture, disk.folder, "encode")
    parts = {path: path.stat().st_ino for path in lecture.settings.cache.glob("??/*.mp4")}
    assert len(parts) == 2
    disk.make_room()
    assert next_try(lecture) == "delivered"
    check_delivered(lecture, attempt=2)
    assert {path: path.stat().st_ino for path in parts} == parts  # not encoded again


@ON_SQLITE
def test_a_folder_that_cannot_be_made_on_a_full_disk(
    lecture: Site, disk: SmallDisk, tmp_path: Path
) -> None:
    """Where there is no room for another name: the same as where there is none for bytes."""
    subprocess.run(["mount", "-o", "remount,nr_inodes=4", str(disk.folder)], check=True)
    lecture.environ["MERGER_DATA"] = str(disk.folder)
    lecture.environ["MERGER_OUTPUT"] = str(lecture.folder / "out")
    (lecture.folder / "out").mkdir()
    for n in range(3):
        (disk.folder / f"{n}").touch()
    assert lecture.work() == "deferred"
    check_waits(lecture, disk.folder, "collect")
    for n in range(3):
        (disk.folder / f"{n}").unlink()
    subprocess.run(["mount", "-o", "remount,nr_inodes=1000", str(disk.folder)], check=True)
    assert next_try(lecture) == "delivered"
    check_delivered(lecture, attempt=2)


@ON_SQLITE
def test_a_full_disk_is_waited_for_without_end(lecture: Site, disk: SmallDisk) -> None:
    """A record never fails for it, nothing is counted, and the history stays readable."""
    lecture.environ["MERGER_OUTPUT"] = str(disk.folder)
    disk.fill()
    begun = lecture.clock
    assert lecture.work() == "deferred"
    while lecture.clock - begun < timedelta(days=2):
        assert next_try(lecture) == "deferred"
        assert (lecture.row().status, lecture.row().tries) == ("queued", 0)
    looks = lecture.row().attempt
    assert 40 < looks < 70
    assert lecture.events().count("put_off") == looks
    disk.make_room()
    assert next_try(lecture) == "delivered"
    check_delivered(lecture, attempt=looks + 1)
    assert lecture.row().error_code is None

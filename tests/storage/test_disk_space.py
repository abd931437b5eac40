"""Whether there is room is asked before anything is written."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from merger.errors import Broken, Temporary
from merger.storage.cache import Cache
from merger.storage.disk_space import amount, make_room, require_space
from merger.storage.files import work_folder

pytestmark = pytest.mark.quick

GB, MB = 1_000_000_000, 1_000_000
Disk = Callable[..., list[Path]]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Have every disk be as large and as full as a test says; returns of which that was asked."""

    def of(total: int, free: int) -> list[Path]:
        asked: list[Path] = []

        def usage(path: Path) -> Any:
            asked.append(path)
            return SimpleNamespace(total=total, free=free)

        monkeypatch.setattr(shutil, "disk_usage", usage)
        return asked

    return of


@pytest.mark.parametrize(
    ("total", "reserve"),
    [
        (100 * GB, GB),
        (16 * MB, 160_000),
        (500 * GB, 5 * GB),
        (100_000 * GB, 5 * GB),  # a share of 100 TB with a few GB left has room for a lecture
    ],
)
def test_a_reserve_is_left_to_others(tmp_path: Path, disk: Disk, total: int, reserve: int) -> None:
    needed = 3 * MB
    disk(total, needed + reserve)
    require_space(tmp_path, needed, "encoding")
    for free in (needed + reserve - 1, reserve, 0):
        disk(total, free)
        with pytest.raises(Temporary) as caught:
            require_space(tmp_path, needed, "encoding")
        assert caught.value.code == "disk_full"


def test_nothing_needs_no_room(tmp_path: Path, disk: Disk) -> None:
    """What is there already is not waited for, however full the disk has become since."""
    asked = disk(GB, 0)
    require_space(tmp_path, 0, "encoding")
    assert asked == []


def test_a_person_can_read_what_is_missing_and_where(tmp_path: Path, disk: Disk) -> None:
    disk(100 * GB, 2_200 * MB)
    with pytest.raises(Temporary) as caught:
        require_space(tmp_path, 3_100 * MB, "encoding")
    assert str(caught.value) == (
        f"encoding needs 3.1 GB, but only 1.2 GB are free in {tmp_path}"
        " (besides a reserve of 1.0 GB);"
        " free some space there"
    )
    disk(100 * GB, 1)  # less than the reserve
    with pytest.raises(Temporary, match=r"needs 0\.5 MB, but only 0\.0 MB are free"):
        require_space(tmp_path, 500_000, "encoding")


def test_a_folder_that_is_not_there_yet(tmp_path: Path, disk: Disk) -> None:
    asked = disk(GB, 0)
    missing = tmp_path / "data" / "segments"
    with pytest.raises(Temporary, match=str(missing)):
        require_space(missing, 1, "bringing it")
    assert asked == [tmp_path]


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [(errno.ESTALE, Temporary, "storage_away"), (errno.EACCES, Broken, "storage")],
)
def test_a_disk_that_cannot_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: Any, code: str
) -> None:
    def usage(path: Path) -> Any:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(kind) as caught:
        require_space(tmp_path, 1, "encoding")
    assert caught.value.code == code


def test_the_real_disk(tmp_path: Path) -> None:
    require_space(tmp_path, 1, "a byte")
    with pytest.raises(Temporary, match=r"needs 1000000000\.0 GB"):
        require_space(tmp_path, 10**18, "everything")


def test_amounts_in_words() -> None:
    sizes = (0, 49_999, 50_000, 99_999_999, 100_000_000, 3_149_000_000)
    assert [str(amount(size)) for size in sizes] == [
        "0.0 MB", "0.0 MB", "0.1 MB", "100.0 MB", "0.1 GB", "3.1 GB",
    ]  # fmt: skip


def test_the_cache_makes_room_on_its_own_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not used for longest goes, but nothing that a living run uses."""
    cache = Cache(tmp_path / "cache", GB)
    cache.folder.mkdir()
    with work_folder(cache.folder) as work, work_folder(cache.folder) as ended:
        for n in range(5):
            partial = ended / f"{n}.partial"
            partial.write_bytes(bytes(100_000))
            cache.add(partial, f"{n}a", ended)
            os.utime(cache.path(f"{n}a"), (n, n))
            (ended / f"{n}a").unlink()
        cache.use("1a", work)
        os.utime(cache.path("1a"), (1, 1))
        there: Callable[[], list[str]] = lambda: sorted(p.name for p in cache.files())  # noqa: E731

        def usage(_: Path) -> Any:
            return SimpleNamespace(total=MB, free=600_000 - 100_000 * len(there()))

        monkeypatch.setattr(shutil, "disk_usage", usage)
        make_room(cache, tmp_path, 50_000, "encoding")
        assert len(there()) == 5
        make_room(cache, tmp_path, 250_000, "encoding")
        assert there() == ["1a", "3a", "4a"]
        with pytest.raises(Temporary):
            make_room(cache, tmp_path, 900_000, "encoding")
        assert there() == ["1a"]

"""What is kept in the cache is used only as long as it is what was added."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from merger.errors import Temporary
from merger.storage.cache import Cache, sum_path
from merger.storage.files import work_folder

pytestmark = pytest.mark.quick

NAME = "ab12.merge.mp4"
DATA = bytes(range(256)) * 40


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path, limit_bytes=1 << 30)


@pytest.fixture
def work(cache: Cache) -> Iterator[Path]:
    with work_folder(cache.folder) as folder:
        yield folder


def add(cache: Cache, work: Path, name: str = NAME, data: bytes = DATA) -> Path:
    partial = work / f"{name}.{os.urandom(8).hex()}"
    partial.write_bytes(data)
    return cache.add(partial, name, work)


def flip(path: Path, at: int = 5000) -> None:
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= 1
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "one bit": flip,
    "cut off": lambda path: os.truncate(path, 4096),
    "a tail of zeros": lambda path: path.write_bytes(DATA[:4096] + bytes(len(DATA) - 4096)),
    "empty": lambda path: os.truncate(path, 0),
    "longer": lambda path: path.write_bytes(DATA + b"x"),
    "the sum": lambda path: flip(sum_path(path)),
    "an empty sum": lambda path: os.truncate(sum_path(path), 0),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_no_longer_what_was_added_goes_and_is_told(
    cache: Cache, work: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    path = add(cache, work)
    assert cache.is_intact(NAME, work) and not caplog.records
    DAMAGE[damage](path)
    assert not cache.is_intact(NAME, work)
    [line] = caplog.messages
    assert str(path) in line and "made anew" in line
    assert list(path.parent.iterdir()) == []
    assert cache.use(NAME, work) is None
    assert not cache.is_intact(NAME, work)  # now it is only missing, which is no news
    add(cache, work)
    assert cache.use(NAME, work) and cache.is_intact(NAME, work)
    assert len(caplog.records) == 1


def test_what_a_version_without_sums_added_is_used_and_compared_from_then_on(
    cache: Cache, work: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = cache.path(NAME)
    path.parent.mkdir()
    path.write_bytes(DATA)
    assert cache.is_intact(NAME, work) and not caplog.records
    flip(path)
    assert not cache.is_intact(NAME, work)


def test_a_sum_is_what_sha256sum_reads(cache: Cache, work: Path) -> None:
    path = add(cache, work)
    command = ["sha256sum", "--check", "--strict", sum_path(path).name]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{NAME}: OK\n")


def test_facts_that_are_damaged_are_none(cache: Cache, work: Path) -> None:
    assert cache.recall("f.json", work) == []
    cache.remember("f.json", [[1, 2]], work)
    assert cache.recall("f.json", work) == [[1, 2]]
    path = cache.path("f.json")
    path.write_text("[[1, 3]]")  # as good to read, and wrong
    assert cache.recall("f.json", work) is None
    assert cache.recall("f.json", work) == []
    path.write_text('{"of": "a version without sums"')
    assert cache.recall("f.json", work) is None
    assert list(path.parent.iterdir()) == []


def test_sums_go_with_their_files(cache: Cache, work: Path) -> None:
    with work_folder(cache.folder) as ended:
        for name in ("aa.mp4", "bb.mp4"):
            add(cache, ended, name)
    cache.path("bb.mp4").unlink()  # by hand
    Cache(cache.folder, limit_bytes=0).shrink()
    assert list(cache.folder.glob("??/*")) == []


def test_two_that_add_the_same_at_once_leave_a_file_with_its_sum(
    cache: Cache, work: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An encoder in hardware does not write the same bytes twice."""

    def add_and_look(number: int) -> bool:
        add(cache, work, data=os.urandom(1000 + number))
        return cache.is_intact(NAME, work)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(add_and_look, range(40)))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_disk_that_is_away_is_no_damage(
    cache: Cache, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = add(cache, work)

    def stale(*_: object) -> str:
        raise OSError(116, "Stale file handle")

    with monkeypatch.context() as patched:
        patched.setattr("merger.storage.cache.sha256_of", stale)
        with pytest.raises(Temporary, match="is not available"):
            cache.is_intact(NAME, work)
    assert path.read_bytes() == DATA and cache.is_intact(NAME, work)


def test_a_sector_that_cannot_be_read_is_damage(
    cache: Cache, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = add(cache, work)

    def unreadable(*_: object) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("merger.storage.cache.sha256_of", unreadable)
    assert not cache.is_intact(NAME, work) and not path.exists()

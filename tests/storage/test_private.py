"""What other users of the machine may not read: made so, made so again, and told where it is not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest

from merger.config import Settings, load
from merger.delivery.folder import FolderDestination
from merger.live.raw_folder import RawFolder
from merger.ports.destination import Fence, Upload
from merger.storage.files import make_folder
from merger.storage.private import make_private, open_to_others, private_paths

pytestmark = pytest.mark.quick


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def settings(data: Path, **environ: str) -> Settings:
    return load({"MERGER_DATA": str(data), **environ})


def fill(data: Path, *, merged: bool = False) -> None:
    """Make what a service of before has left, which everybody can read."""
    for name in ("segments", "records", "recorded", "live", "pictures", "library"):
        (data / name).mkdir(parents=True)
    for name in ("merger.db", "merger.db-wal", "merger.db-shm", "secret.key", "notes.txt"):
        (data / name).touch()
    if merged:
        (data / "merged").mkdir()
        (data / "merged" / "video.mp4").touch()


def modes(data: Path) -> dict[str, int]:
    """Return the modes of a data folder and what is in there, but those that everybody may read."""
    found = {str(path.relative_to(data)): mode(path) for path in (data, *data.rglob("*"))}
    return {name: found[name] for name in found if found[name] not in (0o755, 0o644)}


OURS = {
    **dict.fromkeys(("segments", "records", "recorded", "live", "pictures"), 0o700),
    **dict.fromkeys(("merger.db", "merger.db-wal", "merger.db-shm", "secret.key"), 0o600),
}


@pytest.mark.parametrize(
    ("merged", "environ", "most"),
    [
        (False, {}, 0o700),
        # Who reads videos in there goes on to do so, and sees nothing else of it.
        (True, {}, 0o711),
        (True, {"MERGER_PRIVATE_OUTPUT": "yes"}, 0o700),
        (True, {"MERGER_OUTPUT": "/srv/elsewhere"}, 0o700),
    ],
)
def test_what_everybody_could_read(
    tmp_path: Path, merged: bool, environ: dict[str, str], most: int
) -> None:
    data = tmp_path / "data"
    fill(data, merged=merged)
    paths = private_paths(settings(data, **environ), data / "merger.db")
    assert {str(path.relative_to(data)) for path in open_to_others(paths)} == {".", *OURS}
    make_private(paths)
    assert modes(data) == {".": most, **OURS}
    assert open_to_others(paths) == {}


def test_nothing_is_given_to_anybody(tmp_path: Path) -> None:
    data = tmp_path / "data"
    fill(data, merged=True)
    for path in (data, data / "segments"):
        path.chmod(0o500)
    (data / "merger.db").chmod(0o400)
    make_private(private_paths(settings(data), data / "merger.db"))
    assert modes(data) == {**OURS, ".": 0o500, "segments": 0o500, "merger.db": 0o400}


def test_a_folder_that_is_shared_by_a_group_is_told_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs this is another one than the user of the service: root, say."""
    data = tmp_path / "data"
    fill(data)
    data.chmod(0o770)
    paths = private_paths(settings(data), data / "merger.db")
    monkeypatch.setattr(os, "geteuid", lambda: data.stat().st_uid + 1)
    make_private(paths)
    assert modes(data) == {".": 0o770}
    assert open_to_others(paths)[data] == 0o770


def test_nothing_is_there_yet(tmp_path: Path) -> None:
    paths = private_paths(settings(tmp_path / "data"), None)
    make_private(paths)
    assert open_to_others(paths) == {} and not (tmp_path / "data").exists()


def test_new_folders(tmp_path: Path) -> None:
    make_folder(tmp_path / "data" / "segments" / "1", "MERGER_DATA")
    assert modes(tmp_path / "data") == {".": 0o700, "segments": 0o700, "segments/1": 0o700}


@pytest.mark.parametrize(
    ("is_private", "file", "folder"), [(False, 0o644, 0o755), (True, 0o600, 0o700)]
)
def test_videos_at_a_destination(tmp_path: Path, is_private: bool, file: int, folder: int) -> None:
    video = tmp_path / "video.mp4"
    video.write_bytes(b"a lecture")
    digest = sha256(b"a lecture").hexdigest()
    fence = Fence(lambda _: None, lambda: None, lambda: None)
    merged = tmp_path / "merged"
    sent = FolderDestination(merged, is_ours=True, is_private=is_private)
    raw = RawFolder(merged, is_ours=True, is_private=is_private)
    upload = Upload(1, "merge", "Lecture.mp4", video, 9, digest, None)
    links = [
        sent.send(upload, {}, fence),
        raw.put(video, "504", date(2026, 11, 20), "raw.mp4", digest, {}, lambda _: None),
    ]
    assert {mode(Path(link)) for link in links} == {file}
    below = [path for path in merged.rglob("*") if path.is_dir()]
    assert len(below) == 3 and {mode(path) for path in (merged, *below)} == {folder}

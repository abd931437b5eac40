"""Kind `folder`: shares that are away, files that cannot be read, and files that mean no good."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from merger.errors import Broken, Invalid, Temporary
from merger.media.container import Header
from merger.media.sidecar import read_sidecar
from recorders.base import SourceOfRoom
from tests.recorders.conftest import (
    TEN,
    Share,
    state_of,
)
from tests.recorders.folder.shares import (
    FOLDER,
    HOUR,
    NAME,
    collect,
    find,
    into,
    origins,
    reasons,
)


def test_the_share_is_away(share: Share) -> None:
    share.folder.rmdir()
    for call in (find, collect):
        with pytest.raises(Temporary, match="mount the share") as told:
            call(share)
        assert told.value.code == "source_away" and str(share.folder) in str(told.value)


def test_the_share_is_not_mounted_on_its_folder(share: Share) -> None:
    """An empty folder may be just that; a note says what it looks like."""
    found = find(share)
    assert found.items == () and found.more_expected
    assert [note.key for note in found.notes] == ["recorders.folder.nothing"]


def test_who_asked_for_another_day_is_told_what_is_nearest(share: Share) -> None:
    for name in ("2026-11-17_10-00", "2026-11-18_10-00", "2026-11-23_10-00", "2026-11-24_10-00"):
        share.put(f"{name}_504_camera.mp4")
    (note,) = find(share).notes
    assert str(note) == (
        f"{share.folder} has nothing from this time; the nearest files are"
        " 2026-11-18_10-00_504_camera.mp4 and 2026-11-23_10-00_504_camera.mp4"
    )
    share.put(NAME)
    assert find(share).notes == ()


def test_the_address_is_a_file(share: Share) -> None:
    share.address = str(share.put(NAME))
    with pytest.raises(Invalid, match="enter its folder"):
        find(share)


@pytest.mark.parametrize(
    "number,kind",
    [(errno.EIO, Temporary), (errno.ESTALE, Temporary), (errno.ETIMEDOUT, Temporary),
     (errno.EHOSTDOWN, Temporary), (errno.EACCES, Broken), (errno.EMFILE, Broken)],
)  # fmt: skip
def test_a_folder_that_cannot_be_read(share: Share, number: int, kind: type, monkeypatch) -> None:
    def iterdir(path: Path) -> Any:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(kind) as told:
        find(share)
    assert str(share.folder) in str(told.value)
    assert ("allow the user of this service to read it" in str(told.value)) == (
        number == errno.EACCES
    )


@pytest.mark.parametrize("number,kind", [(errno.EIO, Temporary), (errno.EACCES, Broken)])
def test_one_bad_file_does_not_stop_the_others(
    share: Share, number: int, kind: type, afar: None, monkeypatch
) -> None:
    bad = share.put(NAME)
    other = share.put("2026-11-20_10-30_504_camera.mp4")
    original = Path.open

    def opens(path: Path, *rest: Any, **more: Any) -> Any:
        if path == bad:
            raise OSError(number, os.strerror(number), str(path))
        return original(path, *rest, **more)

    monkeypatch.setattr(Path, "open", opens)
    assert [one.item.origin for one in collect(share)] == [other.name]
    other.unlink()
    with pytest.raises(kind, match=NAME):
        collect(share)
    assert [path for path in into(share).iterdir() if path.name.startswith(".")] == []


def test_a_file_that_may_not_be_read(share: Share, monkeypatch) -> None:
    share.put(NAME)
    monkeypatch.setattr("recorders.folder.examine.os.access", lambda path, how: False)
    found = find(share)
    assert found.items == () and found.more_expected
    assert reasons(found) == ["recorders.folder.no_permission"]


def test_our_own_folder_may_not_be_written_to(share: Share, monkeypatch) -> None:
    share.put(NAME)
    into(share).write_bytes(b"a file")
    with pytest.raises(Broken, match="choose another"):
        collect(share)
    into(share).unlink()
    monkeypatch.setattr(
        "merger.storage.files.os.access", lambda path, how: path == share.folder / NAME
    )
    with pytest.raises(Broken, match="is not writable; choose another"):
        collect(share)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_our_own_disk_is_full(share: Share, number: int, monkeypatch) -> None:
    def mkdir(path: Path, *_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number), str(path))

    share.put(NAME)
    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(Temporary, match="was full") as told:
        collect(share)
    assert told.value.code == "disk_full"


def test_hostile_names_do_no_harm(share: Share) -> None:
    share.put("2026-11-20_10-40_504_camera.mp4")
    share.put(".2026-11-20_10-00_504_camera.mp4")  # an upload of rsync
    (share.folder / "2026-11-20_10-01_504_camera.mp4").mkdir()
    os.mkfifo(share.folder / "2026-11-20_10-02_504_camera.mp4")
    loop = share.folder / "2026-11-20_10-03_504_camera.mp4"
    loop.symlink_to(loop)
    (share.folder / "2026-11-20_10-04_504_camera.mp4").symlink_to("/nowhere/at/all")
    (share.folder / "2026-11-20_10-05_504_camera.mp4").symlink_to("/dev/zero")
    for name in ("2026-11-20_10-06\n_504_camera.mp4", "2026-11-20_10-07_504_camera.mp4\n",
                 "2026-11-20_25-61_504_camera.mp4", "2026-02-30_10-00_504_camera.mp4",
                 "9999-12-31_23-59_504_camera.mp4", "٢٠٢٦-11-20_10-08_504_camera.mp4",
                 "-i.mp4", "'; rm -rf x #.mp4", "2026-11-20_10-09_504_camera.json.mp4"):  # fmt: skip
        share.put(name)
    Path(os.fsdecode(os.fsencode(share.folder) + b"/2026-11-20_10-10_\xff_504_camera.mp4")).touch()
    before = state_of(share.folder)
    found = find(share)
    assert origins(found) == ["2026-11-20_10-40_504_camera.mp4"] and found.notes == ()
    assert len(collect(share)) == 1
    changed = {name for name, was in state_of(share.folder).items() if was != before.get(name)}
    assert changed == set()


def test_a_link_to_media_is_followed(share: Share) -> None:
    real = share.put("real.bin")
    (share.folder / NAME).symlink_to(real)
    (one,) = collect(share)
    assert one.path.is_file() and not one.path.is_symlink() and one.path.read_bytes() == b"media"


@pytest.mark.parametrize(
    "part", ["a\nb_\tc", "😀" * 40 + "_x", "я" * 110 + "_x", "..._..", "$(x)_`y`", "a b_c: d"]
)
def test_what_is_brought_has_a_safe_name(share: Share, part: str) -> None:
    share.put(f"2026-11-20_10-00_{part}.mp4", start=TEN, length_s=3600)
    share.address = f"{share.folder}#{part}"
    (one,) = collect(share)
    name = one.path.name
    assert one.path.parent == into(share) and len(name.encode()) <= 255
    assert name.isprintable() and not set(name) & set("\n\t/:$`'\" ") and not name.startswith(".")
    assert read_sidecar(one.path)[0].start == TEN


def test_a_header_that_claims_a_thousand_years(share: Share, monkeypatch) -> None:
    header = Header("matroska", 10**17, has_pictures=True)
    monkeypatch.setattr("merger.isolation.reader.call", lambda *_: header)
    share.put(NAME, b"\x1a\x45\xdf\xa3")
    assert find(share).items[0].end is None


def test_a_source_is_all_that_is_asked(share: Share, clip_at: Callable[[datetime], bytes]) -> None:
    """The result follows from the files and `now`: nobody looks at a clock."""
    share.put(NAME, clip_at(TEN), changed=TEN)
    source: SourceOfRoom = share.source
    settled = [
        FOLDER.find(source, HOUR, TEN + timedelta(seconds=at)).items[0].settled for at in (59, 61)
    ]
    assert settled == [False, True]

"""Kind `folder`: what is brought is whole, and what it was when it was found."""

from __future__ import annotations

import dataclasses
import io
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from merger import failpoints
from merger.media.sidecar import read_sidecar
from recorders import base
from tests.recorders.conftest import (
    LONG_AGO,
    TEN,
    Share,
    digest,
    never,
    set_changed,
)
from tests.recorders.folder.shares import (
    FOLDER,
    HOUR,
    NAME,
    NOW,
    collect,
    into,
    minutes,
)


def test_on_one_file_system_nothing_is_copied(share: Share) -> None:
    path = share.put(NAME, start=TEN, length_s=3600)
    (one,) = collect(share)
    assert one.path.stat().st_ino == path.stat().st_ino
    assert read_sidecar(one.path) == read_sidecar(path)


def test_from_another_file_system_all_is_kept(share: Share, afar: None) -> None:
    data = os.urandom(3_000_000)
    path = share.put(NAME, data, start=TEN, length_s=3600, sha256=digest(data))
    (one,) = collect(share)
    ours, theirs = one.path.stat(), path.stat()
    assert ours.st_ino != theirs.st_ino
    assert (ours.st_size, ours.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns)
    assert one.path.read_bytes() == data
    assert read_sidecar(one.path) == read_sidecar(path)
    assert one.path.name.startswith("2026-11-20_10-00_504_camera~")


@pytest.mark.parametrize("how", ["linked", "copied"])
def test_changed_content_comes_under_another_name(share: Share, how: str, request) -> None:
    if how == "copied":
        request.getfixturevalue("afar")
    path = share.put(NAME)
    (first,) = collect(share)
    path.unlink()
    share.put(NAME, b"other", changed=LONG_AGO + timedelta(days=1))
    (second,) = collect(share)
    assert first.item.origin == second.item.origin
    assert first.item.fingerprint != second.item.fingerprint
    assert (first.path.read_bytes(), second.path.read_bytes()) == (b"media", b"other")


def test_a_link_shows_what_is_written_into_the_original(share: Share) -> None:
    """Then the first name is no longer what it was, and is brought anew should that come back."""
    path = share.put(NAME)
    (first,) = collect(share)
    with path.open("ab") as file:
        file.write(b" and more")
    set_changed(path, LONG_AGO + timedelta(days=1))
    (second,) = collect(share)
    assert second.path != first.path and second.path.read_bytes() == b"media and more"
    path.unlink()
    share.put(NAME)
    assert collect(share) == [first]
    assert first.path.read_bytes() == b"media"


def test_another_sidecar_is_another_placing(share: Share) -> None:
    path = share.put(NAME, start=TEN, length_s=3600)
    (first,) = collect(share)
    set_changed(path.with_suffix(".json"), LONG_AGO + timedelta(days=1))
    assert collect(share) == [first]  # only touched
    share.put(NAME, start=minutes(1), length_s=3600)
    (second,) = collect(share)
    assert second.path != first.path
    assert read_sidecar(second.path)[0].start == minutes(1)
    path.with_suffix(".json").unlink()
    (third,) = collect(share)
    assert third.path not in (first.path, second.path)
    assert not third.path.with_suffix(".json").exists()


def test_two_files_with_one_sidecar(share: Share) -> None:
    share.put(NAME, start=TEN, length_s=3600)
    share.put(NAME.replace("mp4", "mkv"), b"other")
    names = {one.path.with_suffix(".json").name for one in collect(share)}
    assert len(names) == 2 == len(list(into(share).glob("*.json")))


def test_two_sources_may_share_a_folder_for_what_is_brought(share: Share) -> None:
    share.put(NAME)
    other = dataclasses.replace(share.source, name="board", address=f"{share.folder}#504_camera")
    (one,) = collect(share)
    (two,) = FOLDER.collect(other, HOUR, into(share), NOW, never)
    assert one.path != two.path


@pytest.mark.parametrize("how", ["linked", "copied"])
def test_what_is_not_as_its_sidecar_says(share: Share, how: str, request) -> None:
    """It may be half uploaded; an hour later nothing better will come, and it is used as it is."""
    if how == "copied":
        request.getfixturevalue("afar")
    whole = b"media and more"
    changed = NOW - timedelta(minutes=59)
    share.put(NAME, b"media", start=TEN, sha256=digest(whole), changed=changed)
    assert collect(share) == []
    assert list(into(share).iterdir()) == []
    assert len(collect(share, now=NOW + timedelta(minutes=2))) == 1
    share.put(NAME, whole, start=TEN, sha256=digest(whole).upper(), changed=changed)
    assert len(collect(share)) == 1


def test_a_file_that_grows_while_it_is_copied(share: Share, afar: None, monkeypatch) -> None:
    monkeypatch.setattr(base, "BLOCK", 4)
    path = share.put(NAME, b"some media")
    share.put("2026-11-20_10-30_504_camera.mp4")

    def grows() -> bool:
        if list(into(share).glob(f".merge-work-*/{path.stem}*")):
            path.write_bytes(b"some media and more")
        return False

    assert [one.item.origin[11:16] for one in collect(share, cancelled=grows)] == ["10-30"]
    assert len(list(into(share).iterdir())) == 1


def test_a_copy_that_is_too_short(share: Share, afar: None, monkeypatch) -> None:
    """A share that says "end of file" in the middle has not changed the file."""
    path = share.put(NAME, b"some media")
    original = Path.open

    def opens(opened: Path, *rest: Any, **more: Any) -> Any:
        return io.BytesIO(b"some") if opened == path else original(opened, *rest, **more)

    monkeypatch.setattr(Path, "open", opens)
    assert collect(share) == []


@pytest.mark.parametrize("harm", ["media cut", "media gone", "sidecar gone"])
def test_what_was_harmed_is_brought_again(share: Share, afar: None, harm: str) -> None:
    share.put(NAME, start=TEN, length_s=3600)
    (first,) = collect(share)
    if harm == "media cut":
        first.path.write_bytes(b"med")
        set_changed(first.path, LONG_AGO)
    elif harm == "media gone":
        first.path.unlink()
    else:
        first.path.with_suffix(".json").unlink()
    assert collect(share) == [first]
    assert first.path.read_bytes() == b"media"
    assert read_sidecar(first.path)[0].start == TEN


def test_a_file_that_is_touched_while_it_is_copied(share: Share, afar: None) -> None:
    path = share.put(NAME)

    def touched() -> bool:
        os.utime(path, (5, 5))
        return False

    assert collect(share, cancelled=touched) == []


@pytest.mark.parametrize("how", ["linked", "copied"])
def test_a_file_that_vanishes(share: Share, how: str, request) -> None:
    if how == "copied":
        request.getfixturevalue("afar")
    path = share.put(NAME)

    def vanishes() -> bool:
        path.unlink(missing_ok=True)
        return False

    assert collect(share, cancelled=vanishes) == []
    share.put(NAME)
    share.put("2026-11-20_10-30_504_camera.mp4")
    assert [one.item.origin[11:16] for one in collect(share, cancelled=vanishes)] == ["10-30"]


def test_the_sidecar_is_there_before_the_media(share: Share, monkeypatch) -> None:
    seen: dict[str, set[str]] = {}

    def hook(name: str) -> None:
        seen[name] = {path.suffix for path in into(share).iterdir() if path.is_file()}

    monkeypatch.setattr(failpoints, "hook", hook)
    share.put(NAME, start=TEN, length_s=3600)
    collect(share)
    assert seen == {"recorder.copied": set(), "recorder.sidecar": {".json"}}

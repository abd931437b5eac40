"""Whether folders are there, and have room for what comes."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine

from merger.db.engine import writing
from merger.rooms import store
from merger.rooms.spec import RoomSpec, SourceSpec
from models import Record, Rendition
from tests.monitoring.checks.looking import (
    DAY,
    GB,
    add_record,
    looked,
    now,
)
from tests.support.databases import ON_SQLITE
from tests.support.selection import BOTH_DATABASES

pytestmark = BOTH_DATABASES


def test_little_space(lite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def usage(path: Path) -> Any:
        asked.append(path)
        return SimpleNamespace(free=5 * GB - 1)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    found = looked(tmp_path, lite)
    for what in ("cache folder (MERGER_CACHE)", "data folder (MERGER_DATA)"):
        assert found[what].level == "warning" and "5.0 GB free" in found[what].text
    # Of a folder that is not there yet, the disk that it will be on.
    assert sorted(asked) == [tmp_path, tmp_path / "data", tmp_path / "data"]


def test_folders_that_cannot_be_written_to(
    lite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = os.access

    def read_only(path: Path, mode: int) -> bool:  # as root, everything can be written to
        return access(path, mode) and not str(path).startswith(str(tmp_path / "data"))

    monkeypatch.setattr(os, "access", read_only)
    found = looked(tmp_path, lite)
    assert found["cache folder (MERGER_CACHE)"].level == "ok"
    for what in ("data folder (MERGER_DATA)", "output folder (MERGER_OUTPUT)"):
        assert found[what].level == "broken" and "is not writable" in found[what].text


def test_the_output_folder_must_be_there_when_it_is_named(lite: Engine, tmp_path: Path) -> None:
    what, share = "output folder (MERGER_OUTPUT)", tmp_path / "share"
    found = looked(tmp_path, lite, MERGER_OUTPUT=str(share))[what]
    assert found.level == "broken" and "mount it" in found.text
    share.mkdir()
    assert looked(tmp_path, lite, MERGER_OUTPUT=str(share))[what].level == "ok"
    (tmp_path / "file").touch()
    for name in ("file", "file/below"):
        found = looked(tmp_path, lite, MERGER_OUTPUT=str(tmp_path / name))[what]
        assert found.level == "broken"


def test_a_folder_that_cannot_be_made(lite: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").touch(0o777)
    for name, told in (("file", "is not a folder"), ("file/below", "is not writable")):
        found = looked(tmp_path, lite, MERGER_CACHE=str(tmp_path / name))
        assert found["cache folder (MERGER_CACHE)"].level == "broken"
        assert told in found["cache folder (MERGER_CACHE)"].text


def test_a_share_that_is_away(
    lite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: Path) -> Any:
        raise OSError(116, "Stale file handle", "/mnt/share")

    monkeypatch.setattr(shutil, "disk_usage", away)
    found = looked(tmp_path, lite)["data folder (MERGER_DATA)"]
    assert found.level == "broken" and "Stale file handle" in found.text


@ON_SQLITE
def test_a_folder_that_is_not_there(site: Engine, tmp_path: Path) -> None:
    lost = SourceSpec("camera", "speaker", "folder", "/srv/nowhere#504_camera")
    store.apply_rooms(site, [RoomSpec("505", "Europe/Moscow", sources=(lost,))])
    found = looked(tmp_path, site)["room '505'"]
    assert found.level == "warning" and "there is no folder /srv/nowhere" in found.text


@pytest.mark.parametrize(
    ("free_gb", "level", "told"),
    [
        (500, "ok", "495.0 GB free, enough for about 49 days (as in the last two weeks)"),
        (25, "warning", "20.0 GB free, enough for about 2 days (as in the last two weeks); free some"),
        (9000, "ok", "enough for more than a year"),
    ],
)  # fmt: skip
@ON_SQLITE
def test_for_how_many_days_the_disk_suffices(
    site: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_gb: int, level: str, told: str
) -> None:  # fmt: skip
    usage = SimpleNamespace(total=10_000 * GB, free=free_gb * GB)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    add_record(site, now() - 10 * DAY, {})
    video = Rendition(
        record_id=1, version=1, kind="merge", path="a", size_bytes=50 * GB, sha256="", frames=1,
        width=2, height=2, made_at=now() - 10 * DAY,
    )  # fmt: skip

    def add(session: Any) -> None:
        session.get_one(Record, 1).updated_at = now()
        session.add(video)

    writing(site, add)
    found = looked(tmp_path, site)["disk space (data)"]  # and in the output folder, on that disk
    assert found.level == level and told in found.text


@ON_SQLITE
def test_room_for_what_is_requested(
    site: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "nothing to estimate from" in looked(tmp_path, site)["disk space"].text
    usage = SimpleNamespace(total=1000 * GB, free=12 * GB)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    for n in range(6):
        add_record(site, now() + timedelta(hours=4 + n), None, "queued")
    found = looked(tmp_path, site)["disk space (data)"]
    assert found.level == "warning" and "as requested for the next three days" in found.text

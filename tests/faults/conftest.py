"""Services with one lecture, in which workers are to crash."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import Room, seconds
from tests.faults.crash_sites import (
    Build,
    furnished,
)
from tests.soak.service import BEGIN
from tests.support.aftermath import (
    digest,
)
from tests.support.databases import MariaDB
from tests.support.site import LENGTH_S, Site


@pytest.fixture(scope="module")
def filmed_for_crashes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with a lecture."""
    folder = tmp_path_factory.mktemp("filmed_for_crashes")
    room = Room(folder)
    for source in ("speaker", "screen"):
        path = room.film(source, 0, LENGTH_S, start=BEGIN, sound=source == "speaker")
        told = {"start": BEGIN.isoformat(), "sha256": digest(path)}
        path.with_suffix(".json").write_text(json.dumps(told))
        ended = (BEGIN + seconds(LENGTH_S)).timestamp()
        for one in (path, path.with_suffix(".json")):
            os.utime(one, (ended, ended))
    return folder


@pytest.fixture
def on_sqlite(tmp_path: Path, filmed_for_crashes: Path, upgraded_sqlite: Path) -> Iterator[Build]:
    """Makes services, each in a folder of its own."""
    with ExitStack() as stack:

        def build(name: str) -> Site:
            folder = tmp_path / name
            folder.mkdir()
            shutil.copyfile(upgraded_sqlite, folder / "database.sqlite")
            url = f"sqlite:///{folder / 'database.sqlite'}"
            site = furnished(folder, url, filmed_for_crashes)
            stack.callback(site.engine.dispose)
            return site

        yield build


@pytest.fixture
def on_mariadb(tmp_path: Path, filmed_for_crashes: Path, mariadb: MariaDB) -> Iterator[Build]:
    with ExitStack() as stack:

        def build(name: str) -> Site:
            folder = tmp_path / name
            folder.mkdir()
            url = mariadb.borrow()
            stack.callback(mariadb.give_back, url)
            site = furnished(folder, url, filmed_for_crashes)
            stack.callback(site.engine.dispose)
            return site

        yield build

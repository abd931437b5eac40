"""A machine on which all is well, and databases."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine

from merger.db.engine import connect
from merger.render import ffmpeg
from merger.rooms import store
from merger.rooms.spec import RoomSpec
from tests.monitoring.checks.looking import (
    CAMERA,
    GB,
)


@pytest.fixture(autouse=True)
def plenty_of_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large disk, whatever the one is that the tests run on."""
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: SimpleNamespace(total=1000 * GB, free=500 * GB)
    )


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A machine where only some encoders work: those in software, unless a test says otherwise."""

    def only(*working: str) -> None:
        def refusal(_: Any, encoder: Any) -> str | None:
            return None if encoder.name in working else "no such device"

        monkeypatch.setattr(ffmpeg, "why_refused", refusal)

    only("libx264", "libsvtav1")
    return only


@pytest.fixture
def site(engine: Engine) -> Engine:
    """A database with a room of which records can be made."""
    store.apply_rooms(engine, [RoomSpec("504", "Europe/Moscow", sources=(CAMERA,))])
    return engine


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Engine]:
    """A database without tables, where it is not in question."""
    engine = connect(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    yield engine
    engine.dispose()

"""A share that is uploaded to, and one filmed clip for it; the files' times are set, never waited for."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from merger.timeline.clock import Span
from recorders.base import SourceOfRoom
from recorders.testing.clock import plain
from tests.conftest import CARRIED
from tests.support import films

MOSCOW = ZoneInfo("Europe/Moscow")
TEN = datetime(2026, 11, 20, 10, 0, tzinfo=MOSCOW)  # when what is filmed begins
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
CLIP_S, RATE = 10, 5


def never() -> bool:
    return False


def span(from_s: float, until_s: float, start: datetime = TEN) -> Span:
    """Return some seconds after ten o'clock, or another start."""
    at = start.astimezone(UTC)
    return Span(at + timedelta(seconds=from_s), at + timedelta(seconds=until_s))


def set_changed(path: Path, at: datetime) -> None:
    ns = int(at.timestamp()) * 1_000_000_000 + 123_456_789
    os.utime(path, ns=(ns, ns))


def state_of(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return all that there is below a folder, and what shows when it was touched."""
    paths = {str(p.relative_to(folder)): p.lstat() for p in folder.rglob("*")}
    return {name: (s.st_ino, s.st_size, s.st_mtime_ns, s.st_mode) for name, s in paths.items()}


@dataclass
class Share:
    """A folder that somebody uploads to."""

    folder: Path
    zone: ZoneInfo = MOSCOW
    address: str = ""

    @property
    def source(self) -> SourceOfRoom:
        address = self.address or str(self.folder)
        return SourceOfRoom("504", "camera", "speaker", "folder", address, self.zone)

    def put(
        self,
        name: str,
        data: bytes = b"media",
        *,
        changed: datetime = LONG_AGO,
        start: datetime | None = None,
        length_s: float | None = None,
        sha256: str | None = None,
        sidecar: bytes | None = None,
    ) -> Path:
        """Upload a file, with a sidecar where something is said about it."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / name
        path.write_bytes(data)
        said: dict[str, Any] = {}
        if start is not None:
            said["start"] = start.isoformat()
        if start is not None and length_s is not None:
            said["end"] = (start + timedelta(seconds=length_s)).isoformat()
        if sha256 is not None:
            said["sha256"] = sha256
        if said or sidecar is not None:
            note = path.with_suffix(".json")
            note.write_bytes(json.dumps(said).encode() if sidecar is None else sidecar)
            set_changed(note, changed)
        set_changed(path, changed)
        return path


@pytest.fixture
def share(tmp_path: Path) -> Share:
    made = Share(tmp_path / "share")
    made.folder.mkdir()
    return made


@pytest.fixture
def afar(monkeypatch: pytest.MonkeyPatch) -> None:
    """The share is on another file system: its files cannot be linked."""

    def link(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", link)


@pytest.fixture(scope="session")
def clip_at(tmp_path_factory: pytest.TempPathFactory) -> Callable[[datetime], bytes]:
    """Ten seconds of a filmed clock, by the instant at which they begin."""
    filmed: dict[datetime, bytes] = {}

    def clip(start: datetime) -> bytes:
        if start not in filmed:
            path = tmp_path_factory.mktemp("clip") / "clip.mp4"
            films.film(
                CARRIED.path, path, start, timedelta(seconds=CLIP_S),
                ground=plain(320, 180), source=1, rate=Fraction(RATE), pitch_hz=440.0,
            )  # fmt: skip
            filmed[start] = path.read_bytes()
        return filmed[start]

    return clip


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

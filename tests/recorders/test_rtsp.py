"""Recording live sources from a real RTSP server. Its pictures carry the clock of this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from sqlalchemy import select

from merger.database import reading, writing
from merger.reader import read_media
from models import Event, Source
from models import Room as RoomRow
from recorders.recordings import RAW, finish_all, folder_of
from tests.databases import ON_SQLITE
from tests.recorders.cameras import Camera, camera
from tests.site import Site
from tests.truth import beep_onsets, clock_in, error_ms, sound_of
from tests.waiting import living, until

RECORDER = (sys.executable, "app.py", "recorder")
pytestmark = ON_SQLITE
FRAME_MS = 40


def add_room(site: Site, *sources: tuple[str, str, str | None]) -> None:
    """Add room 504 with cameras: name (and role), address, credentials."""

    def add(session: Any) -> None:
        row = RoomRow(name="504", zone="Europe/Moscow", chunk_s=10)
        row.sources = [
            Source(name=name, role=name, kind="rtsp", address=address, credentials=credentials)
            for name, address, credentials in sources
        ]
        session.add(row)

    writing(site.engine, add)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def live(site: Site) -> Site:
    """A service whose cameras may be on this machine."""
    site.environ["MERGER_ALLOW_LOCAL_CAMERAS"] = "yes"
    return site


def folder(site: Site, source: str = "speaker") -> Path:
    return folder_of(site.settings.recorded, "504", source)


def raw_bytes(site: Site, source: str = "speaker") -> int:
    return sum(path.stat().st_size for path in (folder(site, source) / RAW).glob("*.mkv"))


def finished(site: Site, source: str = "speaker") -> list[Path]:
    return sorted(folder(site, source).glob("*.mkv"))


@dataclass
class Recorded:
    """A finished file, and what it shows."""

    path: Path
    start: datetime
    end: datetime | None
    clock: str
    errors_ms: list[int]

    @property
    def frames(self) -> int:
        return len(self.errors_ms)


def looked_at(path: Path) -> Recorded:
    """Return by how many milliseconds the pictures of a file are not those of their instants."""
    said = json.loads(path.with_suffix(".json").read_text())
    start = datetime.fromisoformat(said["start"])
    zero_us = read_media(path).zero_us
    errors = []
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            plane = frame.planes[0]
            luma = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
            clock = clock_in(luma[:, : plane.width])
            assert clock is not None and frame.time is not None
            at = start + timedelta(microseconds=round(frame.time * 1e6) - zero_us)
            errors.append(error_ms(clock, at))
    end = datetime.fromisoformat(said["end"]) if said["end"] else None
    return Recorded(path, start, end, said["clock"], errors)


@contextmanager
def recorder(site: Site) -> Iterator[subprocess.Popen[bytes]]:
    with site.process(*RECORDER) as process:
        yield process


def ended(process: subprocess.Popen[bytes]) -> str:
    """Ask a process to stop; return what it said."""
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said.decode()
    return said.decode()


def ask(site: Site, from_s: float = -1, until_s: float = 3600) -> int:
    begin = now()
    return site.ask(start=begin + timedelta(seconds=from_s), end=begin + timedelta(seconds=until_s))


def test_a_booked_room_is_recorded_exactly(live: Site) -> None:
    with camera("--pitch", "440") as one:
        add_room(live, ("speaker", one.url, None))
        ask(live)
        with recorder(live) as process:
            until(lambda: raw_bytes(live) > 60_000)
            said = ended(process)
    [path] = finished(live)
    seen = looked_at(path)
    assert seen.clock == "camera", said
    assert seen.frames > 25 and max(map(abs, seen.errors_ms)) <= 1
    assert path.name.endswith("_504_speaker.mkv")
    assert not list((folder(live) / RAW).iterdir())
    onsets = beep_onsets(sound_of(path))
    zero = seen.start.timestamp() - read_media(path).zero_us / 1e6
    # FFmpeg's AAC encoder in the camera is 1024 samples late, at 16 kHz.
    late = [((zero + onset + 0.5) % 1 - 0.5) * 1000 - 64 for onset in onsets.tolist()]
    assert late and max(map(abs, late)) < 5
    assert not living(live.folder)

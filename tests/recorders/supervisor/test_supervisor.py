"""What the supervisor makes of what its processes say; they are played here, and no time passes."""

from __future__ import annotations

import errno
import logging
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from merger.i18n import Message, verbatim
from merger.live.bookings import Booking, Camera
from merger.network.addresses import Rules
from merger.ports.recorder import SourceOfRoom
from merger.timeline.clock import Span
from recorders.rtsp.wire import Arriving, ChildMessage, Ended, Job, Progress
from recorders.supervisor import live_source, tables
from recorders.supervisor.states import Waiting
from recorders.supervisor.supervisor import Supervisor, Wiring
from tests.recorders.conftest import MOSCOW, TEN

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@dataclass
class Child:
    """A process that does as it is told; one that has not said anything yet dies of it."""

    job: Job
    code: int | None = None
    messages: list[ChildMessage] = field(default_factory=list)
    is_up: bool = False

    @property
    def has_ended(self) -> bool:
        return self.code is not None

    def read_messages(self) -> list[ChildMessage]:
        messages, self.messages = self.messages, []
        return messages

    def read_complaints(self) -> list[str]:
        return []

    def stop(self) -> None:
        if self.code is None:
            self.code = 0 if self.is_up else -signal.SIGTERM

    def kill(self) -> None:
        self.code = -signal.SIGKILL

    def close(self) -> int:
        assert self.code is not None
        return self.code

    def sends(self, at: datetime, *, has_key: bool = True) -> None:
        self.is_up = True
        us = round(at.timestamp() * 1_000_000)
        self.messages.append(Progress(1000, us, us, us, "camera") if has_key else Arriving(1000))

    def ends(self, how: str) -> None:
        self.messages.append(Ended(how, verbatim(f"it is {how}")))
        self.code = 0 if how == "seen" else 1


@dataclass
class Idle:
    """Nothing is finished. folders: in which something was to be."""

    folders: list[Path] = field(default_factory=list)
    is_idle = True

    def add(self, folder: Path) -> None:
        self.folders.append(folder)

    def go_on(self) -> None:
        pass

    def kill(self) -> None:
        pass


@dataclass
class Scene:
    """A room with one camera. told: the records that were told something, and of what kind."""

    folder: Path
    bookings: list[Booking] = field(default_factory=list)
    children: list[Child] = field(default_factory=list)
    told: list[tuple[str, int]] = field(default_factory=list)
    beats: list[datetime] = field(default_factory=list)  # signs of life

    def __post_init__(self) -> None:
        source = SourceOfRoom("504", "camera", "speaker", "rtsp", "rtsp://10.0.5.4/", MOSCOW, id=1)
        self.camera = Camera(1, source, early=MINUTE, late=2 * MINUTE)
        self.cameras = [self.camera]
        around = Wiring(
            self.folder, lambda: self.cameras, lambda _: self.bookings, self.tell,
            lambda *_: None, lambda *_: None, write_heartbeat=lambda at: self.beats.append(at),
        )  # fmt: skip
        self.idle = Idle()
        self.recorder = Supervisor(around, cast(Any, self.idle))

    def tell(self, records: Iterable[int], at: datetime, kind: str, message: Message) -> None:
        self.told += [(kind, record) for record in records]

    def begun(self, job: Job) -> Child:
        self.children.append(Child(job))
        return self.children[-1]

    def tick(self, at: datetime) -> Child:
        """Have it hear, and do what there is to do, without a pause; return the last process."""
        self.recorder.tick(at)
        for live in self.recorder.sources.values():
            if isinstance(live.state.phase, Waiting):
                live.state = replace(live.state, phase=Waiting())
        self.recorder.tick(at)
        return self.children[-1]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene(tmp_path)
    monkeypatch.setattr(live_source, "Child", made.begun)
    monkeypatch.setattr(tables, "_READ_EVERY_S", 0.0)
    return made


def booked(record: int, begin: datetime = TEN) -> Booking:
    return Booking(record, "504", Span(begin, begin + HOUR))


def test_it_gives_a_sign_of_life_though_nothing_is_booked(scene: Scene) -> None:
    scene.recorder.tick(TEN)
    scene.recorder.tick(TEN)  # at once again: the table is spared
    assert scene.beats == [TEN]


def test_a_booking_that_runs_out_is_over(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.bookings = [booked(7)]
    scene.tick(TEN).sends(TEN)
    over = TEN + HOUR + 2 * MINUTE
    for n in range(4):
        scene.tick(over + timedelta(seconds=n))
    assert len(scene.children) == 1 and scene.children[0].code == 0
    assert scene.recorder.sources == {} and scene.told == []
    assert [line for line in caplog.records if line.levelno >= logging.WARNING] == []


def test_a_camera_that_was_there_before_addresses_were_told_apart(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be where it is, and another one may not be beside it."""
    scene.cameras = [
        replace(scene.camera, id=n, source=replace(scene.camera.source, id=n, address=address))
        for n, address in enumerate(("rtsp://[fd00::4]/", "rtsp://[fd00::5]/", "rtsp://10.0.5.4/"))
    ]
    rules = Rules("cameras", earlier=frozenset(("fd00::4",)))
    scene.recorder = Supervisor(replace(scene.recorder.wiring, rules=rules), cast(Any, scene.idle))
    scene.bookings = [booked(7)]
    scene.tick(TEN)
    allowed = {child.job.url: "fc00::/7" in child.job.allowed for child in scene.children}
    assert allowed == {"rtsp://[fd00::4]/": True, "rtsp://10.0.5.4/": False}
    assert "MERGER_ALLOWED_NETWORKS as cameras=fd00::5" in caplog.text


def test_one_that_is_cancelled_at_once(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """The process that was just started dies of being asked to stop: nobody wants to know."""
    scene.bookings = [booked(7)]
    scene.tick(TEN)
    scene.bookings = []
    for n in range(4):
        scene.tick(TEN + timedelta(seconds=n))
    assert [child.code for child in scene.children] == [-signal.SIGTERM]
    assert scene.recorder.sources == {} and scene.told == []
    assert [line for line in caplog.records if line.levelno >= logging.WARNING] == []


def test_no_more_files_can_be_opened(
    scene: Scene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source that cannot be begun does not keep the others from being heard."""
    scene.bookings = [booked(7)]
    child = scene.tick(TEN)
    other = replace(scene.camera, id=2, source=replace(scene.camera.source, name="board", id=2))
    scene.cameras.append(other)
    original = os.open

    def opens(path: Any, *rest: Any, **more: Any) -> int:
        if Path(path).name == "lock":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return original(path, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", opens)
        child.sends(TEN)
        for n in range(3):
            scene.tick(TEN + timedelta(seconds=n))
        assert child.messages == [] and len(scene.children) == 1
        assert len([line for line in caplog.records if "board" in line.message]) == 1
    scene.tick(TEN + timedelta(seconds=3))
    assert [one.job.source for one in scene.children] == ["camera", "board"]


def test_the_folder_for_recordings_is_not_there_yet(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.folder.rmdir()
    scene.folder.touch()
    scene.bookings = [booked(7)]
    for n in range(3):
        scene.recorder.tick(TEN + timedelta(seconds=n))
    assert scene.children == []
    assert len([line for line in caplog.records if line.levelno == logging.ERROR]) == 1
    scene.folder.unlink()
    left = scene.folder / "2" / "raw" / "left.mkv"
    left.parent.mkdir(parents=True)
    left.touch()
    scene.tick(TEN + timedelta(seconds=3)).sends(TEN)
    assert len(scene.children) == 1 and scene.idle.folders == [scene.folder / "2"]


def test_a_camera_that_was_silent_once_and_is_recorded_now(scene: Scene) -> None:
    """What is known of the first lecture says nothing about the next."""
    scene.bookings = [booked(7)]
    soon = TEN - 8 * MINUTE
    for _ in range(2):
        scene.tick(soon).ends("away")
    scene.tick(soon)
    assert scene.told == [("silent", 7)]
    begins = TEN - MINUTE
    scene.tick(begins).sends(begins)
    scene.tick(begins)
    scene.bookings.append(booked(8, TEN + HOUR))
    child = scene.tick(TEN + 50 * MINUTE)  # it has said nothing new since a moment ago
    assert not child.job.look and not child.has_ended
    assert scene.told == [("silent", 7)]


def test_what_comes_before_the_first_key_frame_is_no_media_yet(scene: Scene) -> None:
    """A camera that joins in between two of them is waited for, and the outage goes on."""
    scene.bookings = [booked(7)]
    scene.tick(TEN).sends(TEN)
    scene.tick(TEN).ends("away")
    scene.tick(TEN)
    later = TEN + timedelta(seconds=20)
    scene.tick(later).sends(later, has_key=False)
    child = scene.tick(later)
    assert not child.has_ended and scene.told == [] and len(scene.children) == 2
    child.sends(later)
    assert scene.tick(later) is child and scene.told == [("outage", 7)]


def test_two_looks_in_a_row_are_silence(scene: Scene) -> None:
    scene.bookings = [booked(7)]
    soon = TEN - 8 * MINUTE
    scene.tick(soon).ends("away")
    scene.tick(soon).ends("seen")
    scene.tick(soon)
    scene.bookings.append(booked(8, TEN + MINUTE))
    scene.tick(soon).ends("away")
    last = scene.tick(soon)
    assert scene.told == [] and len(scene.children) == 4
    last.ends("away")
    scene.tick(soon)
    assert scene.told == [("silent", 8)]

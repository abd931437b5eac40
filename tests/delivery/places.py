"""Places that videos are sent to, of every kind of destination, and sending there step by step.

A place is a destination and what people see of it from outside; the suite knows nothing else.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

from google_apis.auth import credentials_from
from google_apis.drive.destination import DriveDestination
from google_apis.drive.folders import Folders
from google_apis.http import Google as Client
from merger import failpoints
from merger.delivery.folder import FolderDestination
from merger.ports.destination import Destination, Fence, Upload
from tests.fakes.google import SUBJECT, Google, google_served
from tests.fakes.google_drive import FOLDER
from tests.google_apis.sending import Memory

# More than one block of a folder's copy, and of any upload in pieces.
MANY = 9 * 1024 * 1024
NAME = "Лекция 1_504_2026-11-20_10-00-11-20.mp4"


class Place(Protocol):
    """A destination of one kind, seen by those who fetch videos there."""

    destination: Destination
    away_says: str  # what the error says of one that is not there
    owns_names: bool  # two files cannot have one name

    def contents(self) -> Mapping[str, bytes]:
        """What people see."""

    def left_over(self) -> list[str]:
        """What lies there that nobody should have to see."""

    def mark(self, name: str) -> object:
        """Another one whenever the content is written."""

    def put(self, name: str, data: bytes) -> None:
        """Somebody else puts a file there."""

    def watch(self, name: str) -> Callable[[], bytes]:
        """Begin to read, as a player does; return what reads to the end."""

    def damage(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """From now on, what is sent arrives with a wrong bit."""

    def away(self) -> Destination:
        """A destination like this that is not there for now."""

    def come_back(self) -> Place:
        """That one, there again."""


@dataclass
class FolderPlace:
    folder: Path
    destination: Destination = field(init=False)
    away_says: str = "mount it"
    owns_names: bool = True

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.destination = FolderDestination(self.folder, is_ours=False)

    def contents(self) -> dict[str, bytes]:
        files = [path for path in self.folder.iterdir() if not path.name.startswith(".")]
        return {path.name: path.read_bytes() for path in files}

    def left_over(self) -> list[str]:
        return [p.name for p in self.folder.iterdir() if p.is_dir() or p.name.startswith(".")]

    def mark(self, name: str) -> object:
        status = (self.folder / name).stat()
        return status.st_ino, status.st_mtime_ns, status.st_ctime_ns

    def put(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)

    def watch(self, name: str) -> Callable[[], bytes]:
        file = (self.folder / name).open("rb")
        first = file.read(1000)

        def rest() -> bytes:
            with file:
                return first + file.read()

        return rest

    def damage(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def flip(place: str) -> None:
            if place == "folder.copied":
                [copy] = self.folder.glob(".*/copy")
                with copy.open("r+b") as file:
                    file.seek(MANY // 2)
                    byte = file.read(1)[0]
                    file.seek(MANY // 2)
                    file.write(bytes([byte ^ 1]))

        monkeypatch.setattr(failpoints, "hook", flip)

    def away(self) -> Destination:
        return FolderDestination(self.folder / "share" / "not mounted", is_ours=False)

    def come_back(self) -> FolderPlace:
        return FolderPlace(self.folder / "share" / "not mounted")


@dataclass
class DrivePlace:
    google: Google
    path: Path
    destination: Destination = field(init=False)
    away_says: str = "cannot be reached"
    owns_names: bool = False

    def __post_init__(self) -> None:
        self.destination = self._to(self.google.address)

    def _to(self, address: str) -> DriveDestination:
        credentials = credentials_from(self.google.credentials_file(self.path), SUBJECT)
        client = Client(credentials, address, pause=lambda seconds: None)
        return DriveDestination(client, Folders(client, Memory()))

    def _files(self) -> list[dict[str, Any]]:
        files = self.google.drive.files.values()
        return [one for one in files if not one["trashed"] and one["mimeType"] != FOLDER]

    def contents(self) -> dict[str, bytes]:
        with self.google.lock:
            content = self.google.drive.content
            return {one["name"]: content[one["id"]] for one in self._files()}

    def left_over(self) -> list[str]:
        return [one["name"] for one in self._files() if one["name"].endswith(".part")]

    def mark(self, name: str) -> object:
        return id(self.contents()[name])

    def put(self, name: str, data: bytes) -> None:
        self.google.drive.put(name, data, self.google.drive.root(SUBJECT), SUBJECT)

    def watch(self, name: str) -> Callable[[], bytes]:
        data = self.contents()[name]
        return lambda: data

    def damage(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(self.google.drive, "damages", True)

    def away(self) -> Destination:
        return self._to("http://127.0.0.1:9")

    def come_back(self) -> DrivePlace:
        return self


KINDS: dict[str, Callable[[Path, ExitStack], Place]] = {
    "folder": lambda path, _: FolderPlace(path / "videos"),
    "drive": lambda path, serving: DrivePlace(serving.enter_context(google_served()), path),
}


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as serving:
        yield KINDS[request.param](tmp_path, serving)


class Crash(Exception):
    """The program ends here, as far as the destination is concerned."""


@dataclass
class Sending:
    """A destination being sent to, with all that it says on its way, and what it had kept."""

    destination: Destination
    crash_at: int = -1  # the step at which it crashes
    on_step: Callable[[str], None] = lambda step: None
    state: Mapping[str, Any] = field(default_factory=dict)
    attempt: int = 1
    steps: list[str] = field(default_factory=list)

    def step(self, name: str) -> None:
        self.steps.append(name)
        self.on_step(name)
        if len(self.steps) - 1 == self.crash_at:
            raise Crash(name)

    def send(self, parcel: Upload) -> str:
        def keep(state: Mapping[str, Any]) -> None:
            self.step("before keep")
            self.state = dict(state)
            self.step("after keep")

        def check() -> None:
            self.step("check")

        def confirm() -> None:
            self.step("before confirm")
            self.step("after confirm")

        return self.destination.send(parcel, self.state, Fence(keep, check, confirm, self.attempt))


@pytest.fixture
def hooked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sending], Sending]:
    """Make the failpoints of a destination steps of a sending."""

    def hook(sending: Sending) -> Sending:
        monkeypatch.setattr(failpoints, "hook", sending.step)
        return sending

    return hook


def parcel_of(path: Path, data: bytes, name: str = NAME, version: int = 1) -> Upload:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    return Upload(version, "merge", name, path, len(data), digest)


@pytest.fixture
def parcel(tmp_path: Path) -> Upload:
    return parcel_of(tmp_path / "made" / "merge.mp4", os.urandom(MANY))


@pytest.fixture
def next_version(tmp_path: Path) -> Upload:
    return parcel_of(tmp_path / "made" / "merge-2.mp4", os.urandom(MANY), version=2)


def check_only(place: Place, *parcels: Upload) -> None:
    """These are there, whole, and nothing else at all."""
    assert place.contents() == {one.name: one.path.read_bytes() for one in parcels}
    assert place.left_over() == []

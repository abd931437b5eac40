"""A whole service in a folder: database, library, data, output, and a clock that tests move."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import joinedload, undefer

import app
from merger.config import Settings, load
from merger.db.engine import connect, reading, writing
from merger.delivery.folder import FolderDestination
from merger.ports.recorder import Recorder
from merger.records import requests, views
from merger.records.processing import queue
from merger.records.processing.leases import Lease
from merger.records.processing.queue import Claim
from merger.service import Service
from merger.timeline.clock import utc
from merger.worker.run import run_record
from models import Record, Source
from models import Room as RoomRow
from recorders.registry import EXAMPLES, kinds, recorder_of
from tests.conftest import CARRIED, START, Room, seconds

ROOT = Path(__file__).parents[2]
LENGTH_S = 6.0
# Processes of the service merge into a small canvas, and read no words.
CHEAP_MERGES = {
    "PYTHONPATH": f"{ROOT / 'tests/support/small_canvas'}{os.pathsep}{ROOT}",
    "MERGER_READ_WORDS": "no",
}


@dataclass
class Site:
    """A service. clock: what time it is; starts when everything is long settled."""

    folder: Path
    url: str
    environ: dict[str, str] = field(default_factory=dict)
    clock: datetime = field(default_factory=lambda: utc(START + timedelta(hours=5)))
    recorder_of: Callable[[str], Recorder] = partial(recorder_of, kinds())

    def __post_init__(self) -> None:
        self.engine: Engine = connect(self.url)

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a process of this service."""
        return {
            "SQLALCHEMY_DATABASE_URI": self.url,
            "MERGER_DATA": str(self.folder / "data"),
            "MERGER_CACHE": str(self.folder / "cache"),
            "MERGER_ENCODER": "software",
            "MERGER_FFMPEG": CARRIED.path,
            "MERGER_POLL": "0.2",
            "MERGER_ACCESS": "open",  # tests/records/access/ and others ask
            **CHEAP_MERGES,
            **self.environ,
        }

    @property
    def settings(self) -> Settings:
        return load(self.variables)

    @property
    def merged(self) -> Path:
        """The folder that videos are delivered to."""
        return self.settings.destination

    @property
    def service(self) -> Service:
        settings = self.settings
        destination = FolderDestination(settings.destination, is_ours=settings.output is None)
        return Service(
            self.engine, settings, self.recorder_of, (destination,), lambda: self.clock,
            kinds=EXAMPLES,
        )  # fmt: skip

    def library(self, room: str = "504") -> Room:
        """Return the folder that the recorders of a room film into."""
        return Room(self.folder / f"room-{room}")

    def film(
        self,
        source: str,
        at_s: float = 0.0,
        length_s: float = LENGTH_S,
        room: str = "504",
        **options: Any,
    ) -> Path:
        """Film a source of a room; the file was last written when its filming ended."""
        path = self.library(room).film(source, at_s, length_s, **options)
        ended = (START + seconds(at_s + length_s)).timestamp()
        os.utime(path, (ended, ended))
        return path

    def add_room(
        self, name: str = "504", roles: tuple[str, ...] = ("speaker", "screen"), **changes: Any
    ) -> None:
        """Add a room whose sources are folders of files named for room 504, by their roles."""
        library = self.library(name).library
        library.mkdir(parents=True, exist_ok=True)
        values = {"name": name, "zone": "Europe/Moscow", "chunk_s": 10, **changes}

        def add(session: Any) -> None:
            row = RoomRow(**values)
            row.sources = [
                Source(name=role, role=role, kind="folder", address=f"{library}#504_{role}")
                for role in roles
            ]
            session.add(row)

        writing(self.engine, add)

    def ask(self, until_s: float = LENGTH_S, from_s: float = 0.0, **changes: Any) -> int:
        """Ask for a record and return its id."""
        values: dict[str, Any] = {
            "room": "504", "start": utc(START + seconds(from_s)), "end": utc(START + seconds(until_s)),
            "name": "Lecture", "profile": "tiny", **changes,
        }  # fmt: skip
        # Asked for before it took place.
        return requests.request_record(self.engine, requests.Request(**values), utc(START))[0]

    def claim(self, worker: str = "tests") -> Claim | None:
        return queue.claim_next(self.engine, worker, self.clock, self.settings.lease)

    def lease(self, claim: Claim) -> Lease:
        """Return what the holder of a claim may do."""
        return Lease(self.engine, claim, lambda: self.clock)

    def work(self) -> str | None:
        """Claim the next record and work on it in this process; return what became of it."""
        held = self.claim()
        return None if held is None else run_record(self.service, held, lambda: False)

    def row(self, record: int = 1) -> Record:
        """Return the row of a record, for reading."""
        with reading(self.engine) as session:
            row = session.get_one(
                Record,
                record,
                options=[undefer(Record.delivered_as), joinedload(Record.event_link)],
            )
            session.expunge(row)
            return row

    def details(self, record: int = 1) -> Mapping[str, Any]:
        return views.record_details(self.engine, record)

    def events(self, record: int = 1) -> list[str]:
        """Return the kinds of what happened to a record."""
        return [event["kind"] for event in self.details(record)["events"]]

    def count(self, status: str) -> int:
        with reading(self.engine) as session:
            return session.scalar(select(func.count()).where(Record.status == status)) or 0

    def command(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command of the product to its end."""
        return subprocess.run(
            [sys.executable, "app.py", *arguments], cwd=ROOT, text=True, capture_output=True,
            env={**os.environ, **self.variables}, check=False, **options,
        )  # fmt: skip

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the product in this process, which saves it the second of its start."""
        return run_here(self.variables, *arguments)

    def said(self, *arguments: str) -> Any:
        """Run a command with --json and return what it printed."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @contextmanager
    def process(self, *command: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start a process of this service; it is killed in the end, if it still lives."""
        child = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **self.variables}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield child
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGCONT)
                child.kill()
            assert child.stdout is not None
            child.stdout.close()
            child.wait()


def run_here(variables: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the product in this process, with some variables of its environment."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in variables.items():
            patch.setenv(name, value)
        try:
            code = app.main(arguments)
        except SystemExit as end:  # arguments that make no sense
            code = int(end.code or 0)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@pytest.fixture
def site(tmp_path: Path, engine: Engine) -> Iterator[Site]:
    """A service on either database."""
    made = Site(tmp_path, engine.url.render_as_string(hide_password=False))
    yield made
    made.engine.dispose()

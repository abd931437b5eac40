"""A service with one lecture, workers of it that crash, and what they leave."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from merger.db.engine import reading
from merger.records import requests
from merger.records.processing import queue
from merger.timeline.clock import utc
from models import Rendition
from tests.conftest import seconds
from tests.faults import crashing as crashing_worker
from tests.soak.service import BEGIN
from tests.support.aftermath import (
    check_delivered,
    check_only,
    deliveries,
    files,
    rows,
    work_folders,
)
from tests.support.site import LENGTH_S, ROOT, Site
from tests.support.waiting import DEADLINE_S, status_of, until


def furnished(folder: Path, url: str, filmed: Path) -> Site:
    """Return a service that was asked for the lecture."""
    # A stopped worker keeps its turn to encode: there is one for another.
    site = Site(folder, url, {"MERGER_PARALLEL": "2"}, datetime.now(UTC))
    site.add_room(chunk_s=1800)
    shutil.copytree(filmed / "library", site.library().library, dirs_exist_ok=True)
    assert ask(site) == 1
    return site


def ask(site: Site, from_s: float = 0.0) -> int:
    start, end = (utc(BEGIN + seconds(at_s)) for at_s in (from_s, LENGTH_S))
    request = requests.Request("504", start, end, name="Lecture", profile="tiny")
    return requests.request_record(site.engine, request, utc(BEGIN))[0]


Build = Callable[[str], Site]


# What a worker imports takes longer than its work here, so workers are forked from a process that
# has imported it. Nothing runs in there that a fork could lose: neither threads nor connections.
_WARM = multiprocessing.get_context("forkserver")
_PACKAGES = {"app", "commands", "google_apis", "merger", "models", "recorders"}


class Child:
    """A worker process, which writes all that it says to a file."""

    def __init__(self, folder: Path, environ: Mapping[str, str], arguments: Sequence[str]) -> None:
        _WARM.set_forkserver_preload(
            [crashing_worker.__name__, *(n for n in sys.modules if n.split(".")[0] in _PACKAGES)]
        )
        self._log = folder / "worker.log"
        environ = {**os.environ, **environ}
        self._process = _WARM.Process(target=_work, args=(self._log, environ, arguments))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def said(self) -> str:
        """Return what it said, once it has ended."""
        self._process.join(DEADLINE_S)
        assert self.returncode is not None, "it does not end"
        return self._log.read_text()

    def end(self) -> None:
        """Kill it, if it still lives."""
        self._process.kill()
        self._process.join()


def _work(log: Path, environ: Mapping[str, str], arguments: Sequence[str]) -> None:
    """Be a worker process as the daemon starts it."""
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environ)
    into = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(into, sys.__stdout__.fileno())  # type: ignore[union-attr]
    os.dup2(into, sys.__stderr__.fileno())  # type: ignore[union-attr]
    sys.argv[1:] = arguments
    sys.exit(crashing_worker.main())


@dataclass
class Crash:
    """A worker process that is to crash at a place while it works on a record."""

    site: Site
    place: str
    child: Child

    def said(self) -> str:
        """Return what it said, once it has ended."""
        return self.child.said()

    def await_stopped(self) -> None:
        """Wait until it is stopped; it may end instead, which is wrong."""
        until(lambda: self._is_stopped() or self.child.returncode is not None)
        assert self._is_stopped(), self.said()

    def _is_stopped(self) -> bool:
        return status_of(self.child.pid, "State").startswith("T")

    def check_harmless(self) -> None:
        """Let a stopped worker go on that is too late: it ends by itself and changes nothing."""
        known, there = rows(self.site), files(self.site.settings.data)
        self.child.send_signal(signal.SIGCONT)
        said = self.said()
        assert self.child.returncode == 0, said
        assert f"record 1: {'delivered' if self.place == 'completed' else 'lost'}" in said
        assert files(self.site.settings.data) == there
        assert rows(self.site) == known
        assert work_folders(self.site) == []


@contextmanager
def crashing(site: Site, place: str, what: str, when: int = 1) -> Iterator[Crash]:
    """Start a worker on the next record."""
    held = site.claim()
    assert held is not None
    claimed = (str(held.record), str(held.attempt), held.worker)
    child = Child(site.folder, site.variables, (place, what, str(when), *claimed))
    try:
        yield Crash(site, place, child)
    finally:
        child.end()


@dataclass
class Left:
    """What was there already when a worker crashed, and is not to be made a second time."""

    site: Site
    renditions: set[Path]
    files: dict[Path, int]

    def check_kept(self) -> None:
        """Nothing that was finished was encoded, joined or published again."""
        assert {path: path.stat().st_ino for path in self.files} == self.files
        if self.renditions and self.site.row().version == 1:
            assert renditions_of(self.site, 1) == self.renditions


def renditions_of(site: Site, version: int) -> set[Path]:
    """Return the finished files of a version that rows know."""
    with reading(site.engine) as session:
        wanted = (Rendition.record_id == 1, Rendition.version == version)
        paths = session.scalars(select(Rendition.path).where(*wanted)).all()
    return {site.settings.data / path for path in paths if path}


def left_by_a_crash(site: Site, version: int = 1) -> Left:
    """Remember the finished parts, the videos that rows know, and those that people can see."""
    renditions = renditions_of(site, version)
    earlier = {
        d.name
        for d in deliveries(site, 1).values()
        if d.status == "delivered" and d.version != version
    }
    paths = [
        *site.settings.cache.glob("??/*.m??"),
        *renditions,
        *(path for path in site.merged.glob("[!.]*") if path.name not in earlier),
    ]
    return Left(site, renditions, {path: path.stat().st_ino for path in paths})


def take_over(site: Site) -> None:
    """Have another worker do what is left to be done, once nobody holds the record any more."""
    row = site.row()
    if row.status == "running":
        assert row.lease_until is not None
        site.clock = row.lease_until + timedelta(seconds=1)
        assert queue.take_back_lost(site.engine, site.clock) == [1]
        assert site.work() == "delivered"


def check(site: Site, **changes: Any) -> None:
    check_delivered(site, 1, BEGIN, LENGTH_S, **changes)
    check_only(site, site.clock)
    told = site.events()
    # One line for each rendition of each version, however often it was tried.
    assert told.count("sent") == {1: 2, 2: 3}[site.row().version]

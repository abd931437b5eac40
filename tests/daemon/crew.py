"""A daemon with made-up workers, and a clock that only pauses move."""

from __future__ import annotations

import datetime as real
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import schedule
from sqlalchemy import Engine, text

from merger.config import load
from merger.daemon.daemon import Daemon
from merger.daemon.loop import Signals
from merger.daemon.processes import Exit
from merger.delivery import ledger
from merger.records.browse import lists
from merger.records.processing.queue import Claim
from merger.service import Service
from recorders.registry import kinds, recorder_of
from tests.support.line import LEASE, Line

CLEAN, KILLED = Exit(0), Exit(-signal.SIGKILL)
SECOND = timedelta(seconds=1)
POLL = 10 * SECOND
BERLIN = ZoneInfo("Europe/Berlin")
WORKERS = 3


@dataclass
class Hand:
    """A worker that a test ends."""

    held: Claim
    how: Exit | None = None
    asked: int = 0
    killed: bool = False

    def poll(self) -> Exit | None:
        return self.how

    def stop(self) -> None:
        self.asked += 1

    def kill(self) -> None:
        self.killed = True
        self.how = KILLED


@dataclass
class Crew:
    """A daemon with workers that a test ends, and a clock that only pauses move."""

    line: Line
    folder: Path
    hands: list[Hand] = field(default_factory=list)
    pauses: int = 0
    asked: int = 0
    zone: ZoneInfo = BERLIN
    on_pause: Callable[[], object] = lambda: None
    on_start: Callable[[Hand], object] = lambda hand: None
    houses: list[Hand] = field(default_factory=list)
    houses_end: bool = True  # at once

    def __post_init__(self) -> None:
        url = self.line.engine.url.render_as_string(hide_password=False)
        settings = load(
            {
                "SQLALCHEMY_DATABASE_URI": url, "MERGER_DATA": str(self.folder / "data"),
                "MERGER_CACHE": str(self.folder / "cache"), "MERGER_WORKERS": str(WORKERS),
                "MERGER_POLL": str(POLL.total_seconds()), "MERGER_LEASE": str(LEASE.total_seconds()),
            }
        )  # fmt: skip
        recorders = partial(recorder_of, kinds())
        service = Service(self.line.engine, settings, recorders, (), lambda: self.line.clock)
        self.daemon = Daemon(
            service, self.start, self.start_house, "daemon-1", lambda: self.check_machine()
        )
        self.signals = Signals(lambda: self.asked, self.pause)

    def start(self, held: Claim) -> Hand:
        hand = Hand(held)
        self.hands.append(hand)
        self.on_start(hand)
        return hand

    def start_house(self) -> Hand:
        hand = Hand(Claim(0, 0, "house"), CLEAN if self.houses_end else None)
        self.houses.append(hand)
        return hand

    def check_machine(self) -> None:
        """Everything is as it should be."""

    def pause(self, seconds: float) -> None:
        self.pauses += 1
        assert self.pauses < 100_000, "the daemon does not end"
        self.line.clock += timedelta(seconds=seconds)
        self.on_pause()

    def look(self) -> int:
        return self.daemon.look(self.line.clock)

    def reap(self) -> int:
        return self.daemon.reap(self.line.clock)

    def deliver(self, hand: Hand) -> None:
        ledger.complete_record(self.line.lease(hand.held), None, 0)
        hand.how = CLEAN

    def working(self) -> list[int]:
        """Return which records are worked on, as the database says and as the daemon knows."""
        known = sorted(held.record for held in self.daemon.running)
        found = lists.list_records(self.line.engine, status="running")
        assert [record["id"] for record in found] == known
        return known


@pytest.fixture
def crew(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Crew:
    """A daemon of three workers, at noon, whose library for schedules goes by its clock."""
    line = Line(engine)
    line.room("504")
    made = Crew(line, tmp_path)

    class Now(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            assert tz is None
            return made.line.clock.astimezone(made.zone).replace(tzinfo=None)

    patched = SimpleNamespace(datetime=Now, timedelta=real.timedelta, time=real.time)
    monkeypatch.setattr(schedule, "datetime", patched)
    return made


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[str], list[str]]:
    """What was logged at a level."""
    caplog.set_level(logging.INFO)
    return lambda level: [r.getMessage() for r in caplog.records if r.levelname == level]


def prolong(crew: Crew, record: int = 1) -> None:
    held = next(held for held in crew.daemon.running if held.record == record)
    crew.line.lease(held).renew(LEASE)


def away(engine: Engine, is_away: bool) -> None:
    """Take a table away, or bring it back."""
    names = ("records", "elsewhere") if is_away else ("elsewhere", "records")
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE {} RENAME TO {}".format(*names)))

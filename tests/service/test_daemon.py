"""The daemon: what it starts, what it takes back, and how it ends. Its workers are made up, but for the last."""

from __future__ import annotations

import datetime as real
import gc
import logging
import os
import signal
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
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

from merger import daemon as daemon_module
from merger import ledger, queue, record_views
from merger.children import Worker, starter
from merger.config import load
from merger.daemon import HOUSEKEEPING, Daemon, Signals, run, run_once
from merger.errors import Broken, Temporary
from merger.queue import Claim
from merger.retry import MOST_DIED, delay
from merger.task import Service
from recorders.kinds import kinds, recorder_of
from tests.databases import ON_MARIADB, ON_SQLITE, MariaDB
from tests.line import HOUR, LEASE, MINUTE, NOON, Line, claims, fill
from tests.site import ROOT
from tests.waiting import status_of, until

SECOND = timedelta(seconds=1)
POLL = 10 * SECOND
BERLIN = ZoneInfo("Europe/Berlin")
WORKERS = 3


@dataclass
class Hand:
    """A worker that a test ends."""

    held: Claim
    how: str | None = None
    asked: int = 0
    killed: bool = False

    def ended(self) -> str | None:
        return self.how

    def stop(self) -> None:
        self.asked += 1

    def kill(self) -> None:
        self.killed = True
        self.how = "its process was ended by SIGKILL"


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
        hand = Hand(Claim(0, 0, "house"), "" if self.houses_end else None)
        self.houses.append(hand)
        return hand

    def check_machine(self) -> None:
        """Everything is as it should be."""

    def pause(self, seconds: float) -> None:
        self.pauses += 1
        assert self.pauses < 100_000, "the daemon does not end"
        self.line.clock += timedelta(seconds=seconds)
        self.on_pause()

    def one_pass(self) -> int:
        return self.daemon.one_pass(self.line.clock)

    def reap(self) -> int:
        return self.daemon.reap(self.line.clock)

    def deliver(self, hand: Hand) -> None:
        ledger.complete(self.line.engine, hand.held, self.line.clock, None, 0)
        hand.how = ""

    def working(self) -> list[int]:
        """Return which records are worked on, as the database says and as the daemon knows."""
        known = sorted(held.record for held in self.daemon.running)
        found = record_views.listing(self.line.engine, status="running")
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


# --- one pass -------------------------------------------------------------------------------------


def test_as_many_are_worked_on_as_there_are_workers(crew: Crew) -> None:
    for _ in range(5):
        crew.line.ask()
    assert crew.one_pass() == WORKERS
    assert crew.working() == [1, 2, 3]
    assert crew.one_pass() == 0
    assert [hand.held for hand in crew.hands] == [Claim(n, 1, "daemon-1") for n in (1, 2, 3)]


def test_a_free_worker_takes_the_next(crew: Crew) -> None:
    for _ in range(5):
        crew.line.ask()
    crew.one_pass()
    crew.deliver(crew.hands[1])
    assert crew.reap() == 1
    assert crew.one_pass() == 1
    assert crew.working() == [1, 3, 4]
    for hand in crew.hands:
        if hand.how is None:
            crew.deliver(hand)
    assert (crew.reap(), crew.one_pass()) == (3, 1)
    assert crew.working() == [5]


def test_nothing_is_begun_before_it_is_due(crew: Crew) -> None:
    crew.line.ask(MINUTE)
    assert crew.one_pass() == 0
    crew.line.clock += MINUTE
    assert crew.one_pass() == 1


def test_what_another_daemon_lost_is_begun_anew(crew: Crew, lines: Any) -> None:
    crew.line.ask()
    crew.line.claimed("daemon-2")
    assert crew.one_pass() == 0
    crew.line.clock += LEASE + SECOND
    assert crew.one_pass() == 1
    assert crew.hands[0].held == Claim(1, 2, "daemon-1")
    assert lines("WARNING") == ["record 1: its worker gave no sign of life"]


def test_a_worker_that_could_not_prolong_its_lease_keeps_its_record(crew: Crew) -> None:
    """As when the database was away for long: what it has made is not thrown away."""
    for _ in range(WORKERS):
        crew.line.ask()
    crew.one_pass()
    crew.line.clock += 2 * LEASE
    assert crew.one_pass() == 0
    assert crew.working() == [1, 2, 3]
    crew.deliver(crew.hands[0])
    assert crew.reap() == 1
    assert crew.line.row(1).status == "delivered"


def test_what_another_daemon_took_away_does_not_make_room(crew: Crew) -> None:
    for _ in range(WORKERS + 1):
        crew.line.ask()
    crew.one_pass()
    crew.line.clock += 2 * LEASE
    assert queue.take_back_lost(crew.line.engine, crew.line.clock) == [1, 2, 3]
    assert crew.one_pass() == 0  # the processes are still there
    crew.hands[0].how = ""
    assert (crew.reap(), crew.one_pass()) == (1, 1)
    assert crew.hands[-1].held == Claim(4, 1, "daemon-1")


def test_a_mail_that_is_being_sent_when_the_service_stops_is_waited_for(crew: Crew) -> None:
    """Ended in the middle, nobody would know whether it was sent. One that hangs is ended."""
    crew.asked = 1
    for ends in (True, False):
        hand = Hand(Claim(0, 0, "errands"))
        crew.daemon.errands, crew.pauses = hand, 0

        def on_pause(hand: Hand = hand, ends: bool = ends) -> None:
            if ends and crew.pauses == 5:
                hand.how = ""

        crew.on_pause = on_pause
        run(crew.daemon, crew.signals)
        assert (hand.asked, hand.killed) == (1, not ends)
        assert ends == (crew.pauses == 5)


# --- workers that are frozen ----------------------------------------------------------------------

PATIENCE = 2 * MINUTE  # after a lease is over
SILENT = "its worker gave no sign of life and was ended"
FROZEN = f"record 1: {SILENT}; does a share hang?"


def look_until(crew: Crew, instant: datetime) -> None:
    """Look as often as the daemon does, up to an instant."""
    while crew.line.clock + POLL <= instant:
        crew.line.clock += POLL
        crew.one_pass()


def test_a_worker_that_is_frozen_is_ended(
    crew: Crew, lines: Any, request: pytest.FixtureRequest
) -> None:
    crew.line.ask()
    crew.daemon.start = starter([sys.executable, "-c", "import signal; signal.pause()"])
    crew.one_pass()
    crew.daemon.start = crew.start
    [worker] = crew.daemon.running.values()
    assert isinstance(worker, Worker)
    request.addfinalizer(worker.kill)
    worker.process.send_signal(signal.SIGSTOP)
    until(lambda: status_of(worker.process.pid, "State").startswith("T"))
    look_until(crew, NOON + LEASE + PATIENCE)
    assert worker.ended() is None and lines("ERROR") == []
    look_until(crew, crew.line.clock + POLL)
    assert worker.ended() == "its process was ended by SIGKILL"
    assert lines("ERROR") == [FROZEN]
    assert crew.line.told()[2:] == [("lost", SILENT), ("claimed", "taken up by daemon-1")]
    assert [hand.held for hand in crew.hands] == [Claim(1, 2, "daemon-1")]
    assert crew.reap() == 1
    assert (crew.working(), crew.line.row().lost) == ([1], 1)


def test_a_record_that_freezes_its_workers_ends(crew: Crew) -> None:
    crew.line.ask()
    look_until(crew, NOON + HOUR)
    assert [hand.killed for hand in crew.hands] == [True] * MOST_DIED
    row = crew.line.row()
    assert (row.status, row.error_code) == ("failed", "worker_died")
    assert row.error_text is not None and SILENT in row.error_text


def test_a_worker_that_cannot_even_be_killed_keeps_its_place_alone(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for a share, in the kernel. Others go on with its record."""
    monkeypatch.setattr(Hand, "kill", lambda hand: None)
    crew.line.ask()
    crew.one_pass()
    look_until(crew, NOON + LEASE + PATIENCE + POLL)
    assert [hand.held.attempt for hand in crew.hands] == [1, 2]
    assert list(crew.daemon.running) == [hand.held for hand in crew.hands]


def test_a_frozen_worker_whose_record_another_daemon_took_is_ended(crew: Crew) -> None:
    for _ in range(WORKERS):
        crew.line.ask()
    crew.one_pass()
    crew.line.clock += LEASE + SECOND
    assert queue.take_back_lost(crew.line.engine, crew.line.clock) == [1, 2, 3]
    taken = crew.line.claimed("daemon-2")
    look_until(crew, crew.line.clock + LEASE)
    queue.renew(crew.line.engine, taken, crew.line.clock, LEASE)
    assert not any(hand.killed for hand in crew.hands)
    look_until(crew, crew.line.clock + PATIENCE + POLL - LEASE)
    assert all(hand.killed for hand in crew.hands)
    assert crew.line.row(taken.record).attempt == taken.attempt


def prolong(crew: Crew, record: int = 1) -> None:
    held = next(held for held in crew.daemon.running if held.record == record)
    queue.renew(crew.line.engine, held, crew.line.clock, LEASE)


def test_a_worker_that_prolongs_its_lease_in_the_end_is_not_frozen(crew: Crew) -> None:
    crew.line.ask()
    crew.one_pass()
    for _ in range(3):  # it is counted anew each time
        look_until(crew, crew.line.clock + LEASE + PATIENCE)
        prolong(crew)
    assert crew.working() == [1] and not crew.hands[0].killed


@pytest.mark.parametrize("before", [0, 5, 12])
def test_while_the_database_is_away_nobody_is_taken_to_be_frozen(crew: Crew, before: int) -> None:
    """before: how often the daemon saw already that the lease was over."""
    crew.line.ask()
    crew.one_pass()
    look_until(crew, NOON + LEASE + before * POLL)
    away(crew.line.engine, True)
    look_until(crew, crew.line.clock + HOUR)
    away(crew.line.engine, False)
    look_until(crew, crew.line.clock + PATIENCE)  # much longer than it takes a worker to see it
    assert not crew.hands[0].killed
    prolong(crew)
    look_until(crew, crew.line.clock + LEASE)
    assert crew.working() == [1] and not crew.hands[0].killed


@pytest.mark.parametrize("change", [-5 * HOUR, -MINUTE, MINUTE, 5 * HOUR])
def test_a_clock_that_is_changed_freezes_nobody(crew: Crew, change: timedelta) -> None:
    crew.line.ask()
    crew.one_pass()
    look_until(crew, NOON + LEASE + MINUTE)
    prolong(crew)
    look_until(crew, crew.line.clock + POLL)
    crew.line.clock += change
    look_until(crew, crew.line.clock + MINUTE)
    prolong(crew)
    look_until(crew, crew.line.clock + MINUTE)
    assert crew.working() == [1] and not crew.hands[0].killed


def test_rare_looks_are_not_enough_to_take_a_worker_to_be_frozen(crew: Crew) -> None:
    """At each of them, the database may have come back just now."""
    crew.line.ask()
    crew.one_pass()
    for looks in (1, 2, 3):
        crew.line.clock += HOUR
        crew.one_pass()
        assert crew.hands[0].killed == (looks == 3)


def test_where_nothing_can_be_written_nobody_is_frozen(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, lines: Any
) -> None:
    """The disk of the database is full: no worker can prolong its lease."""

    def refuse(*_: Any) -> None:
        raise Temporary("database", "the disk of the database is full")

    crew.line.ask()
    crew.one_pass()
    with monkeypatch.context() as patched:
        patched.setattr(queue, "crashed", refuse)
        look_until(crew, NOON + HOUR)
    assert lines("ERROR") == []
    look_until(crew, crew.line.clock + POLL)
    prolong(crew)
    look_until(crew, crew.line.clock + LEASE)
    assert crew.working() == [1] and not crew.hands[0].killed


def test_once_does_not_wait_for_a_frozen_worker(crew: Crew) -> None:
    crew.line.ask()
    crew.on_start = lambda hand: crew.deliver(hand) if hand.held.attempt == 2 else None
    run_once(crew.daemon, crew.signals)
    assert [hand.killed for hand in crew.hands] == [True, False]
    assert crew.line.row().status == "delivered"
    assert crew.line.clock <= NOON + LEASE + PATIENCE + 2 * POLL


# --- workers that end -----------------------------------------------------------------------------


def test_a_worker_that_said_itself_how_it_went_is_only_forgotten(crew: Crew) -> None:
    crew.line.ask()
    crew.one_pass()
    assert crew.reap() == 0
    queue.hand_back(crew.line.engine, crew.hands[0].held, crew.line.clock, "why")
    crew.hands[0].how = ""
    before = crew.line.dump()
    assert crew.reap() == 1
    assert crew.line.dump() == before
    assert crew.daemon.running == {}


def test_the_record_of_a_worker_that_was_killed_goes_back(crew: Crew, lines: Any) -> None:
    crew.line.ask()
    crew.one_pass()
    crew.hands[0].how = "its process was ended by SIGKILL"
    assert crew.reap() == 1
    row = crew.line.row()
    assert (row.status, row.lost, row.run_after) == ("queued", 1, crew.line.clock)
    assert crew.line.told()[-1] == ("lost", "its process was ended by SIGKILL")
    assert lines("ERROR") == ["record 1: its process was ended by SIGKILL"]
    assert crew.one_pass() == 1
    assert crew.hands[1].held == Claim(1, 2, "daemon-1")


def test_a_record_that_kills_its_workers_ends(crew: Crew) -> None:
    crew.line.ask()
    for _ in range(MOST_DIED):
        crew.line.clock = max(crew.line.clock, crew.line.row().run_after)
        assert crew.one_pass() == 1
        crew.hands[-1].how = "its process was ended by SIGSEGV"
        crew.reap()
    crew.line.clock += HOUR
    assert crew.one_pass() == 0
    assert (crew.line.row().status, crew.line.row().error_code) == ("failed", "worker_died")


EXIT = "its process ended with exit code 1"


def test_where_workers_cannot_begin_no_record_is_to_blame(crew: Crew, lines: Any) -> None:
    crew.line.ask()
    for failures in range(1, 10):
        assert crew.one_pass() == 1
        crew.hands[-1].how = EXIT
        crew.reap()
        row = crew.line.row()
        assert (row.status, row.lost, row.tries) == ("queued", 0, 0)
        assert crew.line.told()[-1] == ("handed_back", EXIT)
        crew.line.clock += delay(failures) - SECOND
        assert crew.one_pass() == 0
        crew.line.clock += SECOND
    assert sum("no record is begun until" in line for line in lines("ERROR")) == 9
    # Somebody has put it right; what fails later is the first failure again.
    crew.one_pass()
    crew.deliver(crew.hands[-1])
    crew.reap()
    crew.line.ask()
    crew.one_pass()
    crew.hands[-1].how = EXIT
    crew.reap()
    crew.line.clock += delay(1)
    assert crew.one_pass() == 1


def test_a_worker_that_had_begun_is_not_the_machines_fault(crew: Crew, lines: Any) -> None:
    """A library ends the process when it reads the record's files. Others go on meanwhile."""
    bad, good = crew.line.ask(), crew.line.ask()
    for lost in range(1, MOST_DIED + 1):
        crew.line.clock = max(crew.line.clock, crew.line.row(bad).run_after)
        assert crew.one_pass() >= 1
        crew.line.clock += SECOND
        prolong(crew, bad)
        [hand] = [hand for hand in crew.hands if hand.held == Claim(bad, lost, "daemon-1")]
        hand.how = EXIT
        assert crew.reap() == 1
        assert crew.line.events(bad)[2 * lost] == "lost"
    assert (crew.line.row(bad).status, crew.line.row(bad).error_code) == ("failed", "worker_died")
    assert crew.working() == [good]
    crew.line.ask()
    assert crew.one_pass() == 1
    assert not any("no record is begun" in line for line in lines("ERROR"))


def test_a_worker_that_fails_after_its_last_word_is_no_loss(crew: Crew, lines: Any) -> None:
    crew.line.ask()
    crew.one_pass()
    crew.deliver(crew.hands[0])
    crew.hands[0].how = EXIT
    crew.reap()
    assert (crew.line.row().status, crew.line.row().lost) == ("delivered", 0)
    crew.line.ask()
    assert crew.one_pass() == 1


@pytest.mark.parametrize("back", [20 * SECOND, 10 * MINUTE, 5 * HOUR])
def test_a_pause_is_no_longer_when_the_clock_is_put_back(crew: Crew, back: timedelta) -> None:
    crew.line.ask()
    length = delay(4)
    for _ in range(4):
        crew.line.clock += length
        crew.one_pass()
        crew.hands[-1].how = EXIT
        crew.reap()
    assert crew.one_pass() == 0
    waited = POLL
    crew.line.clock += POLL
    assert crew.one_pass() == 0
    crew.line.clock -= back
    crew.line.set(run_after=crew.line.clock)
    while crew.one_pass() == 0:
        crew.line.clock += POLL
        waited += POLL
    assert waited <= length


def test_who_cannot_begin_workers_still_looks_after_the_others(crew: Crew) -> None:
    for _ in range(WORKERS):
        crew.line.ask()
    crew.one_pass()
    crew.hands[0].how = EXIT
    crew.reap()
    crew.hands[1].how = "its process was ended by SIGKILL"
    assert (crew.reap(), crew.one_pass()) == (1, 0)
    assert crew.line.row(2).status == "queued"
    crew.line.ask()
    crew.line.claimed("daemon-2")
    crew.line.clock += LEASE + SECOND
    assert crew.one_pass() > 0
    assert "lost" in crew.line.events(1)  # which the other daemon had taken up


def test_a_worker_that_died_after_its_last_word_is_no_loss(crew: Crew) -> None:
    crew.line.ask()
    crew.one_pass()
    crew.deliver(crew.hands[0])
    crew.hands[0].how = "its process was ended by SIGTERM"
    crew.reap()
    assert (crew.line.row().status, crew.line.row().lost) == ("delivered", 0)


def away(engine: Engine, is_away: bool) -> None:
    """Take a table away, or bring it back."""
    names = ("records", "elsewhere") if is_away else ("elsewhere", "records")
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE {} RENAME TO {}".format(*names)))


def test_a_database_that_is_away_is_told_once(crew: Crew, lines: Any) -> None:
    crew.line.ask()
    for times in (1, 2):
        away(crew.line.engine, True)
        for _ in range(3):
            assert crew.one_pass() == 0
        assert len(lines("WARNING")) == times
        away(crew.line.engine, False)
        assert crew.one_pass() == (times == 1)
    assert all("the daemon waits and tries again" in line for line in lines("WARNING"))


@ON_MARIADB
def test_a_server_that_is_away_is_waited_for(crew: Crew, mariadb: MariaDB, lines: Any) -> None:
    for _ in range(2):
        crew.line.ask()
    crew.one_pass()
    with mariadb.down():
        for _ in range(2):
            assert crew.one_pass() == 0
        crew.hands[0].how = "its process was ended by SIGKILL"
        assert crew.reap() == 1
    told, later = lines("WARNING")
    assert "cannot be reached" in told and "tries again" in told
    assert later.startswith("record 1 is not put back: ")
    crew.deliver(crew.hands[1])
    crew.reap()
    assert crew.one_pass() == 0  # nobody could say that record 1 was lost, but its lease ends
    crew.line.clock += LEASE + SECOND
    assert crew.one_pass() == 1
    assert crew.hands[-1].held == Claim(1, 2, "daemon-1")


@pytest.mark.parametrize("stage", ["collect", "deliver"])
def test_a_worker_that_cannot_be_started_costs_nothing(crew: Crew, lines: Any, stage: str) -> None:
    crew.line.ask()
    crew.line.set(stage=stage)

    def refuse(hand: Hand) -> None:
        raise Temporary("worker", "no worker can be started: no memory")

    crew.on_start = refuse
    for _ in range(5):
        assert crew.one_pass() == 0
    row = crew.line.row()
    assert (row.status, row.tries, row.lost, row.stage) == ("queued", 0, 0, stage)
    assert crew.line.told()[-1] == ("handed_back", "no worker can be started: no memory")
    assert len(lines("WARNING")) == 1
    assert crew.daemon.running == {}
    crew.on_start = lambda hand: None
    assert crew.one_pass() == 1


@pytest.mark.parametrize("error", [Broken("ffmpeg", "there is no ffmpeg"), OSError("a mistake")])
def test_a_machine_that_is_not_fit_begins_nothing(
    crew: Crew, lines: Any, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    checks: list[datetime] = []
    wrong: list[Exception] = []

    def check(self: Crew) -> None:
        checks.append(self.line.clock)
        for one in wrong:
            raise one

    monkeypatch.setattr(Crew, "check_machine", check)
    assert crew.one_pass() == 0
    crew.line.ask()
    crew.line.clock += MINUTE - SECOND
    assert crew.one_pass() == 1
    assert checks == [NOON]  # once a minute is enough
    wrong.append(error)
    crew.line.ask()
    crew.line.claimed("daemon-2")
    crew.line.clock += LEASE + SECOND
    for _ in range(3):
        if isinstance(error, Broken):
            assert crew.one_pass() == 0
        else:
            with pytest.raises(OSError, match="a mistake"):  # which `run` survives
                crew.one_pass()
    assert crew.line.events(2) == ["asked", "claimed", "lost"]  # what is lost is taken back
    if isinstance(error, Broken):
        told = [line for line in lines("WARNING") if "no ffmpeg" in line]
        assert told == ["there is no ffmpeg; the daemon waits and tries again"]
    wrong.clear()
    assert crew.one_pass() == 1


# --- keeping house --------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [Broken("database", "away"), RuntimeError("a mistake")])
def test_a_chore_that_cannot_be_done_does_not_keep_from_the_next(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, lines: Any, error: Exception
) -> None:
    done = []

    def look_for_late(service: Service, now: datetime) -> None:
        raise error

    def tidy(service: Service, now: datetime) -> None:
        done.append((service, now))

    monkeypatch.setattr(daemon_module, "look_for_late", look_for_late)
    monkeypatch.setattr(daemon_module, "tidy", tidy)
    daemon_module.keep_house(crew.daemon.service, NOON)
    assert done == [(crew.daemon.service, NOON)]
    if isinstance(error, Broken):
        assert lines("WARNING") == ["look_for_late: away"]
    else:
        assert lines("ERROR") == ["look_for_late: a mistake in this program"]


def test_one_keeps_house_at_a_time(crew: Crew, lines: Any) -> None:
    crew.houses_end = False
    for _ in range(6):
        crew.daemon.keep_house(crew.line.clock)
        crew.line.clock += HOUSEKEEPING
    assert len(crew.houses) == 1
    assert not crew.houses[0].killed
    crew.houses[0].how = ""
    crew.daemon.keep_house(crew.line.clock)
    assert len(crew.houses) == 2
    assert lines("ERROR") == []


def test_a_housekeeping_that_hangs_is_ended(crew: Crew, lines: Any) -> None:
    crew.houses_end = False
    crew.daemon.keep_house(crew.line.clock)
    crew.line.clock += HOUR
    crew.daemon.keep_house(crew.line.clock)
    assert [house.killed for house in crew.houses] == [True, False]
    assert lines("ERROR") == ["the housekeeping hangs and is ended; does a share hang?"]


def test_a_housekeeping_that_cannot_be_started_is_tried_later(crew: Crew, lines: Any) -> None:
    def refuse() -> Hand:
        raise Temporary("worker", "no process can be started: no memory")

    crew.daemon.start_house = refuse
    crew.daemon.keep_house(NOON)
    assert lines("WARNING") == ["no housekeeping for now: no process can be started: no memory"]
    crew.daemon.start_house = crew.start_house
    crew.daemon.keep_house(NOON + HOUSEKEEPING)
    assert len(crew.houses) == 1


# --- until somebody says stop ---------------------------------------------------------------------


@dataclass
class Passes:
    """When the daemon looked for what is due, and kept house."""

    looked: list[datetime] = field(default_factory=list)
    kept: list[datetime] = field(default_factory=list)


@pytest.fixture
def passes(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> Passes:
    seen = Passes()
    one_pass = Daemon.one_pass

    def look(self: Daemon, now: datetime) -> int:
        seen.looked.append(now)
        return one_pass(self, now)

    monkeypatch.setattr(Daemon, "one_pass", look)
    monkeypatch.setattr(Daemon, "keep_house", lambda self, now: seen.kept.append(now))
    return seen


def stop_at(crew: Crew, instant: datetime) -> None:
    def look() -> None:
        crew.asked = int(crew.line.clock >= instant)

    crew.on_pause = look


def test_it_looks_as_often_as_it_is_told_to_and_keeps_house_now_and_then(
    crew: Crew, passes: Passes
) -> None:
    stop_at(crew, NOON + 4 * HOUSEKEEPING - MINUTE)
    run(crew.daemon, crew.signals)
    assert passes.looked[:3] == [NOON, NOON + POLL, NOON + 2 * POLL]
    assert len(passes.looked) == (4 * HOUSEKEEPING - MINUTE) / POLL + 1
    assert passes.kept == [NOON + n * HOUSEKEEPING for n in range(4)]


@pytest.mark.parametrize(
    ("begun", "zone"),
    [
        ("2026-10-25T00:55+00:00", BERLIN),  # at 01:00 UTC, it is 02:00 once more
        ("2026-03-29T00:55+00:00", BERLIN),  # and here 03:00 at once
        ("2026-04-04T14:55+00:00", ZoneInfo("Australia/Lord_Howe")),  # half an hour back
    ],
)
def test_the_night_on_which_clocks_are_changed_holds_nobody_up(
    crew: Crew, passes: Passes, begun: str, zone: ZoneInfo
) -> None:
    first = crew.line.clock = datetime.fromisoformat(begun)
    crew.zone = zone
    due = first + 6 * MINUTE
    crew.line.ask(due - NOON)
    crew.on_start = crew.deliver
    stop_at(crew, first + 30 * MINUTE)
    run(crew.daemon, crew.signals)
    started = crew.line.row()
    assert started.claimed_at is not None
    assert started.status == "delivered"
    assert due <= started.claimed_at <= due + POLL
    apart = [later - one for one, later in zip(passes.looked, passes.looked[1:], strict=False)]
    assert max(apart) <= 2 * POLL
    apart = [later - one for one, later in zip(passes.kept, passes.kept[1:], strict=False)]
    assert max(apart) <= HOUSEKEEPING + 2 * POLL
    # Nor is anything done again and again, because the library believes it late.
    assert len(passes.looked) <= 30 * MINUTE / POLL + 4
    assert len(passes.kept) <= 30 * MINUTE / HOUSEKEEPING + 2


def test_a_clock_that_is_put_back_for_good_holds_nobody_up(crew: Crew, passes: Passes) -> None:
    """The machine began with a clock that was wrong by a day."""
    right = NOON + MINUTE
    crew.line.clock = right + timedelta(days=1)

    def put_right() -> None:
        if crew.pauses == 60:
            crew.line.clock = right
        crew.asked = int(crew.pauses == 180)

    crew.on_pause = put_right
    run(crew.daemon, crew.signals)
    before = [at for at in passes.looked if at > right + MINUTE * 60]
    after = passes.looked[len(before) :]
    assert len(before) == 6
    assert len(after) >= 11
    assert after[0] <= right + SECOND


def test_a_free_worker_does_not_wait_for_the_poll(crew: Crew) -> None:
    for _ in range(9):
        crew.line.ask()

    def look() -> None:
        assert len(crew.daemon.running) == len(crew.working()) <= WORKERS
        for hand in crew.hands:
            if hand.how is None and (hand.asked or hand.held.record != 2):  # which takes long
                crew.deliver(hand)
        crew.asked = int(crew.line.clock > NOON + SECOND)

    crew.on_pause = look
    run(crew.daemon, crew.signals)
    claimed = [crew.line.row(n).claimed_at for n in range(1, 10)]
    rounds = (0, 0, 0, 1, 1, 2, 2, 3, 3)
    assert claimed == [NOON + n * timedelta(seconds=0.2) for n in rounds]


def test_a_mistake_in_a_pass_does_not_end_it(crew: Crew, lines: Any) -> None:
    for _ in range(2):
        crew.line.ask()
    mistakes = iter([RuntimeError("a mistake in a start")])

    def start(hand: Hand) -> None:
        for mistake in mistakes:
            raise mistake
        crew.deliver(hand)

    crew.on_start = start
    stop_at(crew, NOON + 2 * LEASE)
    run(crew.daemon, crew.signals)
    assert [crew.line.row(n).status for n in (1, 2)] == ["delivered", "delivered"]
    assert lines("ERROR") == ["a mistake in this program; the daemon goes on"]
    assert crew.line.events(1) == ["asked", "claimed", "lost", "claimed", "delivered"]


@pytest.mark.parametrize("when", ["at work", "at the end"])
def test_a_mistake_about_a_worker_that_ended_does_not_end_it(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, lines: Any, when: str
) -> None:
    for _ in range(3):
        crew.line.ask()
    mistakes = iter([RuntimeError("a mistake")])
    crashed = queue.crashed

    def stumble(*arguments: Any) -> None:
        for mistake in mistakes:
            raise mistake
        crashed(*arguments)

    monkeypatch.setattr(queue, "crashed", stumble)

    def look() -> None:
        crew.asked = int(when == "at the end" or crew.pauses >= 4)
        for hand in crew.hands:
            if hand.how is None and (hand.asked or (not crew.asked and hand.held.record == 1)):
                hand.how = "its process was ended by SIGKILL"

    crew.on_pause = look
    run(crew.daemon, crew.signals)
    assert crew.daemon.running == {}
    assert lines("ERROR").count("a mistake in this program; the daemon goes on") == 1
    # Nobody has to know of the one that was stumbled over: its lease ends.
    assert [crew.line.row(n).status for n in (1, 2, 3)].count("running") == 1


def test_who_is_asked_to_stop_lets_the_workers_hand_back(crew: Crew) -> None:
    for _ in range(4):
        crew.line.ask()

    def look() -> None:
        crew.asked = 1
        for hand in crew.hands:
            # One takes a while to get to where it can stop.
            if hand.asked and hand.how is None and crew.pauses >= hand.held.record * 10:
                queue.hand_back(crew.line.engine, hand.held, crew.line.clock, "stopped")
                hand.how = ""

    crew.on_pause = look
    run(crew.daemon, crew.signals)
    assert len(crew.hands) == WORKERS  # nothing was begun meanwhile
    assert [(hand.asked, hand.killed) for hand in crew.hands] == [(1, False)] * WORKERS
    assert crew.pauses == 30
    assert [crew.line.row(n).status for n in (1, 2, 3, 4)] == ["queued"] * 4
    assert crew.line.events(1) == ["asked", "claimed", "handed_back"]


def test_who_is_asked_twice_does_not_wait(crew: Crew) -> None:
    for _ in range(2):
        crew.line.ask()

    def look() -> None:
        crew.asked = 1 + (crew.pauses >= 5)

    crew.on_pause = look
    run(crew.daemon, crew.signals)
    assert crew.pauses == 5
    assert [(hand.asked, hand.killed) for hand in crew.hands] == [(1, True)] * 2


def test_once_is_until_nothing_is_due(crew: Crew, passes: Passes) -> None:
    for _ in range(7):
        crew.line.ask()
    crew.line.ask(MINUTE)

    def look() -> None:
        for hand in list(crew.hands):
            if hand.how is None:
                crew.deliver(hand)

    crew.on_pause = look
    run_once(crew.daemon, crew.signals)
    assert [crew.line.row(n).status for n in range(1, 9)] == ["delivered"] * 7 + ["queued"]
    assert crew.pauses == 3
    assert passes.kept == [NOON]
    run_once(crew.daemon, crew.signals)
    assert crew.pauses == 3


def test_once_keeps_house_before(crew: Crew) -> None:
    """Media that came late may make something due."""
    crew.line.ask()
    crew.houses_end = False
    crew.on_start = crew.deliver

    def look() -> None:
        assert crew.hands == [] or crew.houses[0].how == ""
        if crew.pauses == 5:
            crew.houses[0].how = ""

    crew.on_pause = look
    run_once(crew.daemon, crew.signals)
    assert crew.line.row().status == "delivered"
    assert not crew.houses[0].killed


@pytest.mark.parametrize("start", [run, run_once])
def test_who_is_asked_to_stop_does_not_wait_for_the_house(
    crew: Crew, start: Callable[[Daemon, Signals], None]
) -> None:
    crew.houses_end = False
    stop_at(crew, NOON + 2 * SECOND)
    start(crew.daemon, crew.signals)
    assert [house.killed for house in crew.houses] == [True]
    assert crew.line.clock < NOON + 4 * SECOND


def test_once_can_be_stopped(crew: Crew) -> None:
    for _ in range(5):
        crew.line.ask()

    def look() -> None:
        crew.asked = 1
        for hand in crew.hands:
            if hand.asked:
                crew.deliver(hand)

    crew.on_pause = look
    run_once(crew.daemon, crew.signals)
    assert len(crew.hands) == WORKERS
    assert crew.daemon.running == {}


# --- many records ---------------------------------------------------------------------------------

MANY, WARM = 1200, 200
MOST_BYTES = 100_000  # of those in between; each of them leaving one small thing is more


@pytest.fixture
def shallow() -> Iterator[None]:
    """Forbid to call functions much deeper than they are called here."""
    before = sys.getrecursionlimit()
    depth = 0
    frame: Any = sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    sys.setrecursionlimit(depth + 150)
    yield
    sys.setrecursionlimit(before)


@ON_SQLITE
def test_many_records_leave_nothing_behind(crew: Crew, shallow: None) -> None:
    fill(crew.line.engine, MANY)
    delivered, grown = 0, [0, 0]

    def deliver(hand: Hand) -> None:
        nonlocal delivered
        crew.hands.clear()
        crew.deliver(hand)
        delivered += 1
        if delivered == WARM:
            gc.collect()
            tracemalloc.start()
        elif delivered in (WARM + 100, MANY - 1):
            gc.collect()
            grown[delivered == MANY - 1] = tracemalloc.get_traced_memory()[0]
        crew.asked = int(delivered == MANY)

    crew.on_start = deliver
    try:
        run(crew.daemon, crew.signals)
    finally:
        tracemalloc.stop()
    assert sorted(claims(crew.line.engine)) == [(n, 1) for n in range(1, MANY + 1)]
    assert len(record_views.listing(crew.line.engine, status="delivered", limit=MANY + 1)) == MANY
    assert crew.daemon.running == {}
    assert grown[1] - grown[0] < MOST_BYTES


# --- two daemons ----------------------------------------------------------------------------------

SHARED = 200


def test_two_daemons_share_what_is_due(engine: Engine, database_url: str, tmp_path: Path) -> None:
    fill(engine, SHARED)
    file = tmp_path / "made"
    environ = {
        **os.environ, "SQLALCHEMY_DATABASE_URI": database_url, "MERGER_WORKERS": "8",
        "MERGER_DATA": str(tmp_path / "data"), "MERGER_CACHE": str(tmp_path / "cache"),
    }  # fmt: skip
    with ExitStack() as started:
        daemons = []
        for name in ("one", "two"):
            daemon = subprocess.Popen(
                [sys.executable, "-m", "tests.cheap_daemon", name, str(file)], cwd=ROOT, env=environ,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            started.enter_context(daemon)
            started.callback(daemon.kill)
            daemons.append(daemon)
        for daemon in daemons:
            assert daemon.stdout is not None
            assert daemon.stdout.readline() == "ready\n"
        for daemon in daemons:
            assert daemon.stdin is not None
            daemon.stdin.write("go\n")
            daemon.stdin.flush()
        said = [daemon.communicate()[1] for daemon in daemons]
    assert [(daemon.returncode, err) for daemon, err in zip(daemons, said, strict=True)] == [
        (0, "")
    ] * 2
    made = [line.split() for line in file.read_text().splitlines()]
    assert sorted(int(record) for record, _ in made) == list(range(1, SHARED + 1))
    assert set(Counter(worker for _, worker in made)) == {"one", "two"}
    assert sorted(claims(engine)) == [(n, 1) for n in range(1, SHARED + 1)]
    found = record_views.listing(engine, limit=SHARED + 1)
    assert {(one["status"], one["attempt"]) for one in found} == {("delivered", 1)}

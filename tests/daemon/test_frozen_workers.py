"""Workers that are frozen: ended when they are, and only then."""

from __future__ import annotations

import signal
import sys
from datetime import datetime, timedelta
from typing import Any

import pytest

from merger.daemon.loop import run_once
from merger.daemon.processes import Worker, worker_starter
from merger.errors import Temporary
from merger.records.processing import queue
from merger.records.processing.queue import Claim
from merger.records.rules.retry import MOST_DIED
from tests.daemon.crew import KILLED, POLL, SECOND, WORKERS, Crew, Hand, away, prolong
from tests.support.line import HOUR, LEASE, MINUTE, NOON, reason
from tests.support.waiting import status_of, until

PATIENCE = 2 * MINUTE  # after a lease is over
SILENT = "its worker stopped responding and was killed"
FROZEN = f"record 1: {SILENT}; does a share hang?"


def look_until(crew: Crew, instant: datetime) -> None:
    """Look as often as the daemon does, up to an instant."""
    while crew.line.clock + POLL <= instant:
        crew.line.clock += POLL
        crew.look()


def test_a_worker_that_is_frozen_is_ended(
    crew: Crew, lines: Any, request: pytest.FixtureRequest
) -> None:
    crew.line.ask()
    crew.daemon.start = worker_starter([sys.executable, "-c", "import signal; signal.pause()"])
    crew.look()
    crew.daemon.start = crew.start
    [worker] = crew.daemon.running.values()
    assert isinstance(worker, Worker)
    request.addfinalizer(worker.kill)
    worker.process.send_signal(signal.SIGSTOP)
    until(lambda: status_of(worker.process.pid, "State").startswith("T"))
    look_until(crew, NOON + LEASE + PATIENCE)
    assert worker.poll() is None and lines("ERROR") == []
    look_until(crew, crew.line.clock + POLL)
    assert worker.poll() == KILLED
    assert lines("ERROR") == [FROZEN]
    assert crew.line.told()[2:] == [("lost", SILENT), ("claimed", "started by daemon-1")]
    assert [hand.held for hand in crew.hands] == [Claim(1, 2, "daemon-1")]
    assert crew.reap() == 1
    assert (crew.working(), crew.line.row().lost) == ([1], 1)


def test_a_record_that_freezes_its_workers_ends(crew: Crew) -> None:
    crew.line.ask()
    look_until(crew, NOON + HOUR)
    assert [hand.killed for hand in crew.hands] == [True] * MOST_DIED
    row = crew.line.row()
    assert (row.status, row.error_code) == ("failed", "worker_died")
    assert SILENT in reason(row)


def test_a_worker_that_cannot_even_be_killed_keeps_its_place_alone(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for a share, in the kernel. Others go on with its record."""
    monkeypatch.setattr(Hand, "kill", lambda hand: None)
    crew.line.ask()
    crew.look()
    look_until(crew, NOON + LEASE + PATIENCE + POLL)
    assert [hand.held.attempt for hand in crew.hands] == [1, 2]
    assert list(crew.daemon.running) == [hand.held for hand in crew.hands]


def test_a_frozen_worker_whose_record_another_daemon_took_is_ended(crew: Crew) -> None:
    for _ in range(WORKERS):
        crew.line.ask()
    crew.look()
    crew.line.clock += LEASE + SECOND
    assert queue.take_back_lost(crew.line.engine, crew.line.clock) == [1, 2, 3]
    taken = crew.line.claimed("daemon-2")
    look_until(crew, crew.line.clock + LEASE)
    crew.line.lease(taken).renew(LEASE)
    assert not any(hand.killed for hand in crew.hands)
    look_until(crew, crew.line.clock + PATIENCE + POLL - LEASE)
    assert all(hand.killed for hand in crew.hands)
    assert crew.line.row(taken.record).attempt == taken.attempt


def test_a_worker_that_prolongs_its_lease_in_the_end_is_not_frozen(crew: Crew) -> None:
    crew.line.ask()
    crew.look()
    for _ in range(3):  # it is counted anew each time
        look_until(crew, crew.line.clock + LEASE + PATIENCE)
        prolong(crew)
    assert crew.working() == [1] and not crew.hands[0].killed


@pytest.mark.parametrize("before", [0, 5, 12])
def test_while_the_database_is_away_nobody_is_taken_to_be_frozen(crew: Crew, before: int) -> None:
    """before: how often the daemon saw already that the lease was over."""
    crew.line.ask()
    crew.look()
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
    crew.look()
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
    crew.look()
    for looks in (1, 2, 3):
        crew.line.clock += HOUR
        crew.look()
        assert crew.hands[0].killed == (looks == 3)


def test_where_nothing_can_be_written_nobody_is_frozen(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, lines: Any
) -> None:
    """The disk of the database is full: no worker can prolong its lease."""

    def refuse(*_: Any) -> None:
        raise Temporary("database", "the disk of the database is full")

    crew.line.ask()
    crew.look()
    with monkeypatch.context() as patched:
        patched.setattr(queue, "take_back_crashed", refuse)
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

"""The daemon: what it starts, and what it takes back; its workers are made up, but for the last."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from merger.daemon.loop import run
from merger.daemon.processes import Slot
from merger.records.browse import lists
from merger.records.processing import queue
from merger.records.processing.queue import Claim
from tests.daemon.crew import CLEAN, SECOND, WORKERS, Crew, Hand
from tests.support.line import HOUR, LEASE, MINUTE, claims, fill
from tests.support.selection import BOTH_DATABASES, rarely
from tests.support.site import ROOT


def test_as_many_are_worked_on_as_there_are_workers(crew: Crew) -> None:
    for _ in range(5):
        crew.line.ask()
    assert crew.look() == WORKERS
    assert crew.working() == [1, 2, 3]
    assert crew.look() == 0
    assert [hand.held for hand in crew.hands] == [Claim(n, 1, "daemon-1") for n in (1, 2, 3)]


def test_a_free_worker_takes_the_next(crew: Crew) -> None:
    for _ in range(5):
        crew.line.ask()
    crew.look()
    crew.deliver(crew.hands[1])
    assert crew.reap() == 1
    assert crew.look() == 1
    assert crew.working() == [1, 3, 4]
    for hand in crew.hands:
        if hand.how is None:
            crew.deliver(hand)
    assert (crew.reap(), crew.look()) == (3, 1)
    assert crew.working() == [5]


def test_nothing_is_begun_before_it_is_due(crew: Crew) -> None:
    crew.line.ask(MINUTE)
    assert crew.look() == 0
    crew.line.clock += MINUTE
    assert crew.look() == 1


def test_what_another_daemon_lost_is_begun_anew(crew: Crew, lines: Any) -> None:
    crew.line.ask()
    crew.line.claimed("daemon-2")
    assert crew.look() == 0
    crew.line.clock += LEASE + SECOND
    assert crew.look() == 1
    assert crew.hands[0].held == Claim(1, 2, "daemon-1")
    assert lines("WARNING") == ["record 1: its worker stopped responding"]


def test_a_worker_that_could_not_prolong_its_lease_keeps_its_record(crew: Crew) -> None:
    """As when the database was away for long: what it has made is not thrown away."""
    for _ in range(WORKERS):
        crew.line.ask()
    crew.look()
    crew.line.clock += 2 * LEASE
    assert crew.look() == 0
    assert crew.working() == [1, 2, 3]
    crew.deliver(crew.hands[0])
    assert crew.reap() == 1
    assert crew.line.row(1).status == "delivered"


def test_what_another_daemon_took_away_does_not_make_room(crew: Crew) -> None:
    for _ in range(WORKERS + 1):
        crew.line.ask()
    crew.look()
    crew.line.clock += 2 * LEASE
    assert queue.take_back_lost(crew.line.engine, crew.line.clock) == [1, 2, 3]
    assert crew.look() == 0  # the processes are still there
    crew.hands[0].how = CLEAN
    assert (crew.reap(), crew.look()) == (1, 1)
    assert crew.hands[-1].held == Claim(4, 1, "daemon-1")


def test_a_mail_that_is_being_sent_when_the_service_stops_is_waited_for(crew: Crew) -> None:
    """Ended in the middle, nobody would know whether it was sent. One that hangs is ended."""
    crew.asked = 1
    for ends in (True, False):
        hand = Hand(Claim(0, 0, "errands"))
        crew.daemon.jobs, crew.pauses = Slot(crew.start_house, HOUR, "hangs", hand), 0

        def on_pause(hand: Hand = hand, ends: bool = ends) -> None:
            if ends and crew.pauses == 5:
                hand.how = CLEAN

        crew.on_pause = on_pause
        run(crew.daemon, crew.signals)
        assert (hand.asked, hand.killed) == (1, not ends)
        assert ends == (crew.pauses == 5)


@BOTH_DATABASES
@pytest.mark.parametrize("records", [30, rarely(200, why="with more records at once")])
def test_two_daemons_share_what_is_due(
    engine: Engine, database_url: str, tmp_path: Path, records: int
) -> None:
    fill(engine, records)
    file = tmp_path / "made"
    environ = {
        **os.environ, "SQLALCHEMY_DATABASE_URI": database_url, "MERGER_WORKERS": "8",
        "MERGER_DATA": str(tmp_path / "data"), "MERGER_CACHE": str(tmp_path / "cache"),
    }  # fmt: skip
    with ExitStack() as started:
        daemons = []
        for name in ("one", "two"):
            daemon = subprocess.Popen(
                [sys.executable, "-m", "tests.daemon.cheap_daemon", name, str(file)], cwd=ROOT, env=environ,
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
    assert sorted(int(record) for record, _ in made) == list(range(1, records + 1))
    assert set(Counter(worker for _, worker in made)) == {"one", "two"}
    assert sorted(claims(engine)) == [(n, 1) for n in range(1, records + 1)]
    found = lists.list_records(engine, limit=records + 1)
    assert {(one["status"], one["attempt"]) for one in found} == {("delivered", 1)}

"""Workers that end, and what keeps any from beginning: whose fault it is."""

from __future__ import annotations

import signal
from datetime import datetime, timedelta
from typing import Any

import pytest

from merger.daemon.processes import Exit
from merger.errors import Broken, Temporary
from merger.i18n import verbatim
from merger.records.processing.queue import Claim
from merger.records.rules.retry import MOST_DIED, delay
from tests.daemon.crew import CLEAN, KILLED, POLL, SECOND, WORKERS, Crew, Hand, away, prolong
from tests.support.databases import ON_MARIADB, MariaDB
from tests.support.line import HOUR, LEASE, MINUTE, NOON


def test_a_worker_that_said_itself_how_it_went_is_only_forgotten(crew: Crew) -> None:
    crew.line.ask()
    crew.look()
    assert crew.reap() == 0
    crew.line.lease(crew.hands[0].held).hand_back(verbatim("why"))
    crew.hands[0].how = CLEAN
    before = crew.line.dump()
    assert crew.reap() == 1
    assert crew.line.dump() == before
    assert crew.daemon.running == {}


def test_the_record_of_a_worker_that_was_killed_goes_back(crew: Crew, lines: Any) -> None:
    crew.line.ask()
    crew.look()
    crew.hands[0].how = KILLED
    assert crew.reap() == 1
    row = crew.line.row()
    assert (row.status, row.lost, row.run_after) == ("queued", 1, crew.line.clock)
    assert crew.line.told()[-1] == ("lost", "its process was killed by SIGKILL")
    assert lines("ERROR") == ["record 1: its process was killed by SIGKILL"]
    assert crew.look() == 1
    assert crew.hands[1].held == Claim(1, 2, "daemon-1")


def test_a_record_that_kills_its_workers_ends(crew: Crew) -> None:
    crew.line.ask()
    for _ in range(MOST_DIED):
        crew.line.clock = max(crew.line.clock, crew.line.row().run_after)
        assert crew.look() == 1
        crew.hands[-1].how = Exit(-signal.SIGSEGV)
        crew.reap()
    crew.line.clock += HOUR
    assert crew.look() == 0
    assert (crew.line.row().status, crew.line.row().error_code) == ("failed", "worker_died")


EXIT = Exit(1)


def test_where_workers_cannot_begin_no_record_is_to_blame(crew: Crew, lines: Any) -> None:
    crew.line.ask()
    for failures in range(1, 10):
        assert crew.look() == 1
        crew.hands[-1].how = EXIT
        crew.reap()
        row = crew.line.row()
        assert (row.status, row.lost, row.tries) == ("queued", 0, 0)
        assert crew.line.told()[-1] == ("handed_back", str(EXIT.message))
        crew.line.clock += delay(failures) - SECOND
        assert crew.look() == 0
        crew.line.clock += SECOND
    assert sum("no record is begun until" in line for line in lines("ERROR")) == 9
    # Somebody has put it right; what fails later is the first failure again.
    crew.look()
    crew.deliver(crew.hands[-1])
    crew.reap()
    crew.line.ask()
    crew.look()
    crew.hands[-1].how = EXIT
    crew.reap()
    crew.line.clock += delay(1)
    assert crew.look() == 1


def test_a_worker_that_had_begun_is_not_the_machines_fault(crew: Crew, lines: Any) -> None:
    """A library ends the process when it reads the record's files. Others go on meanwhile."""
    bad, good = crew.line.ask(), crew.line.ask()
    for lost in range(1, MOST_DIED + 1):
        crew.line.clock = max(crew.line.clock, crew.line.row(bad).run_after)
        assert crew.look() >= 1
        crew.line.clock += SECOND
        prolong(crew, bad)
        [hand] = [hand for hand in crew.hands if hand.held == Claim(bad, lost, "daemon-1")]
        hand.how = EXIT
        assert crew.reap() == 1
        assert crew.line.events(bad)[2 * lost] == "lost"
    assert (crew.line.row(bad).status, crew.line.row(bad).error_code) == ("failed", "worker_died")
    assert crew.working() == [good]
    crew.line.ask()
    assert crew.look() == 1
    assert not any("no record is begun" in line for line in lines("ERROR"))


def test_a_worker_that_fails_after_its_last_word_is_no_loss(crew: Crew, lines: Any) -> None:
    crew.line.ask()
    crew.look()
    crew.deliver(crew.hands[0])
    crew.hands[0].how = EXIT
    crew.reap()
    assert (crew.line.row().status, crew.line.row().lost) == ("delivered", 0)
    crew.line.ask()
    assert crew.look() == 1


@pytest.mark.parametrize("back", [20 * SECOND, 10 * MINUTE, 5 * HOUR])
def test_a_pause_is_no_longer_when_the_clock_is_put_back(crew: Crew, back: timedelta) -> None:
    crew.line.ask()
    length = delay(4)
    for _ in range(4):
        crew.line.clock += length
        crew.look()
        crew.hands[-1].how = EXIT
        crew.reap()
    assert crew.look() == 0
    waited = POLL
    crew.line.clock += POLL
    assert crew.look() == 0
    crew.line.clock -= back
    crew.line.set(run_after=crew.line.clock)
    while crew.look() == 0:
        crew.line.clock += POLL
        waited += POLL
    assert waited <= length


def test_who_cannot_begin_workers_still_looks_after_the_others(crew: Crew) -> None:
    for _ in range(WORKERS):
        crew.line.ask()
    crew.look()
    crew.hands[0].how = EXIT
    crew.reap()
    crew.hands[1].how = KILLED
    assert (crew.reap(), crew.look()) == (1, 0)
    assert crew.line.row(2).status == "queued"
    crew.line.ask()
    crew.line.claimed("daemon-2")
    crew.line.clock += LEASE + SECOND
    assert crew.look() > 0
    assert "lost" in crew.line.events(1)  # which the other daemon had taken up


def test_a_worker_that_died_after_its_last_word_is_no_loss(crew: Crew) -> None:
    crew.line.ask()
    crew.look()
    crew.deliver(crew.hands[0])
    crew.hands[0].how = Exit(-signal.SIGTERM)
    crew.reap()
    assert (crew.line.row().status, crew.line.row().lost) == ("delivered", 0)


def test_a_database_that_is_away_is_told_once(crew: Crew, lines: Any) -> None:
    crew.line.ask()
    for times in (1, 2):
        away(crew.line.engine, True)
        for _ in range(3):
            assert crew.look() == 0
        assert len(lines("WARNING")) == times
        away(crew.line.engine, False)
        assert crew.look() == (times == 1)
    assert all("the daemon waits and tries again" in line for line in lines("WARNING"))


@ON_MARIADB
def test_a_server_that_is_away_is_waited_for(crew: Crew, mariadb: MariaDB, lines: Any) -> None:
    for _ in range(2):
        crew.line.ask()
    crew.look()
    with mariadb.down():
        for _ in range(2):
            assert crew.look() == 0
        crew.hands[0].how = KILLED
        assert crew.reap() == 1
    told, later = lines("WARNING")
    assert "cannot be reached" in told and "tries again" in told
    assert later.startswith("record 1 is not put back: ")
    crew.deliver(crew.hands[1])
    crew.reap()
    assert crew.look() == 0  # nobody could say that record 1 was lost, but its lease ends
    crew.line.clock += LEASE + SECOND
    assert crew.look() == 1
    assert crew.hands[-1].held == Claim(1, 2, "daemon-1")


@pytest.mark.parametrize("stage", ["collect", "deliver"])
def test_a_worker_that_cannot_be_started_costs_nothing(crew: Crew, lines: Any, stage: str) -> None:
    crew.line.ask()
    crew.line.set(stage=stage)

    def refuse(hand: Hand) -> None:
        raise Temporary("worker", "no worker can be started: no memory")

    crew.on_start = refuse
    for _ in range(5):
        assert crew.look() == 0
    row = crew.line.row()
    assert (row.status, row.tries, row.lost, row.stage) == ("queued", 0, 0, stage)
    assert crew.line.told()[-1] == ("handed_back", "no worker can be started: no memory")
    assert len(lines("WARNING")) == 1
    assert crew.daemon.running == {}
    crew.on_start = lambda hand: None
    assert crew.look() == 1


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
    assert crew.look() == 0
    crew.line.ask()
    crew.line.clock += MINUTE - SECOND
    assert crew.look() == 1
    assert checks == [NOON]  # once a minute is enough
    wrong.append(error)
    crew.line.ask()
    crew.line.claimed("daemon-2")
    crew.line.clock += LEASE + SECOND
    for _ in range(3):
        if isinstance(error, Broken):
            assert crew.look() == 0
        else:
            with pytest.raises(OSError, match="a mistake"):  # which `run` survives
                crew.look()
    assert crew.line.events(2) == ["asked", "claimed", "lost"]  # what is lost is taken back
    if isinstance(error, Broken):
        told = [line for line in lines("WARNING") if "no ffmpeg" in line]
        assert told == ["there is no ffmpeg; the daemon waits and tries again"]
    wrong.clear()
    assert crew.look() == 1

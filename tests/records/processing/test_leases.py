"""Leases and the fence: who may write, and what becomes of records whose worker is gone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import delete
from sqlalchemy.exc import NoResultFound

from merger.delivery import ledger
from merger.i18n import verbatim
from merger.records import actions
from merger.records.processing import queue
from merger.records.processing.leases import Lease, LeaseLost
from merger.records.processing.queue import Claim
from merger.records.rules.retry import MOST_DIED, MOST_LOST, delay
from models import Record, Source
from tests.records.processing.queue_steps import (
    SECOND,
    WRITES,
    WRONG,
    quicker,
    rename,
    rival_first,
    taken_back,
)
from tests.support.line import HOUR, LEASE, MINUTE, NOON, Line, reason
from tests.support.selection import BOTH_DATABASES

pytestmark = BOTH_DATABASES

# --- leases ---------------------------------------------------------------------------------------


def test_a_lease_is_prolonged(line: Line, lease: Lease) -> None:
    line.clock += 40 * SECOND
    lease.renew(LEASE)
    assert not lease.is_cancelled
    row = line.row()
    assert (row.lease_until, row.progress, row.updated_at) == (line.clock + LEASE, 0.0, NOON)
    lease.renew(LEASE, 0.25)
    row = line.row()
    assert (row.progress, row.updated_at) == (0.25, line.clock)
    actions.cancel(line.engine, 1, line.clock)
    lease.renew(LEASE)
    assert lease.is_cancelled
    lease.read_cancellation()
    assert lease.is_cancelled


def test_a_lease_that_ran_out_is_prolonged_as_long_as_nobody_took_the_record(
    line: Line, lease: Lease
) -> None:
    line.clock += 3 * LEASE
    lease.renew(LEASE)
    assert queue.take_back_lost(line.engine, line.clock) == []
    assert line.row().lease_until == line.clock + LEASE


def test_a_record_whose_worker_gives_no_sign_of_life_is_queued_again(
    line: Line, lease: Lease
) -> None:
    line.set(stage="encode")
    line.clock += LEASE
    assert queue.take_back_lost(line.engine, line.clock) == []
    line.clock += timedelta(microseconds=1)
    assert queue.take_back_lost(line.engine, line.clock) == [1]
    assert queue.take_back_lost(line.engine, line.clock) == []
    row = line.row()
    assert (row.status, row.attempt, row.lost, row.tries) == ("queued", 1, 1, 0)
    assert (row.run_after, row.claimed_by, row.lease_until) == (line.clock, None, None)
    assert row.stage == "encode"  # where the next worker goes on
    assert line.told()[-1] == ("lost", "one stopped responding")
    assert line.claim("two") == Claim(1, 2, "two")


def test_a_lease_of_a_clock_that_was_ahead_holds_nobody_up(line: Line) -> None:
    line.ask()
    line.clock += 24 * HOUR
    line.claimed()
    line.clock -= 24 * HOUR  # put right
    assert queue.take_back_lost(line.engine, line.clock) == [1]
    assert line.row().status == "queued"


def test_a_lease_that_is_prolonged_meanwhile_is_left_alone(
    line: Line, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.clock += 2 * LEASE
    rival_first(monkeypatch, lambda: lease.renew(LEASE))
    assert queue.take_back_lost(line.engine, line.clock) == []
    assert line.row().lost == 0


def test_a_lost_record_is_taken_back_once_by_many_daemons(line: Line) -> None:
    for _ in range(4):
        line.ask()
        line.claimed()
    line.clock += 2 * LEASE
    ready = Barrier(4, timeout=600)

    def take_back(_: int) -> list[int]:
        ready.wait()
        return queue.take_back_lost(line.engine, line.clock)

    with ThreadPoolExecutor(4) as threads:
        back = [record for taken in threads.map(take_back, range(4)) for record in taken]
    assert sorted(back) == [1, 2, 3, 4]
    assert [line.row(n).lost for n in range(1, 5)] == [1] * 4


def lose(line: Line, *, dead: bool = False) -> None:
    """Claim the record as soon as that is possible, and lose it again."""
    line.clock = max(line.clock, line.row().run_after)
    held = line.claimed()
    if dead:
        queue.take_back_crashed(
            line.engine, held, line.clock, verbatim("its process was killed by SIGSEGV")
        )
    else:
        line.clock += LEASE + SECOND
        assert queue.take_back_lost(line.engine, line.clock) == [1]


@pytest.mark.parametrize(("dead", "most"), [(True, MOST_DIED), (False, MOST_LOST)])
def test_a_record_that_loses_its_worker_again_and_again_ends(
    line: Line, dead: bool, most: int
) -> None:
    line.ask()
    for lost in range(1, most):
        lose(line, dead=dead)
        row = line.row()
        assert (row.status, row.lost) == ("queued", lost)
        # At once the first time, and then later and later.
        assert row.run_after == line.clock + (delay(lost - 1) if lost > 1 else timedelta())
    lose(line, dead=dead)
    row = line.row()
    assert (row.status, row.error_code, row.lost, row.tries) == ("failed", "worker_died", 0, 0)
    assert f"{most} times" in reason(row)
    assert ("SIGSEGV" in reason(row)) == dead
    assert line.events() == ["asked", *["claimed", "lost"] * most, "failed"]
    assert line.claim() is None
    actions.retry(line.engine, 1, line.clock)
    lose(line, dead=dead)
    assert line.row().status == "queued"


@pytest.mark.parametrize("alive", [True, False])
def test_only_losses_in_a_row_count(line: Line, alive: bool) -> None:
    line.ask()
    for _ in range(MOST_DIED - 1):
        lose(line, dead=True)
    if alive:
        line.clock += HOUR
        line.lease(line.claimed()).hand_back(verbatim("the service is being stopped"))
    lose(line, dead=True)
    assert line.row().status == ("queued" if alive else "failed")


def test_the_claim_of_a_worker_that_is_known_to_live_is_left_alone(line: Line) -> None:
    """The database was away for long, and the workers could not prolong their leases."""
    for _ in range(3):
        line.ask()
    mine, other, earlier = line.claimed("mine"), line.claimed("another's"), line.claimed("mine")
    line.clock += 2 * LEASE
    known = [mine, Claim(earlier.record, earlier.attempt - 1, "mine")]
    assert queue.take_back_lost(line.engine, line.clock, known) == [other.record, earlier.record]
    assert queue.take_back_lost(line.engine, line.clock) == [mine.record]


def test_a_worker_that_is_known_to_be_dead_is_not_waited_for(line: Line, lease: Lease) -> None:
    how = verbatim("its process was killed by SIGKILL")
    queue.take_back_crashed(line.engine, lease.claim, line.clock, how)
    row = line.row()
    assert (row.status, row.lost, row.run_after) == ("queued", 1, line.clock)
    assert line.told()[-1] == ("lost", "its process was killed by SIGKILL")
    queue.take_back_crashed(line.engine, lease.claim, line.clock, verbatim("told again"))
    assert line.row().lost == 1
    line.claimed()
    queue.take_back_crashed(line.engine, lease.claim, line.clock, verbatim("told again"))
    assert (line.row().status, line.row().lost) == ("running", 1)


def test_a_row_that_somebody_holds_does_not_hold_up_the_others(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        line.ask()
        line.claimed()
    line.clock += 2 * LEASE
    rival_first(monkeypatch, quicker)
    assert queue.take_back_lost(line.engine, line.clock) == [2]
    assert queue.take_back_lost(line.engine, line.clock) == [1]


# --- the fence ------------------------------------------------------------------------------------


def taken_up_by_another(line: Line) -> None:
    taken_back(line)
    line.claimed("another")


def ended_by_another(line: Line) -> None:
    taken_back(line)
    ledger.complete_record(line.lease(line.claimed("another")), None, 0)


def deleted(line: Line) -> None:
    line.write(lambda session: session.execute(delete(Record)))


@pytest.mark.parametrize("happens", [taken_back, taken_up_by_another, ended_by_another, deleted])
def test_whoever_lost_a_record_writes_nothing_more(
    line: Line, lease: Lease, happens: Callable[[Line], None]
) -> None:
    line.write(
        lambda session: session.add(
            Source(room_id=1, name="speaker", role="speaker", kind="folder", address="/")
        )
    )
    ledger.reserve_name(lease, "folder", "merge", iter(["a.mp4"]), lambda name: False)
    happens(line)
    before = line.dump()
    for name, write in WRITES.items():
        with pytest.raises((LeaseLost, NoResultFound)):  # the latter for a row that is gone
            write(lease)
        assert line.dump() == before, name
    with pytest.raises(LeaseLost):
        lease.read_cancellation()


@pytest.mark.parametrize("name", WRITES)
def test_whoever_holds_a_record_writes(line: Line, lease: Lease, name: str) -> None:
    line.write(
        lambda session: session.add(
            Source(room_id=1, name="speaker", role="speaker", kind="folder", address="/")
        )
    )
    ledger.reserve_name(lease, "folder", "merge", iter(["a.mp4"]), lambda name: False)
    before = line.dump()
    WRITES[name](lease)
    assert line.dump() != before


def test_a_claim_of_the_future_writes_nothing_either(line: Line, lease: Lease) -> None:
    with pytest.raises(LeaseLost):
        rename(line.lease(Claim(1, 2, "one")))


def test_a_write_and_a_take_back_at_once_happen_one_after_the_other(line: Line) -> None:
    """Whichever is first: the row holds either what was written, or what the next worker needs."""
    for n in range(1, 9):
        line.ask()
        lease = line.lease(line.claimed())
        line.clock += 2 * LEASE
        ready = Barrier(2, timeout=600)

        def end(lease: Lease = lease, ready: Barrier = ready) -> str:
            ready.wait()
            try:
                lease.fail(WRONG)
            except LeaseLost:
                return "lost"
            return "failed"

        def take(ready: Barrier = ready) -> list[int]:
            ready.wait()
            return queue.take_back_lost(line.engine, line.clock)

        with ThreadPoolExecutor(2) as threads:
            ending, taking = threads.submit(end), threads.submit(take)
        outcome = (ending.result(), taking.result(), line.row(n).status, line.events(n)[2:])
        assert outcome in [("failed", [], "failed", ["failed"]), ("lost", [n], "queued", ["lost"])]
        line.set(n, status="cancelled")


# --- stages ---------------------------------------------------------------------------------------


def test_a_stage_is_written_down_once(line: Line, lease: Lease) -> None:
    line.set(tries=3)
    for stage in ("analyse", "analyse", "collect"):  # what is gone through again is not news
        line.clock += MINUTE
        lease.enter_stage(stage)
        row = line.row()
        assert (row.stage, row.progress, row.tries) == ("analyse", 0.0, 0)
        assert row.updated_at == NOON + MINUTE
    lease.enter_stage("deliver")
    assert (line.row().stage, line.row().updated_at) == ("deliver", line.clock)

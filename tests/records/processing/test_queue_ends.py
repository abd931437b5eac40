"""How a record leaves its worker: waiting, failing, cancelled; and how it comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, text

from merger.db.engine import reading, writing
from merger.delivery import ledger
from merger.errors import MergerError, NoMedia, Refused, Temporary
from merger.i18n import verbatim
from merger.records import actions
from merger.records.processing import leases, queue
from merger.records.processing.leases import Lease, LeaseLost
from merger.records.processing.queue import Claim
from merger.records.rules.retry import MOST_LOST
from models import STATUSES
from tests.records.processing.queue_steps import AWAY, SECOND, WRITES, WRONG, taken_back
from tests.support.line import HOUR, MINUTE, NOON, Line, reason
from tests.support.selection import BOTH_DATABASES

pytestmark = BOTH_DATABASES

# --- letting go -----------------------------------------------------------------------------------


def test_a_record_that_is_handed_back_can_be_taken_up_at_once(line: Line, lease: Lease) -> None:
    line.set(stage="encode", tries=2, progress=0.5)
    line.clock += MINUTE
    lease.hand_back(verbatim("the service is being stopped"))
    row = line.row()
    assert (row.status, row.stage, row.tries, row.progress) == ("queued", "encode", 2, 0.5)
    assert (row.claimed_by, row.lease_until, row.updated_at) == (None, None, line.clock)
    assert line.told()[-1] == ("handed_back", "the service is being stopped")
    assert line.claim("two") == Claim(1, 2, "two")


def test_waiting_is_no_failure(line: Line, lease: Lease) -> None:
    line.set(stage="analyse")
    lease.wait_for_media(line.clock + MINUTE, verbatim("waits for media"))
    row = line.row()
    assert (row.status, row.tries, row.stage, row.error_code) == ("queued", 0, "collect", None)
    assert row.run_after == NOON + MINUTE
    assert line.told()[-1] == ("waiting", "waits for media")
    assert line.claim() is None
    line.clock += MINUTE
    assert line.claim() == Claim(1, 2, "one")


def test_a_failure_that_may_pass_is_counted(line: Line) -> None:
    line.ask()
    for tries in (1, 2, 3):
        lease = line.lease(line.claimed())
        lease.enter_stage("encode")
        lease.defer(line.clock + MINUTE, AWAY)
        row = line.row()
        assert (row.status, row.tries, row.stage) == ("queued", tries, "encode")
        assert (row.error_code, reason(row)) == ("share", "the share is away")
        assert row.run_after == line.clock + MINUTE
        assert line.told()[-1] == ("put_off", "the share is away")
        line.clock += MINUTE
    ledger.complete_record(line.lease(line.claimed()), None, 0)
    row = line.row()
    assert (row.status, row.tries) == ("delivered", 0)
    assert (row.error_code, row.error_message) == (None, None)


def test_a_record_without_media_is_watched_for_some(line: Line, lease: Lease) -> None:
    lease.fail(NoMedia("no_media", "nothing"), line.clock + HOUR)
    row = line.row()
    assert (row.status, row.error_code, row.watched_until) == ("failed", "no_media", NOON + HOUR)


def test_a_failure_that_somebody_has_to_act_on_ends_a_record(line: Line, lease: Lease) -> None:
    lease.fail(WRONG)
    assert line.row().watched_until is None
    row = line.row()
    assert (row.status, row.tries, row.error_code) == ("failed", 1, "ffmpeg")
    assert reason(row) == "there is no ffmpeg"
    assert line.told()[-1] == ("failed", "there is no ffmpeg")
    assert line.claim() is None


@pytest.mark.parametrize("end", ["defer", "fail"])
def test_the_longest_message_can_be_kept(line: Line, lease: Lease, end: str) -> None:
    error = Temporary("share", "я" * 100_000)
    if end == "fail":
        lease.fail(error)
    else:
        lease.defer(line.clock, error)
    assert set(reason(line.row())) == {"я"}
    assert set(line.told()[-1][1]) == {"я"}


LET_GO = ["hand_back", "wait", "defer", "fail", "cancel"]


@pytest.mark.parametrize("name", LET_GO)
def test_to_let_go_twice_is_to_let_go_once(line: Line, lease: Lease, name: str) -> None:
    """As when the database was away just when it answered."""
    WRITES[name](lease)
    once = line.dump()
    WRITES[name](lease)
    assert line.dump() == once
    other = LET_GO[LET_GO.index(name) - 1]
    with pytest.raises(LeaseLost):  # to say something else is no repetition
        WRITES[other](lease)
    assert line.dump() == once


@pytest.mark.parametrize("name", ["hand_back", "wait", "defer"])
def test_to_let_go_twice_does_not_disturb_the_next_worker(
    line: Line, lease: Lease, name: str
) -> None:
    WRITES[name](lease)
    later = line.lease(line.claimed("two"))
    taken = line.dump()
    WRITES[name](lease)
    assert line.dump() == taken
    later.read_cancellation()
    assert not later.is_cancelled


def test_what_an_earlier_attempt_let_go_of_is_no_answer_to_a_later_one(
    line: Line, lease: Lease
) -> None:
    lease.hand_back(verbatim("why"))
    later = line.claimed()
    taken_back(line)
    with pytest.raises(LeaseLost):
        line.lease(later).hand_back(verbatim("why"))


@pytest.mark.parametrize("name", LET_GO)
def test_a_lost_answer_is_no_lost_lease(
    line: Line, lease: Lease, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answerless(engine: Engine, act: Any) -> Any:
        writing(engine, act)
        monkeypatch.undo()
        raise Temporary("database", "the database cannot be reached")

    monkeypatch.setattr(leases, "writing", answerless)
    with pytest.raises(Temporary):
        WRITES[name](lease)
    WRITES[name](lease)
    assert len(line.events()) == 3


# --- cancelling -----------------------------------------------------------------------------------


def test_cancelling_what_is_queued(line: Line) -> None:
    line.ask()
    assert actions.cancel(line.engine, 1, line.clock) == "cancelled"
    assert line.row().status == "cancelled"
    assert line.told()[-1] == ("cancelled", "cancelled before it started")
    assert line.claim() is None


def test_cancelling_what_is_worked_on(line: Line, lease: Lease) -> None:
    assert actions.cancel(line.engine, 1, line.clock) == "running"
    line.clock += SECOND
    assert actions.cancel(line.engine, 1, line.clock) == "running"  # nobody has to ask twice
    row = line.row()
    assert (row.status, row.cancel_requested_at) == ("running", NOON)
    assert line.told()[-1] == ("cancel", "cancellation requested")
    lease.cancel()
    row = line.row()
    assert (row.status, row.cancel_requested_at, row.error_code) == ("cancelled", None, None)
    assert line.events() == ["asked", "claimed", "cancel", "cancelled"]


@pytest.mark.parametrize("status", ["delivered", "failed", "cancelled"])
def test_cancelling_what_has_ended(line: Line, status: str) -> None:
    line.ask()
    line.set(status=status)
    before = line.dump()
    with pytest.raises(Refused, match=f"already {status}"):
        actions.cancel(line.engine, 1, line.clock)
    assert line.dump() == before


@pytest.mark.parametrize("act", [actions.cancel, actions.retry])
def test_there_is_no_such_record(line: Line, act: Callable[..., Any]) -> None:
    with pytest.raises(Refused, match="there is no recording 7"):
        act(line.engine, 7, line.clock)


@pytest.mark.parametrize("name", ["hand_back", "wait", "defer"])
def test_who_lets_go_of_a_record_that_is_to_be_cancelled_cancels_it(
    line: Line, lease: Lease, name: str
) -> None:
    actions.cancel(line.engine, 1, line.clock)
    WRITES[name](lease)
    row = line.row()
    assert (row.status, row.cancel_requested_at) == ("cancelled", None)
    assert line.events()[-1] == "cancelled"
    assert line.claim() is None
    WRITES[name](lease)
    assert line.events().count("cancelled") == 1


def test_a_record_that_is_to_be_cancelled_may_fail_or_be_delivered_first(line: Line) -> None:
    for n, (name, status) in enumerate((("fail", "failed"), ("complete", "delivered")), 1):
        line.ask()
        lease = line.lease(line.claimed())
        actions.cancel(line.engine, n, line.clock)
        WRITES[name](lease)
        row = line.row(n)
        assert (row.status, row.cancel_requested_at) == (status, None)


@pytest.mark.parametrize("known_dead", [True, False])
def test_a_record_that_is_to_be_cancelled_is_not_queued_again_when_it_is_lost(
    line: Line, known_dead: bool
) -> None:
    line.ask()
    line.lease(line.claimed()).defer(line.clock, AWAY)
    held = line.claimed()
    actions.cancel(line.engine, 1, line.clock)
    if known_dead:
        queue.take_back_crashed(
            line.engine, held, line.clock, verbatim("its process was killed by SIGKILL")
        )
    else:
        taken_back(line)
    row = line.row()
    assert (row.status, row.lost, row.cancel_requested_at) == ("cancelled", 0, None)
    kinds = line.events()
    assert kinds[-2:] == ["lost", "cancelled"]
    assert "share" not in line.told()[-1][1]  # what went wrong before is not why


# --- what people look for -------------------------------------------------------------------------


def test_done_and_processing_follow_the_status(line: Line) -> None:
    expected = {
        "queued": (0, 0), "running": (1, 0), "delivered": (0, 1), "failed": (0, 1), "cancelled": (0, 1)
    }  # fmt: skip
    for n, status in enumerate(STATUSES, 1):
        line.ask()
        line.set(n, status=status)
        assert (line.row(n).processing, line.row(n).done) == expected[status]
    with reading(line.engine) as session:
        found = session.execute(
            text("SELECT id FROM records WHERE done = 0 AND processing = 0")
        ).all()
    assert found == [(1 + STATUSES.index("queued"),)]


# --- making a record again ------------------------------------------------------------------------


@pytest.fixture
def remade(line: Line, lease: Lease) -> Lease:
    """The lease of a record that was delivered and is made again, as version 2."""
    ledger.complete_record(lease, line.clock + HOUR, 0)
    line.set(status="queued", version=2, stage="collect")
    return line.lease(line.claimed())


@pytest.mark.parametrize("way", ["fail", "worker_died"])
def test_a_remake_that_fails_leaves_what_people_have(line: Line, remade: Lease, way: str) -> None:
    if way == "fail":
        remade.fail(WRONG)
        code, kind = "ffmpeg", "failed"
    else:
        line.set(lost=MOST_LOST - 1)
        taken_back(line)
        code, kind = "worker_died", "failed"
    row = line.row()
    assert (row.status, row.version, row.delivered_version) == ("delivered", 1, 1)
    assert (row.done, row.processing, row.error_code) == (1, 0, code)
    assert row.error_message
    assert line.events()[-1] == kind


@pytest.mark.parametrize("way", ["worker", "hand_back", "lost", "queued"])
def test_a_remake_that_is_cancelled_leaves_what_people_have(
    line: Line, remade: Lease, way: str
) -> None:
    if way == "queued":
        remade.hand_back(verbatim("the service is being stopped"))
    assert actions.cancel(line.engine, 1, line.clock) == (
        "delivered" if way == "queued" else "running"
    )
    if way == "worker":
        remade.cancel()
    elif way == "hand_back":
        remade.hand_back(verbatim("the service is being stopped"))
    elif way == "lost":
        taken_back(line)
    row = line.row()
    assert (row.status, row.version, row.error_code) == ("delivered", 1, None)
    assert row.cancel_requested_at is None
    assert line.events()[-1] == "cancelled"


def test_a_remake_that_waits_or_is_put_off_is_still_a_remake(line: Line, remade: Lease) -> None:
    remade.wait_for_media(line.clock, verbatim("waits"))
    assert (line.row().status, line.row().version) == ("queued", 2)
    line.lease(line.claimed()).defer(line.clock, AWAY)
    assert (line.row().status, line.row().version) == ("queued", 2)


def test_a_remake_that_failed_can_be_tried_again(line: Line, remade: Lease) -> None:
    line.set(stage="deliver")
    remade.fail(WRONG)
    line.clock += MINUTE
    actions.retry(line.engine, 1, line.clock)
    row = line.row()
    assert (row.status, row.version, row.delivered_version) == ("queued", 2, 1)
    assert (row.stage, row.tries, row.error_code, row.error_message) == ("collect", 0, None, None)
    assert (row.run_after, line.told()[-1][0]) == (line.clock, "retried")
    ledger.complete_record(line.lease(line.claimed()), None, 0)
    row = line.row()
    assert (row.status, row.version, row.delivered_version) == ("delivered", 2, 2)
    with pytest.raises(Refused, match="nothing failed"):
        actions.retry(line.engine, 1, line.clock)


# --- trying again by hand -------------------------------------------------------------------------


@pytest.mark.parametrize("error", [WRONG, AWAY])
def test_a_failed_record_is_tried_again_from_the_beginning(line: Line, error: MergerError) -> None:
    line.ask()
    lease = line.lease(line.claimed())
    lease.enter_stage("encode")
    lease.fail(error)
    line.clock += MINUTE
    actions.retry(line.engine, 1, line.clock)
    row = line.row()
    assert (row.status, row.stage, row.tries, row.lost) == ("queued", "collect", 0, 0)
    assert (row.run_after, row.error_code, row.version) == (line.clock, None, 1)
    assert line.claim() == Claim(1, 2, "one")


def test_what_could_not_be_delivered_is_not_made_again(line: Line, lease: Lease) -> None:
    lease.enter_stage("deliver")
    lease.fail(WRONG)
    actions.retry(line.engine, 1, line.clock)
    assert line.row().stage == "deliver"


def test_a_cancelled_record_can_be_tried_again(line: Line) -> None:
    line.ask()
    actions.cancel(line.engine, 1, line.clock)
    actions.retry(line.engine, 1, line.clock)
    assert line.claim() == Claim(1, 1, "one")


def test_a_record_that_waits_can_be_tried_at_once(line: Line, lease: Lease) -> None:
    lease.defer(line.clock + HOUR, AWAY)
    assert line.claim() is None
    actions.retry(line.engine, 1, line.clock)
    assert line.claim() == Claim(1, 2, "one")


def test_what_is_worked_on_is_not_tried_again(line: Line, lease: Lease) -> None:
    with pytest.raises(Refused, match="is being processed"):
        actions.retry(line.engine, 1, line.clock)
    lease.read_cancellation()
    assert not lease.is_cancelled

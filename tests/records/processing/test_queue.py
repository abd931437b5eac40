"""The queue: which record is claimed, and by whom."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import count
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, text

from merger.i18n import verbatim
from merger.records import actions
from merger.records.processing import queue
from merger.records.processing.queue import Claim
from models import STATUSES
from tests.records.processing.queue_steps import SECOND, quicker, rival_first
from tests.support.databases import ON_SQLITE
from tests.support.line import HOUR, LEASE, MINUTE, NOON, Line, claims
from tests.support.selection import BOTH_DATABASES

pytestmark = BOTH_DATABASES

# --- claims ---------------------------------------------------------------------------------------


def test_due_time_decides_and_then_age(line: Line) -> None:
    for due in (-MINUTE, -3 * MINUTE, -2 * MINUTE, -3 * MINUTE, timedelta()):
        line.ask(due)
    assert [line.claimed().record for _ in range(5)] == [2, 4, 3, 1, 5]
    assert line.claim() is None


def test_nothing_is_claimed_before_it_is_due(line: Line) -> None:
    assert line.claim() is None
    line.ask()
    line.clock = NOON - timedelta(microseconds=1)
    assert line.claim() is None
    line.clock = NOON
    assert line.claimed() == Claim(1, 1, "one")


def test_what_a_claim_writes(line: Line) -> None:
    line.ask()
    line.clock += MINUTE
    held = line.claimed("host-17")
    row = line.row()
    assert (row.status, row.attempt, row.claimed_by) == ("running", 1, "host-17")
    assert (row.claimed_at, row.lease_until) == (line.clock, line.clock + LEASE)
    assert (row.updated_at, row.stage, row.tries, row.lost) == (line.clock, "collect", 0, 0)
    assert line.told() == [("asked", "requested"), ("claimed", "started by host-17")]
    line.lease(held).read_cancellation()


@pytest.mark.parametrize("status", [s for s in STATUSES if s != "queued"])
def test_only_what_is_queued_is_claimed(line: Line, status: str) -> None:
    line.ask()
    line.set(status=status)
    assert line.claim() is None


def test_of_two_who_want_the_same_record_one_has_it(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.ask()
    rival: list[Claim | None] = []
    rival_first(monkeypatch, lambda: rival.append(line.claim("rival")))
    assert line.claim("slow") is None
    assert rival == [Claim(1, 1, "rival")]
    assert line.row().claimed_by == "rival"
    assert line.events() == ["asked", "claimed"]


def test_who_loses_a_record_takes_the_next(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.ask()
    line.ask(MINUTE)
    line.clock += MINUTE
    rival_first(monkeypatch, lambda: line.claim("rival"))
    assert line.claim("slow") == Claim(2, 1, "slow")


def test_who_loses_all_candidates_looks_again(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(queue._CANDIDATES + 2):
        line.ask()
    rival_first(monkeypatch, lambda: [line.claim("rival") for _ in range(queue._CANDIDATES)])
    assert line.claim("slow") == Claim(queue._CANDIDATES + 1, 1, "slow")


def test_a_record_that_was_taken_and_given_back_meanwhile_is_not_taken_twice(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.ask()

    def take_and_give_back() -> None:
        line.lease(line.claimed("rival")).hand_back(verbatim("changed its mind"))

    rival_first(monkeypatch, take_and_give_back)
    assert line.claim("slow") is None  # attempt 1 is the rival's for ever
    assert line.claim("slow") == Claim(1, 2, "slow")


def test_a_record_that_is_put_off_meanwhile_is_not_taken(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.ask()
    rival_first(monkeypatch, lambda: line.set(run_after=NOON + MINUTE))
    assert line.claim() is None
    assert line.events() == ["asked"]


def test_a_record_that_is_cancelled_meanwhile_is_not_taken(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.ask()
    rival_first(monkeypatch, lambda: actions.cancel(line.engine, 1, line.clock))
    assert line.claim() is None
    assert line.row().status == "cancelled"


def test_whoever_is_always_too_late_gives_up(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(queue._CANDIDATES):
        line.ask()
    tried = count()

    def lose(engine: Engine, act: Any) -> bool:
        return next(tried) < 0

    monkeypatch.setattr(queue, "writing", lose)
    assert line.claim() is None
    assert next(tried) > queue._CANDIDATES


def test_a_candidate_that_the_database_does_not_give_is_passed_over(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.ask()
    line.ask()

    rival_first(monkeypatch, quicker)
    assert line.claim() == Claim(2, 1, "one")
    assert line.claim() == Claim(1, 1, "one")


def test_threads_that_claim_at_once_have_a_record_each(line: Line) -> None:
    for _ in range(24):
        line.ask()
    ready = Barrier(8, timeout=600)

    def work(worker: int) -> list[Claim]:
        ready.wait()
        return list(iter(lambda: line.claim(f"thread {worker}"), None))

    with ThreadPoolExecutor(8) as threads:
        held = [one for taken in threads.map(work, range(8)) for one in taken]
    assert sorted(one.record for one in held) == list(range(1, 25))
    assert {one.attempt for one in held} == {1}
    assert sorted(claims(line.engine)) == [(n, 1) for n in range(1, 25)]


# --- who goes first -------------------------------------------------------------------------------


def test_a_room_with_many_records_does_not_hold_up_the_others(line: Line) -> None:
    for n in range(100):
        line.ask(-2 * HOUR + n * SECOND)
    others = []
    for n in range(5):
        line.room(f"room {n}")
        others.append(line.ask(-n * SECOND, f"room {n}"))
    served = []
    for _ in range(12):
        served.append(line.claimed().record)
        line.clock += SECOND
    # One of the busy room, which was first; then each of the others; then the busy room again.
    assert served == [1, *reversed(others), 2, 3, 4, 5, 6, 7]


def test_a_user_with_many_records_does_not_hold_up_the_others(line: Line) -> None:
    for n in range(10):
        line.room(f"room {n}")
    for n in range(40):
        line.ask(-2 * HOUR + n * SECOND, f"room {n % 10}", "busy@example.org")
    others = [line.ask(-n * SECOND, f"room {n}", f"{n}@example.org") for n in (1, 2, 3)]
    served = [line.claimed().record for _ in range(8)]
    # One of the busy user, which was first; then each of the others; then the busy user again.
    assert served == [1, *reversed(others), 2, 3, 4, 5]


def test_only_the_owner_counts_among_the_users_of_a_record(line: Line) -> None:
    for name in "abc":
        line.room(name)
    line.ask(-3 * MINUTE, "a", "one@example.org", "two@example.org")
    line.claimed()
    line.ask(-2 * MINUTE, "b", "two@example.org", "one@example.org")
    line.ask(-1 * MINUTE, "c", "three@example.org")
    assert line.claimed().record == 2  # user two was not served yet


def test_who_was_served_an_hour_ago_waits_no_longer(line: Line) -> None:
    for name in ("other", "third"):
        line.room(name)
    line.ask(-3 * HOUR)
    line.clock -= HOUR
    line.claimed()
    line.ask(-2 * HOUR)
    line.ask(-2 * MINUTE, "other")
    line.clock = NOON - timedelta(microseconds=1)
    assert line.claimed().record == 3  # 504 was served within the hour
    line.ask(-1 * MINUTE, "third")
    line.clock = NOON
    assert line.claimed().record == 2


def expected_next(waiting: dict[int, Any], served: list[Any], now: datetime) -> int | None:
    """Return which record is next, worked out anew: the reference for the query."""
    lately = [one for at, one in served if at > now - HOUR]
    rooms = Counter(room for room, _ in lately)
    owners = Counter(owner for _, owner in lately if owner)
    due = [
        (max(rooms[room], owners[owner] if owner else 0), run_after, record)
        for record, (run_after, room, owner) in waiting.items()
        if run_after <= now
    ]
    return min(due)[2] if due else None


@pytest.mark.parametrize("seed", range(3))
def test_who_is_next_and_that_nobody_starves(line: Line, seed: int) -> None:
    chance = random.Random(seed)
    rooms = ["504", "a", "b", "c"]
    owners = [None, "1@example.org", "2@example.org", "3@example.org"]
    for room in rooms[1:]:
        line.room(room)
    waiting: dict[int, Any] = {}
    for _ in range(40):
        # Few rooms have most of the records.
        room, owner = (chance.choices(of, (8, 2, 1, 1))[0] for of in (rooms, owners))
        due = chance.choice((0, 0, 60, 600, 3600, 7200)) * chance.random() * SECOND
        record = line.ask(due, room, *([owner] if owner else []))
        waiting[record] = (NOON + due, room, owner)
    served: list[Any] = []
    while waiting:
        expected = expected_next(waiting, served, line.clock)
        held = line.claim()
        assert (held and held.record) == expected
        if held is not None:
            served.append((line.clock, waiting.pop(held.record)[1:]))
        line.clock += chance.choice((0, 1, 60, 600)) * SECOND
        assert line.clock < NOON + timedelta(days=7)


def test_a_stream_of_newcomers_does_not_starve_a_busy_room(line: Line) -> None:
    for n in range(8):
        line.ask(-HOUR + n * SECOND)
    for _ in range(6):
        line.claimed()
    waited = 0
    while line.row(7).status == "queued":
        line.clock += 10 * MINUTE
        line.room(f"new {waited}")
        line.ask(line.clock - NOON, f"new {waited}")
        line.claimed()
        waited += 1
        assert waited <= 7  # an hour after it was served last, the busy room is like any other


def test_a_record_whose_room_is_gone_is_claimed_all_the_same(line: Line) -> None:
    line.ask()
    line.ask(MINUTE)
    line.write(lambda session: session.execute(text("DELETE FROM rooms")))
    line.clock += MINUTE
    assert [line.claimed().record, line.claimed().record] == [1, 2]


@ON_SQLITE
def test_the_whole_history_is_not_read_for_who_is_next(line: Line) -> None:
    times = {"now": NOON, "lately": NOON}
    wanted = (
        queue._next_due().params(times).compile(line.engine, compile_kwargs={"literal_binds": True})
    )
    with line.engine.connect() as connection:
        steps = connection.execute(text(f"EXPLAIN QUERY PLAN {wanted}")).scalars("detail").all()
    scans = [step for step in steps if step.startswith("SCAN")]
    assert set(scans) == {"SCAN served"}

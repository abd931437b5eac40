"""The queue: who works on which record, what may be written, and what becomes of it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import count
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, delete, text
from sqlalchemy.exc import NoResultFound

from merger import ledger, outcomes, queue, records
from merger.analysis.sampling import Seen
from merger.database import LostRace, reading, writing
from merger.errors import Broken, MergerError, NoMedia, Refused, Temporary
from merger.layout import Size
from merger.plan import Chunk
from merger.queue import Claim, LeaseLost, Order
from merger.report import Rendition
from merger.retry import MOST_DIED, MOST_LOST, delay
from merger.sources import Collected, Item
from merger.timeline import Span
from models import STATUSES, Record, Source
from tests.databases import ON_SQLITE
from tests.line import HOUR, LEASE, MINUTE, NOON, Line, claims

SECOND = timedelta(seconds=1)
AWAY = Temporary("share", "the share is away")
WRONG = Broken("ffmpeg", "there is no ffmpeg")


@pytest.fixture
def line(engine: Engine) -> Line:
    """A queue of room 504, at noon."""
    made = Line(engine)
    made.room("504")
    return made


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
    assert line.told() == [("asked", "asked for"), ("claimed", "taken up by host-17")]
    assert queue.orders(line.engine, held) == Order(cancelled=False)


@pytest.mark.parametrize("status", [s for s in STATUSES if s != "queued"])
def test_only_what_is_queued_is_claimed(line: Line, status: str) -> None:
    line.ask()
    line.set(status=status)
    assert line.claim() is None


def rival_first(
    monkeypatch: pytest.MonkeyPatch, interfere: Callable[[], object]
) -> Callable[[], int]:
    """Have somebody do something once the next candidates are known, but none is taken yet."""
    taken = count()

    def write(engine: Engine, act: Any) -> Any:
        if next(taken) == 0:
            monkeypatch.undo()
            interfere()
        return writing(engine, act)

    monkeypatch.setattr(queue, "writing", write)
    return lambda: next(taken)


def quicker() -> None:
    """Say that others were quicker, this time."""
    raise LostRace("database_race", "others were quicker")


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
        queue.hand_back(line.engine, line.claimed("rival"), line.clock, "changed its mind")

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
    rival_first(monkeypatch, lambda: records.cancel(line.engine, 1, line.clock))
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
    ready = Barrier(8, timeout=60)

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
    wanted = queue._next_due(NOON).compile(line.engine, compile_kwargs={"literal_binds": True})
    with line.engine.connect() as connection:
        steps = connection.execute(text(f"EXPLAIN QUERY PLAN {wanted}")).scalars("detail").all()
    scans = [step for step in steps if step.startswith("SCAN")]
    assert set(scans) == {"SCAN served"}


# --- leases ---------------------------------------------------------------------------------------


@pytest.fixture
def held(line: Line) -> Claim:
    """A claim of a record that was claimed at noon."""
    line.ask()
    return line.claimed()


def test_a_lease_is_prolonged(line: Line, held: Claim) -> None:
    line.clock += 40 * SECOND
    assert queue.renew(line.engine, held, line.clock, LEASE) == Order(cancelled=False)
    row = line.row()
    assert (row.lease_until, row.progress, row.updated_at) == (line.clock + LEASE, 0.0, NOON)
    queue.renew(line.engine, held, line.clock, LEASE, 0.25)
    row = line.row()
    assert (row.progress, row.updated_at) == (0.25, line.clock)
    records.cancel(line.engine, 1, line.clock)
    assert queue.renew(line.engine, held, line.clock, LEASE) == Order(cancelled=True)
    assert queue.orders(line.engine, held) == Order(cancelled=True)


def test_a_lease_that_ran_out_is_prolonged_as_long_as_nobody_took_the_record(
    line: Line, held: Claim
) -> None:
    line.clock += 3 * LEASE
    queue.renew(line.engine, held, line.clock, LEASE)
    assert queue.take_back_lost(line.engine, line.clock) == []
    assert line.row().lease_until == line.clock + LEASE


def test_a_record_whose_worker_gives_no_sign_of_life_is_queued_again(
    line: Line, held: Claim
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
    assert line.told()[-1] == ("lost", "one gave no sign of life")
    assert line.claim("two") == Claim(1, 2, "two")


def test_a_lease_that_is_prolonged_meanwhile_is_left_alone(
    line: Line, held: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.clock += 2 * LEASE
    rival_first(monkeypatch, lambda: queue.renew(line.engine, held, line.clock, LEASE))
    assert queue.take_back_lost(line.engine, line.clock) == []
    assert line.row().lost == 0


def test_a_lost_record_is_taken_back_once_by_many_daemons(line: Line) -> None:
    for _ in range(4):
        line.ask()
        line.claimed()
    line.clock += 2 * LEASE
    ready = Barrier(4, timeout=60)

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
        queue.crashed(line.engine, held, line.clock, "its process was ended by SIGSEGV")
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
    assert row.error_text is not None and f"{most} times" in row.error_text
    assert ("SIGSEGV" in row.error_text) == dead
    assert line.events() == ["asked", *["claimed", "lost"] * most, "failed"]
    assert line.claim() is None
    records.retry(line.engine, 1, line.clock)
    lose(line, dead=dead)
    assert line.row().status == "queued"


@pytest.mark.parametrize("alive", [True, False])
def test_only_losses_in_a_row_count(line: Line, alive: bool) -> None:
    line.ask()
    for _ in range(MOST_DIED - 1):
        lose(line, dead=True)
    if alive:
        line.clock += HOUR
        queue.hand_back(line.engine, line.claimed(), line.clock, "the service is being stopped")
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


def test_a_worker_that_is_known_to_be_dead_is_not_waited_for(line: Line, held: Claim) -> None:
    queue.crashed(line.engine, held, line.clock, "its process was ended by SIGKILL")
    row = line.row()
    assert (row.status, row.lost, row.run_after) == ("queued", 1, line.clock)
    assert line.told()[-1] == ("lost", "its process was ended by SIGKILL")
    queue.crashed(line.engine, held, line.clock, "told again")
    assert line.row().lost == 1
    line.claimed()
    queue.crashed(line.engine, held, line.clock, "told again")
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

Write = Callable[[Line, Claim], object]
SPAN = Span(NOON - HOUR, NOON)
ITEM = Item("a.mp4", "1", NOON - HOUR, NOON, 1, True)


def keep_segments(line: Line, held: Claim) -> None:
    outcomes.keep_segments(
        line.engine, held, Path("/data"), {"speaker": [Collected(ITEM, Path("/data/a.mp4"))]},
        {"speaker": 1}, [], line.clock,
    )  # fmt: skip


def keep_renditions(line: Line, held: Claim) -> None:
    made = Rendition("merge", Path("/data/a.mp4"), 1, Size(16, 9), "h264", 1, "0" * 64)
    outcomes.keep_renditions(line.engine, held, Path("/data"), [made], {}, line.clock)


def keep_chunks(line: Line, held: Claim) -> None:
    seen = Chunk(SPAN, True, "presentation", Fraction(1), 1)
    outcomes.keep_chunks(line.engine, held, [Seen(seen, [], [])])


def no_more(line: Line, held: Claim) -> None:
    def write(session: Any, row: Record) -> None:
        row.event_name = "changed"

    queue.fenced(line.engine, held, write)


WRITES: dict[str, Write] = {
    "renew": lambda line, held: queue.renew(line.engine, held, line.clock, LEASE, 0.5),
    "fenced": no_more,
    "enter": lambda line, held: queue.enter(line.engine, held, "encode", line.clock),
    "hand_back": lambda line, held: queue.hand_back(line.engine, held, line.clock, "why"),
    "wait": lambda line, held: queue.wait(line.engine, held, line.clock, line.clock, "why"),
    "put_off": lambda line, held: queue.put_off(line.engine, held, line.clock, line.clock, AWAY),
    "fail": lambda line, held: queue.fail(line.engine, held, line.clock, WRONG),
    "cancelled": lambda line, held: queue.cancelled(line.engine, held, line.clock),
    "keep_segments": keep_segments,
    "keep_chunks": keep_chunks,
    "keep_renditions": keep_renditions,
    "reserve": lambda line, held: ledger.reserve(
        line.engine, held, "folder", "backup", iter(["b.mp4"]), lambda name: False
    ),
    "keep": lambda line, held: ledger.keep(line.engine, held, "folder", "merge", {"a": 1}),
    "done": lambda line, held: ledger.done(
        line.engine, held, "folder", "merge", 1, "0" * 64, "link", line.clock
    ),
    "removed": lambda line, held: ledger.removed(line.engine, held, "folder", "merge"),
    "complete": lambda line, held: ledger.complete(line.engine, held, line.clock, None, 0),
}


def taken_back(line: Line) -> None:
    line.clock += 2 * LEASE
    assert queue.take_back_lost(line.engine, line.clock) == [1]


def taken_up_by_another(line: Line) -> None:
    taken_back(line)
    line.claimed("another")


def ended_by_another(line: Line) -> None:
    taken_back(line)
    ledger.complete(line.engine, line.claimed("another"), line.clock, None, 0)


def deleted(line: Line) -> None:
    line.write(lambda session: session.execute(delete(Record)))


@pytest.mark.parametrize("happens", [taken_back, taken_up_by_another, ended_by_another, deleted])
def test_whoever_lost_a_record_writes_nothing_more(
    line: Line, held: Claim, happens: Callable[[Line], None]
) -> None:
    line.write(
        lambda session: session.add(
            Source(room_id=1, name="speaker", role="speaker", kind="folder", address="/")
        )
    )
    ledger.reserve(line.engine, held, "folder", "merge", iter(["a.mp4"]), lambda name: False)
    happens(line)
    before = line.dump()
    for name, write in WRITES.items():
        with pytest.raises((LeaseLost, NoResultFound)):  # the latter for a row that is gone
            write(line, held)
        assert line.dump() == before, name
    with pytest.raises(LeaseLost):
        queue.orders(line.engine, held)


@pytest.mark.parametrize("name", WRITES)
def test_whoever_holds_a_record_writes(line: Line, held: Claim, name: str) -> None:
    line.write(
        lambda session: session.add(
            Source(room_id=1, name="speaker", role="speaker", kind="folder", address="/")
        )
    )
    ledger.reserve(line.engine, held, "folder", "merge", iter(["a.mp4"]), lambda name: False)
    before = line.dump()
    WRITES[name](line, held)
    assert line.dump() != before


def test_a_claim_of_the_future_writes_nothing_either(line: Line, held: Claim) -> None:
    with pytest.raises(LeaseLost):
        no_more(line, Claim(1, 2, "one"))


def test_a_write_and_a_take_back_at_once_happen_one_after_the_other(line: Line) -> None:
    """Whichever is first: the row holds either what was written, or what the next worker needs."""
    for n in range(1, 9):
        line.ask()
        held = line.claimed()
        line.clock += 2 * LEASE
        ready = Barrier(2, timeout=60)

        def end(held: Claim = held, ready: Barrier = ready) -> str:
            ready.wait()
            try:
                queue.fail(line.engine, held, line.clock, WRONG)
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


def test_a_stage_is_written_down_once(line: Line, held: Claim) -> None:
    line.set(tries=3)
    for stage in ("analyse", "analyse", "collect"):  # what is gone through again is not news
        line.clock += MINUTE
        queue.enter(line.engine, held, stage, line.clock)
        row = line.row()
        assert (row.stage, row.progress, row.tries) == ("analyse", 0.0, 0)
        assert row.updated_at == NOON + MINUTE
    queue.enter(line.engine, held, "deliver", line.clock)
    assert (line.row().stage, line.row().updated_at) == ("deliver", line.clock)


# --- letting go -----------------------------------------------------------------------------------


def test_a_record_that_is_handed_back_can_be_taken_up_at_once(line: Line, held: Claim) -> None:
    line.set(stage="encode", tries=2, progress=0.5)
    line.clock += MINUTE
    queue.hand_back(line.engine, held, line.clock, "the service is being stopped")
    row = line.row()
    assert (row.status, row.stage, row.tries, row.progress) == ("queued", "encode", 2, 0.5)
    assert (row.claimed_by, row.lease_until, row.updated_at) == (None, None, line.clock)
    assert line.told()[-1] == ("handed_back", "the service is being stopped")
    assert line.claim("two") == Claim(1, 2, "two")


def test_waiting_is_no_failure(line: Line, held: Claim) -> None:
    line.set(stage="analyse")
    queue.wait(line.engine, held, line.clock, line.clock + MINUTE, "waits for media")
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
        held = line.claimed()
        queue.enter(line.engine, held, "encode", line.clock)
        queue.put_off(line.engine, held, line.clock, line.clock + MINUTE, AWAY)
        row = line.row()
        assert (row.status, row.tries, row.stage) == ("queued", tries, "encode")
        assert (row.error_code, row.error_text) == ("share", "the share is away")
        assert row.run_after == line.clock + MINUTE
        assert line.told()[-1] == ("put_off", "the share is away")
        line.clock += MINUTE
    ledger.complete(line.engine, line.claimed(), line.clock, None, 0)
    row = line.row()
    assert (row.status, row.tries, row.error_code, row.error_text) == ("delivered", 0, None, None)


def test_a_record_without_media_is_watched_for_some(line: Line, held: Claim) -> None:
    queue.fail(line.engine, held, line.clock, NoMedia("no_media", "nothing"), line.clock + HOUR)
    row = line.row()
    assert (row.status, row.error_code, row.watched_until) == ("failed", "no_media", NOON + HOUR)


def test_a_failure_that_somebody_has_to_act_on_ends_a_record(line: Line, held: Claim) -> None:
    queue.fail(line.engine, held, line.clock, WRONG)
    assert line.row().watched_until is None
    row = line.row()
    assert (row.status, row.tries, row.error_code) == ("failed", 1, "ffmpeg")
    assert row.error_text == "there is no ffmpeg"
    assert line.told()[-1] == ("failed", "there is no ffmpeg")
    assert line.claim() is None


@pytest.mark.parametrize("end", ["put_off", "fail"])
def test_the_longest_message_can_be_kept(line: Line, held: Claim, end: str) -> None:
    error = Temporary("share", "я" * 100_000)
    if end == "fail":
        queue.fail(line.engine, held, line.clock, error)
    else:
        queue.put_off(line.engine, held, line.clock, line.clock, error)
    assert set(line.row().error_text or "") == {"я"}
    assert set(line.told()[-1][1]) == {"я"}


LET_GO = ["hand_back", "wait", "put_off", "fail", "cancelled"]


@pytest.mark.parametrize("name", LET_GO)
def test_to_let_go_twice_is_to_let_go_once(line: Line, held: Claim, name: str) -> None:
    """As when the database was away just when it answered."""
    WRITES[name](line, held)
    once = line.dump()
    WRITES[name](line, held)
    assert line.dump() == once
    other = LET_GO[LET_GO.index(name) - 1]
    with pytest.raises(LeaseLost):  # to say something else is no repetition
        WRITES[other](line, held)
    assert line.dump() == once


@pytest.mark.parametrize("name", ["hand_back", "wait", "put_off"])
def test_to_let_go_twice_does_not_disturb_the_next_worker(
    line: Line, held: Claim, name: str
) -> None:
    WRITES[name](line, held)
    later = line.claimed("two")
    taken = line.dump()
    WRITES[name](line, held)
    assert line.dump() == taken
    assert queue.orders(line.engine, later) == Order(cancelled=False)


def test_what_an_earlier_attempt_let_go_of_is_no_answer_to_a_later_one(
    line: Line, held: Claim
) -> None:
    queue.hand_back(line.engine, held, line.clock, "why")
    later = line.claimed()
    taken_back(line)
    with pytest.raises(LeaseLost):
        queue.hand_back(line.engine, later, line.clock, "why")


@pytest.mark.parametrize("name", LET_GO)
def test_a_lost_answer_is_no_lost_lease(
    line: Line, held: Claim, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answerless(engine: Engine, act: Any) -> Any:
        writing(engine, act)
        monkeypatch.undo()
        raise Temporary("database", "the database cannot be reached")

    monkeypatch.setattr(queue, "writing", answerless)
    with pytest.raises(Temporary):
        WRITES[name](line, held)
    WRITES[name](line, held)
    assert len(line.events()) == 3


# --- cancelling -----------------------------------------------------------------------------------


def test_cancelling_what_is_queued(line: Line) -> None:
    line.ask()
    assert records.cancel(line.engine, 1, line.clock) == "cancelled"
    assert line.row().status == "cancelled"
    assert line.told()[-1] == ("cancelled", "cancelled before it was begun")
    assert line.claim() is None


def test_cancelling_what_is_worked_on(line: Line, held: Claim) -> None:
    assert records.cancel(line.engine, 1, line.clock) == "running"
    line.clock += SECOND
    assert records.cancel(line.engine, 1, line.clock) == "running"  # nobody has to ask twice
    row = line.row()
    assert (row.status, row.cancel_requested_at) == ("running", NOON)
    assert line.told()[-1] == ("cancel", "asked to stop")
    queue.cancelled(line.engine, held, line.clock)
    row = line.row()
    assert (row.status, row.cancel_requested_at, row.error_code) == ("cancelled", None, None)
    assert line.events() == ["asked", "claimed", "cancel", "cancelled"]


@pytest.mark.parametrize("status", ["delivered", "failed", "cancelled"])
def test_cancelling_what_has_ended(line: Line, status: str) -> None:
    line.ask()
    line.set(status=status)
    before = line.dump()
    with pytest.raises(Refused, match=f"already {status}"):
        records.cancel(line.engine, 1, line.clock)
    assert line.dump() == before


@pytest.mark.parametrize("act", [records.cancel, records.retry])
def test_there_is_no_such_record(line: Line, act: Callable[..., Any]) -> None:
    with pytest.raises(Refused, match="there is no record 7"):
        act(line.engine, 7, line.clock)


@pytest.mark.parametrize("name", ["hand_back", "wait", "put_off"])
def test_who_lets_go_of_a_record_that_is_to_be_cancelled_cancels_it(
    line: Line, held: Claim, name: str
) -> None:
    records.cancel(line.engine, 1, line.clock)
    WRITES[name](line, held)
    row = line.row()
    assert (row.status, row.cancel_requested_at) == ("cancelled", None)
    assert line.events()[-1] == "cancelled"
    assert line.claim() is None
    WRITES[name](line, held)
    assert line.events().count("cancelled") == 1


def test_a_record_that_is_to_be_cancelled_may_fail_or_be_delivered_first(line: Line) -> None:
    for n, (name, status) in enumerate((("fail", "failed"), ("complete", "delivered")), 1):
        line.ask()
        held = line.claimed()
        records.cancel(line.engine, n, line.clock)
        WRITES[name](line, held)
        row = line.row(n)
        assert (row.status, row.cancel_requested_at) == (status, None)


@pytest.mark.parametrize("known_dead", [True, False])
def test_a_record_that_is_to_be_cancelled_is_not_queued_again_when_it_is_lost(
    line: Line, known_dead: bool
) -> None:
    line.ask()
    queue.put_off(line.engine, line.claimed(), line.clock, line.clock, AWAY)
    held = line.claimed()
    records.cancel(line.engine, 1, line.clock)
    if known_dead:
        queue.crashed(line.engine, held, line.clock, "its process was ended by SIGKILL")
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
def remade(line: Line, held: Claim) -> Claim:
    """A claim of a record that was delivered and is made again, as version 2."""
    ledger.complete(line.engine, held, line.clock, line.clock + HOUR, 0)
    line.set(status="queued", version=2, stage="collect")
    return line.claimed()


@pytest.mark.parametrize("way", ["fail", "worker_died"])
def test_a_remake_that_fails_leaves_what_people_have(line: Line, remade: Claim, way: str) -> None:
    if way == "fail":
        queue.fail(line.engine, remade, line.clock, WRONG)
        code, kind = "ffmpeg", "failed"
    else:
        line.set(lost=MOST_LOST - 1)
        taken_back(line)
        code, kind = "worker_died", "failed"
    row = line.row()
    assert (row.status, row.version, row.delivered_version) == ("delivered", 1, 1)
    assert (row.done, row.processing, row.error_code) == (1, 0, code)
    assert row.error_text
    assert line.events()[-1] == kind


@pytest.mark.parametrize("way", ["worker", "hand_back", "lost", "queued"])
def test_a_remake_that_is_cancelled_leaves_what_people_have(
    line: Line, remade: Claim, way: str
) -> None:
    if way == "queued":
        queue.hand_back(line.engine, remade, line.clock, "the service is being stopped")
    assert records.cancel(line.engine, 1, line.clock) == (
        "delivered" if way == "queued" else "running"
    )
    if way == "worker":
        queue.cancelled(line.engine, remade, line.clock)
    elif way == "hand_back":
        queue.hand_back(line.engine, remade, line.clock, "the service is being stopped")
    elif way == "lost":
        taken_back(line)
    row = line.row()
    assert (row.status, row.version, row.error_code) == ("delivered", 1, None)
    assert row.cancel_requested_at is None
    assert line.events()[-1] == "cancelled"


def test_a_remake_that_waits_or_is_put_off_is_still_a_remake(line: Line, remade: Claim) -> None:
    queue.wait(line.engine, remade, line.clock, line.clock, "waits")
    assert (line.row().status, line.row().version) == ("queued", 2)
    queue.put_off(line.engine, line.claimed(), line.clock, line.clock, AWAY)
    assert (line.row().status, line.row().version) == ("queued", 2)


def test_a_remake_that_failed_can_be_tried_again(line: Line, remade: Claim) -> None:
    line.set(stage="deliver")
    queue.fail(line.engine, remade, line.clock, WRONG)
    line.clock += MINUTE
    records.retry(line.engine, 1, line.clock)
    row = line.row()
    assert (row.status, row.version, row.delivered_version) == ("queued", 2, 1)
    assert (row.stage, row.tries, row.error_code, row.error_text) == ("collect", 0, None, None)
    assert (row.run_after, line.told()[-1][0]) == (line.clock, "retried")
    ledger.complete(line.engine, line.claimed(), line.clock, None, 0)
    row = line.row()
    assert (row.status, row.version, row.delivered_version) == ("delivered", 2, 2)
    with pytest.raises(Refused, match="nothing failed"):
        records.retry(line.engine, 1, line.clock)


# --- trying again by hand -------------------------------------------------------------------------


@pytest.mark.parametrize("error", [WRONG, AWAY])
def test_a_failed_record_is_tried_again_from_the_beginning(line: Line, error: MergerError) -> None:
    line.ask()
    held = line.claimed()
    queue.enter(line.engine, held, "encode", line.clock)
    queue.fail(line.engine, held, line.clock, error)
    line.clock += MINUTE
    records.retry(line.engine, 1, line.clock)
    row = line.row()
    assert (row.status, row.stage, row.tries, row.lost) == ("queued", "collect", 0, 0)
    assert (row.run_after, row.error_code, row.version) == (line.clock, None, 1)
    assert line.claim() == Claim(1, 2, "one")


def test_what_could_not_be_delivered_is_not_made_again(line: Line, held: Claim) -> None:
    queue.enter(line.engine, held, "deliver", line.clock)
    queue.fail(line.engine, held, line.clock, WRONG)
    records.retry(line.engine, 1, line.clock)
    assert line.row().stage == "deliver"


def test_a_cancelled_record_can_be_tried_again(line: Line) -> None:
    line.ask()
    records.cancel(line.engine, 1, line.clock)
    records.retry(line.engine, 1, line.clock)
    assert line.claim() == Claim(1, 1, "one")


def test_a_record_that_waits_can_be_tried_at_once(line: Line, held: Claim) -> None:
    queue.put_off(line.engine, held, line.clock, line.clock + HOUR, AWAY)
    assert line.claim() is None
    records.retry(line.engine, 1, line.clock)
    assert line.claim() == Claim(1, 2, "one")


def test_what_is_worked_on_is_not_tried_again(line: Line, held: Claim) -> None:
    with pytest.raises(Refused, match="is being worked on"):
        records.retry(line.engine, 1, line.clock)
    assert queue.orders(line.engine, held) == Order(cancelled=False)

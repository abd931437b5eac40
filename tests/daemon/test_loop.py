"""The daemon from its start to its end: how often it looks, keeping house, stopping, many records."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from merger.daemon import daemon as daemon_module
from merger.daemon import housekeeping
from merger.daemon.daemon import Daemon
from merger.daemon.loop import HOUSEKEEPING, Signals, run, run_once
from merger.daemon.processes import Slot
from merger.errors import Broken, Temporary
from merger.i18n import verbatim
from merger.records.browse import lists
from merger.records.processing import queue
from merger.records.processing.queue import Claim
from merger.service import Service
from tests.daemon.crew import BERLIN, CLEAN, KILLED, POLL, SECOND, WORKERS, Crew, Hand
from tests.support.databases import ON_SQLITE
from tests.support.line import HOUR, LEASE, MINUTE, NOON, claims, fill
from tests.support.selection import BOTH_DATABASES, rarely

# --- keeping house --------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [Broken("database", "away"), RuntimeError("a mistake")])
def test_a_chore_that_cannot_be_done_does_not_keep_from_the_next(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, lines: Any, error: Exception
) -> None:
    done = []

    def forget(service: Service, now: datetime) -> None:
        raise error

    def tidy(service: Service, now: datetime) -> None:
        done.append((service, now))

    monkeypatch.setattr(housekeeping, "forget_old", forget)
    monkeypatch.setattr(housekeeping, "remove_expired", tidy)
    housekeeping.keep_house(crew.daemon.service, NOON)
    assert done == [(crew.daemon.service, NOON)]
    if isinstance(error, Broken):
        assert lines("WARNING") == ["forget: away"]
    else:
        assert lines("ERROR") == ["forget: a bug in this program"]


@ON_SQLITE
def test_a_share_that_hangs_does_not_keep_from_making_room(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []

    def hang(*_: Any) -> None:
        done.append("late")
        raise KeyboardInterrupt  # as when the housekeeping is ended

    monkeypatch.setattr(housekeeping, "remove_expired", lambda *_: done.append("tidy"))
    monkeypatch.setattr(housekeeping, "find_late_media", hang)
    with pytest.raises(KeyboardInterrupt):
        housekeeping.keep_house(crew.daemon.service, NOON)
    assert done == ["tidy", "late"]


def test_one_keeps_house_at_a_time(crew: Crew, lines: Any) -> None:
    crew.houses_end = False
    for _ in range(6):
        crew.daemon.keep_house(crew.line.clock)
        crew.line.clock += HOUSEKEEPING
    assert len(crew.houses) == 1
    assert not crew.houses[0].killed
    crew.houses[0].how = CLEAN
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

    crew.daemon.housekeeping.start = refuse
    crew.daemon.keep_house(NOON)
    assert lines("WARNING") == ["no housekeeping for now: no process can be started: no memory"]
    crew.daemon.housekeeping.start = crew.start_house
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
    real = Daemon.look

    def look(self: Daemon, now: datetime) -> int:
        seen.looked.append(now)
        return real(self, now)

    monkeypatch.setattr(Daemon, "look", look)
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


@BOTH_DATABASES
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
    assert lines("ERROR") == ["a bug in this program; the daemon goes on"]
    assert crew.line.events(1) == ["asked", "claimed", "lost", "claimed", "delivered"]


@pytest.mark.parametrize("when", ["at work", "at the end"])
def test_a_mistake_about_a_worker_that_ended_does_not_end_it(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, lines: Any, when: str
) -> None:
    for _ in range(3):
        crew.line.ask()
    mistakes = iter([RuntimeError("a mistake")])
    crashed = queue.take_back_crashed

    def stumble(*arguments: Any) -> None:
        for mistake in mistakes:
            raise mistake
        crashed(*arguments)

    monkeypatch.setattr(queue, "take_back_crashed", stumble)

    def look() -> None:
        crew.asked = int(when == "at the end" or crew.pauses >= 4)
        for hand in crew.hands:
            if hand.how is None and (hand.asked or (not crew.asked and hand.held.record == 1)):
                hand.how = KILLED

    crew.on_pause = look
    run(crew.daemon, crew.signals)
    assert crew.daemon.running == {}
    assert lines("ERROR").count("a bug in this program; the daemon goes on") == 1
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
                crew.line.lease(hand.held).hand_back(verbatim("stopped"))
                hand.how = CLEAN

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
        assert crew.hands == [] or crew.houses[0].how == CLEAN
        if crew.pauses == 5:
            crew.houses[0].how = CLEAN

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


@ON_SQLITE
def test_once_does_not_wait_for_ever(crew: Crew, lines: Any) -> None:
    """For a housekeeping that hangs, or telling people."""
    crew.line.ask()
    crew.houses_end = False
    crew.on_start = crew.deliver
    told: list[Hand] = []

    def tell() -> Hand:
        told.append(Hand(Claim(0, 0, "errands")))
        return told[-1]

    crew.daemon.jobs = Slot(tell, HOUR / 2, "telling people hangs")
    errands = iter((True,))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(daemon_module, "background_jobs_are_due", lambda *_: next(errands, False))
        run_once(crew.daemon, crew.signals)
    assert crew.line.row().status == "delivered"
    assert crew.houses[0].killed and told[0].killed
    assert len(lines("ERROR")) == 2
    assert crew.line.clock - NOON < 3 * HOUR


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

WARM = 60


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
@pytest.mark.parametrize("many", [250, rarely(1200, why="with more records at once")])
def test_many_records_leave_nothing_behind(crew: Crew, shallow: None, many: int) -> None:
    fill(crew.line.engine, many)
    delivered, objects = 0, list[int]()

    def deliver(hand: Hand) -> None:
        nonlocal delivered
        crew.hands.clear()
        crew.deliver(hand)
        delivered += 1
        if delivered in (WARM, many - 1):
            gc.collect()
            # sqlite3 keeps a list of cursors that are gone, and clears it once in 200 of them.
            objects.append(sum(type(kept) is not weakref.ref for kept in gc.get_objects()))
        crew.asked = int(delivered == many)

    crew.on_start = deliver
    run(crew.daemon, crew.signals)
    assert sorted(claims(crew.line.engine)) == [(n, 1) for n in range(1, many + 1)]
    assert len(lists.list_records(crew.line.engine, status="delivered", limit=many + 1)) == many
    assert crew.daemon.running == {}
    # What the libraries keep comes and goes; one small thing of each record would be all of these.
    assert objects[1] - objects[0] < (many - WARM) / 2

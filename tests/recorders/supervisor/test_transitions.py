"""What becomes of a live source: each state and event, and what follows. No process, no time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from merger.i18n import Message
from merger.live.bookings import Camera
from merger.ports.recorder import SourceOfRoom
from recorders.rtsp.address import Address
from recorders.rtsp.wire import Arriving, Ended, Progress
from recorders.supervisor.schedule import Assignment
from recorders.supervisor.states import (
    AddHistory,
    Assigned,
    Connecting,
    Effect,
    Event,
    Joining,
    Killed,
    KillProcess,
    Leaving,
    Moment,
    Outage,
    Patience,
    Phase,
    ProcessEnded,
    Recording,
    Release,
    SourceState,
    StartFailed,
    StartProcess,
    Stopping,
    StopProcess,
    Tick,
    Unassigned,
    Waiting,
    Warn,
    silent_since,
)
from recorders.supervisor.transitions import MOST_OUTAGES, transition

pytestmark = pytest.mark.quick

TEN = datetime(2026, 11, 20, 7, tzinfo=UTC)  # in Moscow
SECOND = timedelta(seconds=1)
NOW_S = 1000.0
NOW = Moment(TEN + 60 * SECOND, NOW_S)
PATIENCE = Patience(open_s=25, media_s=10, key_s=45)

CAMERA = Camera(
    1,
    SourceOfRoom("504", "camera", "speaker", "rtsp", "rtsp://x", ZoneInfo("Europe/Moscow")),
    timedelta(),
    timedelta(),
)
RECORDED = Assignment(CAMERA, Address("rtsp://x"), records=(7,))
LOOKED_AT = Assignment(CAMERA, Address("rtsp://x"), soon=(7,))
BOTH = Assignment(CAMERA, Address("rtsp://x"), records=(7,), soon=(8,))
ELSEWHERE = replace(RECORDED, address=Address("rtsp://y"))
RENAMED = replace(RECORDED, camera=replace(CAMERA, source=replace(CAMERA.source, name="board")))

WHY = Message("recorders.no_answer")
AWAY = Ended("away", WHY)
OUT = Outage(TEN + 50 * SECOND, (7,), "away", WHY)


def us(at: datetime) -> int:
    return round(at.timestamp()) * 1_000_000


def state(phase: Phase = Waiting(), **more: Any) -> SourceState:  # noqa: B008
    return SourceState(**{"assignment": RECORDED, "since": TEN, "phase": phase, **more})


def progress(at: datetime = NOW.at, key_us: int = 5, first: datetime | None = None) -> Progress:
    return Progress(1000, us(at), us(first or at), key_us, "camera")


RECORDING = Recording(5, NOW_S - 3, NOW_S - 1)
OUTAGE_LINE = Message(
    "recorders.outage", source="camera", start="10:00:50", end="10:01:00", seconds=10, why=WHY
)
OUTAGE_LOG = Warn("no media from 10:00:50 to 10:01:00 (10 s)", WHY)
SILENT_LINE = Message("recorders.silent_before", source="camera", why=WHY)


def check(before: SourceState, event: Event, after: SourceState, *effects: Effect) -> None:
    assert transition(before, event, NOW) == (after, effects)


# --- what is wanted -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "assignment", "after", "effects"),
    [
        # Nothing new.
        (state(RECORDING), RECORDED, state(RECORDING), ()),
        (state(Waiting(NOW_S + 9)), RECORDED, state(Waiting(NOW_S + 9)), ()),
        # Another lecture follows: what runs goes on.
        (state(RECORDING), BOTH, state(RECORDING, assignment=BOTH), ()),
        # Another address, or another name.
        (
            state(RECORDING), ELSEWHERE,
            state(Stopping(NOW_S), assignment=ELSEWHERE), (StopProcess(),),
        ),
        (
            state(Connecting("record", 1)), RENAMED,
            state(Stopping(NOW_S), assignment=RENAMED), (StopProcess(),),
        ),
        (state(Waiting(1)), ELSEWHERE, state(Waiting(1), assignment=ELSEWHERE), ()),
        (state(Leaving("record", AWAY)), ELSEWHERE, state(Leaving("record", AWAY), assignment=ELSEWHERE), ()),
        # What was looked at is recorded now: at once, and what was before does not count.
        (
            state(Joining("look", 1, 2), assignment=LOOKED_AT), RECORDED,
            state(Stopping(NOW_S), since=NOW.at), (StopProcess(),),
        ),
        (
            state(Waiting(NOW_S + 60), assignment=LOOKED_AT, failures=9, empty_looks=(WHY,)), RECORDED,
            state(Waiting(), since=NOW.at), (),
        ),
        # What was recorded is only looked at now.
        (
            state(RECORDING), LOOKED_AT,
            state(Stopping(NOW_S), assignment=LOOKED_AT), (StopProcess(),),
        ),
        # It is wanted again before it was released.
        (state(Stopping(1), is_wanted=False), RECORDED, state(Stopping(1)), ()),
    ],
)  # fmt: skip
def test_an_assignment(
    before: SourceState, assignment: Assignment, after: SourceState, effects: tuple[Effect, ...]
) -> None:
    check(before, Assigned(assignment), after, *effects)


@pytest.mark.parametrize(
    ("phase", "after", "effects"),
    [
        (RECORDING, Stopping(NOW_S), (StopProcess(),)),
        (Connecting("look", 1), Stopping(NOW_S), (StopProcess(),)),
        (Joining("record", 1, 2), Stopping(NOW_S), (StopProcess(),)),
        (Stopping(1), Stopping(1), ()),
        (Killed("record", WHY), Killed("record", WHY), ()),
        (Leaving("record", AWAY), Leaving("record", AWAY), ()),
        (Waiting(1), Waiting(1), ()),
    ],
)
def test_it_is_not_wanted_any_more(phase: Phase, after: Phase, effects: tuple[Effect, ...]) -> None:
    check(state(phase), Unassigned(), state(after, is_wanted=False), *effects)


# --- time passes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "effects"),
    [
        # It is due, or not yet.
        (state(Waiting()), state(Connecting("record", NOW_S)), (StartProcess("record"),)),
        (state(Waiting(NOW_S)), state(Connecting("record", NOW_S)), (StartProcess("record"),)),
        (state(Waiting(NOW_S + 0.1)), state(Waiting(NOW_S + 0.1)), ()),
        (
            state(assignment=LOOKED_AT),
            state(Connecting("look", NOW_S), assignment=LOOKED_AT), (StartProcess("look"),),
        ),
        (
            state(assignment=LOOKED_AT, looked_at=frozenset({7})),
            state(assignment=LOOKED_AT, looked_at=frozenset({7})), (),
        ),
        # It is released as soon as its process has ended, with the outage that it was in.
        (state(is_wanted=False), state(is_wanted=False), (Release(),)),
        (state(Killed("record", WHY), is_wanted=False), state(Killed("record", WHY), is_wanted=False), ()),
        (state(Leaving("record", AWAY), is_wanted=False), state(Leaving("record", AWAY), is_wanted=False), ()),
        (
            state(is_wanted=False, outage=OUT),
            state(is_wanted=False, outages={7: 1}),
            (OUTAGE_LOG, AddHistory((7,), "outage", OUTAGE_LINE), Release()),
        ),
        # One that is asked to stop is killed in the end.
        (state(Stopping(NOW_S - 8)), state(Stopping(NOW_S - 8)), ()),
        (state(Stopping(NOW_S - 8.1)), state(Stopping(NOW_S - 8.1)), (KillProcess(),)),
        (
            state(Stopping(NOW_S - 8.1), is_wanted=False),
            state(Stopping(NOW_S - 8.1), is_wanted=False), (KillProcess(),),
        ),
    ],
)  # fmt: skip
def test_time_passes(before: SourceState, after: SourceState, effects: tuple[Effect, ...]) -> None:
    check(before, Tick(PATIENCE), after, *effects)


@pytest.mark.parametrize(
    ("phase", "why"),
    [
        (Connecting("record", NOW_S - 25), None),
        (Connecting("record", NOW_S - 26), "no_answer"),
        (Connecting("look", NOW_S - 26), "no_answer"),
        (Joining("record", NOW_S - 45, NOW_S), None),
        (Joining("record", NOW_S - 46, NOW_S), "no_key_frame"),  # counted from the first packet on
        (Joining("look", NOW_S - 20, NOW_S - 10), None),
        (Joining("look", NOW_S - 20, NOW_S - 11), "sends_nothing"),
        (Recording(5, NOW_S - 45, NOW_S - 10), None),
        (Recording(5, NOW_S - 46, NOW_S), "no_key_frame"),
        (Recording(5, NOW_S - 1, NOW_S - 11), "sends_nothing"),
    ],
)
def test_what_hangs_is_killed(phase: Phase, why: str | None) -> None:
    purpose = "look" if getattr(phase, "purpose", None) == "look" else "record"
    before = state(phase, assignment=LOOKED_AT if purpose == "look" else RECORDED)
    if why is None:
        check(before, Tick(PATIENCE), before)
    else:
        killed = Killed(purpose, Message(f"recorders.{why}"))  # type: ignore[arg-type]
        check(before, Tick(PATIENCE), replace(before, phase=killed), KillProcess())


@pytest.mark.parametrize(
    ("before", "is_reported"),
    [
        (state(Waiting(2000), assignment=LOOKED_AT, empty_looks=(WHY, WHY)), True),
        (state(Waiting(2000), assignment=LOOKED_AT, empty_looks=(WHY,)), False),
        (state(Connecting("record", NOW_S), assignment=replace(BOTH, soon=(7,)), outage=OUT), True),
        (state(RECORDING, assignment=replace(BOTH, soon=(7,))), False),
        (state(Waiting(2000), assignment=RECORDED, outage=OUT), False),  # nothing begins soon
    ],
)
def test_silence_before_a_lecture_is_reported_once(before: SourceState, is_reported: bool) -> None:
    if not is_reported:
        check(before, Tick(PATIENCE), before)
        return
    after = replace(before, looked_at=frozenset({7}))
    line = AddHistory((7,), "silent", SILENT_LINE)
    check(before, Tick(PATIENCE), after, Warn("silent before record 7", WHY), line)
    check(after, Tick(PATIENCE), after)


# --- what comes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "after"),
    [
        (Connecting("record", 1), Joining("record", NOW_S, NOW_S)),
        (Connecting("look", 1), Joining("look", NOW_S, NOW_S)),
        (Joining("record", 1, 2), Joining("record", 1, NOW_S)),
        (Stopping(1), Stopping(1)),
        (Killed("record", WHY), Killed("record", WHY)),
    ],
)
def test_something_comes_before_the_first_key_frame(phase: Phase, after: Phase) -> None:
    """The outage goes on: nothing is recorded yet."""
    check(state(phase, outage=OUT), Arriving(1), state(after, outage=OUT))


SEEN = {"captured_at": NOW.at, "looked_at": frozenset({7})}


@pytest.mark.parametrize(
    ("before", "event", "after"),
    [
        (
            state(Connecting("record", 1), failures=3, empty_looks=(WHY,)), progress(),
            state(Recording(5, NOW_S, NOW_S), captured_at=NOW.at),
        ),
        (
            state(Joining("record", 1, 2), assignment=replace(RECORDED, soon=(7,))), progress(),
            state(Recording(5, NOW_S, NOW_S), assignment=replace(RECORDED, soon=(7,)), **SEEN),
        ),
        # The same key frame as before, and another one.
        (
            state(RECORDING, captured_at=TEN), progress(),
            state(Recording(5, NOW_S - 3, NOW_S), captured_at=NOW.at),
        ),
        (
            state(RECORDING, captured_at=TEN), progress(key_us=6),
            state(Recording(6, NOW_S, NOW_S), captured_at=NOW.at),
        ),
        # Nothing new of it: its clock stands still.
        (
            state(RECORDING, captured_at=NOW.at, failures=1), progress(key_us=6),
            state(Recording(6, NOW_S, NOW_S - 1), captured_at=NOW.at, failures=1),
        ),
        # On a new connection its clock may have been set back.
        (
            state(Connecting("record", 1), captured_at=NOW.at), progress(TEN),
            state(Recording(5, NOW_S, NOW_S), captured_at=TEN),
        ),
        # The last words of one that ends.
        (state(Stopping(1), captured_at=TEN), progress(), state(Stopping(1), captured_at=NOW.at)),
        (state(Stopping(1), captured_at=NOW.at), progress(TEN), state(Stopping(1), captured_at=NOW.at)),
    ],
)  # fmt: skip
def test_media_comes(before: SourceState, event: Progress, after: SourceState) -> None:
    check(before, event, after)


def test_an_outage_ends_with_the_first_key_frame() -> None:
    before = state(Joining("record", 1, 2), outage=OUT, failures=4)
    event = progress(NOW.at + SECOND, first=NOW.at)
    after = state(Recording(5, NOW_S, NOW_S), captured_at=NOW.at + SECOND, outages={7: 1})
    check(before, event, after, OUTAGE_LOG, AddHistory((7,), "outage", OUTAGE_LINE))


def test_an_outage_that_nobody_noticed_is_none() -> None:
    before = state(Connecting("record", 1), outage=OUT)
    event = progress(NOW.at, first=OUT.since)
    check(before, event, state(Recording(5, NOW_S, NOW_S), captured_at=NOW.at))


def test_outages_are_told_so_often_and_then_that_there_are_more() -> None:
    more = Message("recorders.more_outages", source="camera")
    for times, other, lines in (
        (MOST_OUTAGES - 1, 0, [AddHistory((7, 8), "outage", OUTAGE_LINE)]),
        (MOST_OUTAGES, 0, [AddHistory((8,), "outage", OUTAGE_LINE), AddHistory((7,), "outage", more)]),
        (MOST_OUTAGES + 1, MOST_OUTAGES, [AddHistory((8,), "outage", more)]),
        (MOST_OUTAGES + 1, MOST_OUTAGES + 1, []),
    ):  # fmt: skip
        before = state(
            Joining("record", 1, 2),
            outage=replace(OUT, records=(7, 8)),
            outages={7: times, 8: other},
        )
        after, effects = transition(before, progress(), NOW)
        assert after.outages == {7: times + 1, 8: other + 1}
        assert effects == (OUTAGE_LOG, *lines)


# --- the process ends -----------------------------------------------------------------------------


def test_why_a_process_ends() -> None:
    check(state(RECORDING), AWAY, state(Leaving("record", AWAY)))
    check(state(Connecting("look", 1)), AWAY, state(Leaving("look", AWAY)))
    for phase in (Stopping(1), Killed("record", WHY)):
        check(state(phase), AWAY, state(phase))
    looking = state(Connecting("look", 1), assignment=LOOKED_AT, empty_looks=(WHY,))
    seen = Ended("seen", WHY)
    after = replace(looking, phase=Leaving("look", seen), looked_at=frozenset({7}), empty_looks=())
    check(looking, seen, after)


LOOKING = {"assignment": LOOKED_AT}
FIRST = Waiting(NOW_S + 1)  # the pause after one failure
KILLED = Message("recorders.killed")
CRASHED = Message("recorders.crashed", status=1)


def out(code: str, why: Message, since: datetime = TEN) -> Outage:
    return Outage(since, (7,), code, why)


@pytest.mark.parametrize(
    ("before", "status", "after", "effects"),
    [
        # As it was asked to, however it ends: no failure.
        (state(Stopping(1)), 0, state(), ()),
        (state(Stopping(1)), -15, state(), ()),
        (state(Stopping(1), outage=OUT, failures=2), 1, state(outage=OUT, failures=2), ()),
        (state(RECORDING), 0, state(), ()),  # somebody else asked
        # Nobody wants it any more.
        (state(RECORDING, is_wanted=False), 1, state(is_wanted=False), ()),
        (state(Killed("record", WHY), is_wanted=False), -9, state(is_wanted=False), ()),
        # It fails: there is no media since the newest, or since there should have been some.
        (
            state(Leaving("record", AWAY)), 1,
            state(FIRST, outage=out("away", WHY), failures=1), (Warn("no media", WHY),),
        ),
        (
            state(Leaving("record", AWAY), captured_at=TEN + 9 * SECOND), 1,
            state(FIRST, captured_at=TEN + 9 * SECOND, outage=out("away", WHY, TEN + 9 * SECOND), failures=1),
            (Warn("no media", WHY),),
        ),
        (
            state(Leaving("record", AWAY), captured_at=TEN - 9 * SECOND), 1,  # of a lecture before
            state(FIRST, captured_at=TEN - 9 * SECOND, outage=out("away", WHY), failures=1),
            (Warn("no media", WHY),),
        ),
        (
            state(Killed("record", WHY)), -9,
            state(FIRST, outage=out("killed", WHY), failures=1), (Warn("no media", WHY),),
        ),
        (
            state(RECORDING), -9,
            state(FIRST, outage=out("killed", KILLED), failures=1), (Warn("no media", KILLED),),
        ),
        (
            state(Connecting("record", 1)), 1,
            state(FIRST, outage=out("crashed", CRASHED), failures=1), (Warn("no media", CRASHED),),
        ),
        # It fails again: the outage goes on, of one record more, and the pauses grow.
        (
            state(Leaving("record", AWAY), outage=replace(OUT, records=(6,)), failures=2), 1,
            state(Waiting(NOW_S + 4), outage=replace(OUT, records=(6, 7)), failures=3), (),
        ),
        (
            state(Killed("record", WHY), outage=OUT, failures=2), -9,
            state(Waiting(NOW_S + 4), outage=replace(OUT, code="killed"), failures=3),
            (Warn("no media", WHY),),
        ),
        # Trying again at once might lock us out.
        (
            state(Leaving("record", Ended("credentials", WHY, is_lasting=True))), 1,
            state(Waiting(NOW_S + 60), outage=out("credentials", WHY), failures=11),
            (Warn("no media", WHY),),
        ),
        # Nobody has to wait for the end of the outage to learn of a full disk.
        (
            state(Leaving("record", Ended("disk_full", WHY))), 1,
            state(FIRST, outage=out("disk_full", WHY), failures=1),
            (
                Warn("no media", WHY),
                AddHistory((7,), "disk_full", Message("recorders.not_recorded", source="camera", why=WHY)),
            ),
        ),
        (
            state(Leaving("record", Ended("disk_full", WHY)), outages={7: MOST_OUTAGES}), 1,
            state(FIRST, outage=out("disk_full", WHY), failures=1, outages={7: MOST_OUTAGES}),
            (Warn("no media", WHY),),
        ),
        # It was only looked at.
        (
            state(Leaving("look", AWAY), empty_looks=(CRASHED,), **LOOKING), 1,
            state(Waiting(NOW_S + 2), empty_looks=(CRASHED, WHY), **LOOKING), (),
        ),
        (state(Leaving("look", Ended("seen", WHY)), **LOOKING), 0, state(**LOOKING), ()),
        (state(Killed("look", WHY), **LOOKING), -9, state(FIRST, empty_looks=(WHY,), **LOOKING), ()),
        # What was looked at is to be recorded meanwhile: no pause, and no outage.
        (state(Killed("look", WHY)), -9, state(), ()),
    ],
)  # fmt: skip
def test_a_process_ends(
    before: SourceState, status: int, after: SourceState, effects: tuple[Effect, ...]
) -> None:
    check(before, ProcessEnded(status), after, *effects)


def test_no_process_can_be_started() -> None:
    after = state(Waiting(NOW_S + 8), failures=4)
    check(state(Connecting("record", NOW_S), failures=3), StartFailed(), after)


def test_pauses_differ_by_chance() -> None:
    before = state(Leaving("record", AWAY))
    pauses = []
    for chance in (0.0, 1.0):
        after, _ = transition(before, ProcessEnded(1), replace(NOW, chance=chance))
        assert isinstance(after.phase, Waiting)
        pauses.append(after.phase.until_s - NOW_S)
    assert pauses == pytest.approx([0.7, 1.3])


# --- what others see ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "since"),
    [
        (state(), TEN),  # nobody has asked it yet
        (state(Connecting("record", 1)), TEN),
        (state(Joining("record", 1, NOW_S)), TEN),  # nothing that can be recorded
        (state(Recording(5, 1, NOW_S - 10), captured_at=NOW.at), None),
        (state(Recording(5, 1, NOW_S - 10.1), captured_at=NOW.at), NOW.at),
        (state(Waiting(), captured_at=NOW.at), NOW.at),
        (state(Waiting(), captured_at=NOW.at, outage=OUT), OUT.since),
        (state(Connecting("record", 1), captured_at=TEN - SECOND), TEN),  # of a lecture before
    ],
)
def test_since_when_a_source_is_silent(before: SourceState, since: datetime | None) -> None:
    assert silent_since(before, PATIENCE, NOW_S) == since

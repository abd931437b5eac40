"""How many parts a machine encodes at once: whoever they are of, and whatever ends them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from merger.errors import Cancelled
from merger.render.slots import Budget, Silence, budget_of, sign_of
from tests.support.waiting import DEADLINE_S, status_of, until

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[2]
HOLDER = """
import signal, sys
from pathlib import Path
from merger.render.slots import Budget
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
with Budget(Path(sys.argv[1]), 1, None).slot(lambda: False):
    print("held", flush=True)
    signal.sigwait({signal.SIGUSR1})
"""


def test_there_are_as_many_slots_as_parts_at_once(tmp_path: Path) -> None:
    budget = Budget(tmp_path / "slots", 2, None)
    with (
        budget.slot(lambda: False), budget.slot(lambda: False),
        pytest.raises(Cancelled), budget.slot(lambda: True),
    ):  # fmt: skip
        pytest.fail("a third one")
    with budget.slot(lambda: True):
        pass  # one that is free is taken, whoever asks to stop


def test_a_killed_process_frees_its_slot(tmp_path: Path) -> None:
    budget = Budget(tmp_path, 1, None)
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "held\n"
        with pytest.raises(Cancelled), budget.slot(lambda: True):
            pytest.fail("it is held")
        child.send_signal(signal.SIGKILL)
    with budget.slot(lambda: True):
        pass


def test_a_frozen_process_loses_its_slot(tmp_path: Path) -> None:
    """Of a worker that is frozen, others take the record over, and must not wait for its slot."""
    budget = Budget(tmp_path, 1, None, silent_s=0.4)
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    looks = iter(range(1000))
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None and child.stdout.readline() == "held\n"
            child.send_signal(signal.SIGSTOP)
            until(lambda: status_of(child.pid, "State").startswith("T"))
            with budget.slot(lambda: next(looks) > 20):
                # It wakes up and ends what it had begun: nothing changes for who came after it.
                for number in (signal.SIGCONT, signal.SIGUSR1):
                    child.send_signal(number)
                assert child.wait(DEADLINE_S) == 0
                with pytest.raises(Cancelled), budget.slot(lambda: True):
                    pytest.fail("it is held")
        finally:
            child.kill()


def test_who_holds_a_slot_gives_signs_of_life(tmp_path: Path) -> None:
    budget = Budget(tmp_path, 1, None, silent_s=0.1)
    with budget.slot(lambda: False):
        first = sign_of(tmp_path / "slot-0")
        until(lambda: sign_of(tmp_path / "slot-0") != first)


def test_silence_is_counted_in_looks_that_see_the_same(tmp_path: Path) -> None:
    path, silence = tmp_path / "slot-0", Silence(2)
    assert [silence.too_long(path) for _ in range(5)] == [None] * 5  # there is no such slot
    path.touch()
    assert [silence.too_long(path) for _ in range(3)] == [None, None, sign_of(path)]
    os.utime(path, (1, 1))
    assert [silence.too_long(path) for _ in range(2)] == [None, None]
    path.unlink()  # another process took it away, and holds a new one
    path.touch()
    os.utime(path, (2, 2))
    assert [silence.too_long(path) for _ in range(3)] == [None, None, sign_of(path)]


@pytest.mark.parametrize(
    ("parallel", "cores", "slots", "threads"),
    [(0, 1, 1, None), (0, 4, 1, None), (0, 8, 2, 4), (3, 8, 3, 2), (8, 2, 8, 1)],
)
def test_the_budget_of_a_machine(
    tmp_path: Path, parallel: int, cores: int, slots: int, threads: int | None
) -> None:
    assert budget_of(tmp_path, parallel, cores) == Budget(tmp_path, slots, threads)


@pytest.mark.parametrize(("lease_s", "silent_s"), [(1, 10), (60, 60), (3600, 3600)])
def test_a_slot_is_held_as_long_as_a_record(
    tmp_path: Path, lease_s: float, silent_s: float
) -> None:
    assert budget_of(tmp_path, 1, 1, lease_s).silent_s == silent_s

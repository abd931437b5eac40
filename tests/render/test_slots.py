"""How many parts a machine encodes at once: whoever they are of, and whatever ends them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from merger.errors import Cancelled
from merger.render.slots import Budget, budget_of

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[2]
HOLDER = """
import signal, sys
from pathlib import Path
from merger.render.slots import Budget
with Budget(Path(sys.argv[1]), 1, None).slot(lambda: False):
    print("held", flush=True)
    signal.pause()
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


@pytest.mark.parametrize(
    ("parallel", "cores", "slots", "threads"),
    [(0, 1, 1, None), (0, 4, 1, None), (0, 8, 2, 4), (3, 8, 3, 2), (8, 2, 8, 1)],
)
def test_the_budget_of_a_machine(
    tmp_path: Path, parallel: int, cores: int, slots: int, threads: int | None
) -> None:
    assert budget_of(tmp_path, parallel, cores) == Budget(tmp_path, slots, threads)

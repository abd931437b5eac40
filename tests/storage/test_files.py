"""Work folders: those of living runs stay, those of dead ones go, whoever sweeps meanwhile."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from merger.errors import Temporary
from merger.storage.files import sweep_leftovers, work_folder, work_folders

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[2]
WORKER = """
import signal, sys
from pathlib import Path
from merger.storage.files import work_folder
with work_folder(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("done")
    print(folder, flush=True)
    signal.pause()
"""


def open_files() -> int:
    gc.collect()  # what earlier tests have left is none of ours
    return len(list(Path("/proc/self/fd").iterdir()))


def test_that_of_a_living_run_stays_and_that_of_a_killed_one_goes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        folder = Path(child.stdout.readline().strip())
        sweep_leftovers(tmp_path)
        with work_folder(tmp_path) as other:
            assert set(work_folders(tmp_path)) == {folder, other}
        assert (folder / "half").read_text() == "done"
        child.send_signal(signal.SIGKILL)
    assert work_folders(tmp_path) == [folder]
    sweep_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_swept_before_it_could_be_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making the lock and locking it, it looks like that of a dead run."""
    real, swept, is_sweeping = fcntl.flock, 0, False

    def flock(handle: int, operation: int) -> None:
        nonlocal swept, is_sweeping
        if not is_sweeping and swept < 3:
            swept, is_sweeping = swept + 1, True
            sweep_leftovers(tmp_path)
            is_sweeping = False
        real(handle, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with work_folder(tmp_path) as folder:
        assert swept == 3
        (folder / "file").write_text("there")
        sweep_leftovers(tmp_path)
        assert (folder / "file").read_text() == "there"
    assert list(tmp_path.iterdir()) == []


def test_many_at_a_time_do_not_sweep_each_other_away(tmp_path: Path) -> None:
    def use(number: int) -> None:
        with work_folder(tmp_path) as folder:
            (folder / "file").write_text(str(number))
            sweep_leftovers(tmp_path)
            assert (folder / "file").read_text() == str(number)

    before = open_files()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(400)))
    assert list(tmp_path.iterdir()) == []
    assert open_files() == before


def test_one_without_a_lock_is_dead_when_it_is_old(tmp_path: Path) -> None:
    new, old = (tmp_path / f".merge-work-{age}" for age in ("new", "old"))
    for folder in (new, old):
        folder.mkdir()
    os.utime(old, (1, 1))
    sweep_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [new]


def test_a_disk_without_room_for_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int, operation: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fcntl, "flock", refuse)
    before = open_files()
    with pytest.raises(Temporary) as caught, work_folder(tmp_path):
        pytest.fail("it was made")
    assert caught.value.code == "disk_full"
    assert list(tmp_path.iterdir()) == []
    assert open_files() == before

"""Workers as processes: how they end, in words, and with whom."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from merger.daemon.processes import Exit, Worker, worker_starter
from merger.errors import Temporary
from merger.records.processing.queue import Claim
from tests.daemon.crew import KILLED
from tests.support.site import ROOT
from tests.support.waiting import status_of, until

HELD = Claim(17, 3, "host-1")
WAITS = "import signal; print('up', flush=True); signal.pause()"
Start = Callable[[str], Worker]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts workers that are a line of Python; they are killed in the end."""
    started: list[Worker] = []

    def run(program: str) -> Worker:
        worker = worker_starter([sys.executable, "-c", program])(HELD)
        assert isinstance(worker, Worker)
        started.append(worker)
        return worker

    yield run
    for worker in started:
        worker.kill()


def ended(worker: Worker) -> Exit:
    until(lambda: worker.poll() is not None)
    how = worker.poll()
    assert how is not None
    return how


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("pass", None),
        ("exit(3)", "its process ended with exit code 3"),
        ("exit(255)", "its process ended with exit code 255"),
        ("raise SystemExit", None),
        ("import os; os.kill(os.getpid(), 9)", "its process was killed by SIGKILL"),
        ("import os; os.abort()", "its process was killed by SIGABRT"),
        ("import os; os.kill(os.getpid(), 11)", "its process was killed by SIGSEGV"),
        ("import os; os.kill(os.getpid(), 40)", "its process was killed by signal 40"),
    ],
)
def test_how_a_worker_ended(start: Start, program: str, words: str | None) -> None:
    worker = start(program)
    how = ended(worker)
    assert how.is_clean == (words is None)
    assert words is None or str(how.message) == words
    assert worker.poll() == how  # as often as somebody asks


def test_a_worker_that_works_has_not_ended(start: Start) -> None:
    worker = start(WAITS)
    assert worker.poll() is None
    worker.stop()
    assert ended(worker) == Exit(-signal.SIGTERM)
    worker.stop()  # too late, and no mistake


def test_a_worker_that_does_not_want_to_stop_is_killed(start: Start, tmp_path: Path) -> None:
    up, asked = tmp_path / "up", tmp_path / "asked"
    worker = start(
        "import pathlib, signal\n"
        f"signal.signal(15, lambda *_: pathlib.Path({str(asked)!r}).touch())\n"
        f"pathlib.Path({str(up)!r}).touch()\n"
        "while True: signal.pause()"
    )
    until(up.exists)
    worker.stop()
    until(asked.exists)
    assert worker.poll() is None
    worker.kill()
    assert worker.poll() == KILLED
    worker.kill()


def test_a_worker_that_is_frozen_can_be_killed_and_what_it_started_with_it(
    start: Start, tmp_path: Path
) -> None:
    up = tmp_path / "up"
    waits = "import signal; signal.pause()"
    worker = start(
        "import pathlib, subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {waits!r}])\n"
        f"pathlib.Path({str(up)!r}).write_text(str(child.pid))\n" + waits
    )
    started = int(until(lambda: up.exists() and up.read_text()))
    worker.process.send_signal(signal.SIGSTOP)
    until(lambda: status_of(worker.process.pid, "State").startswith("T"))
    worker.kill()
    assert worker.poll() == KILLED
    try:
        until(lambda: status_of(started, "State")[:1] in ("", "Z"))  # nobody here can reap it
    finally:
        with suppress(ProcessLookupError):
            os.kill(started, signal.SIGKILL)


def test_a_worker_is_told_what_it_holds(start: Start, tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = (
        "import os, sys\n"
        f"open({str(told)!r}, 'w').write(repr((sys.argv[1:], sys.stdin.read(), os.getpgid(0) == os.getpid())))"
    )
    typed, terminal = os.pipe()
    os.write(terminal, b"typed")
    os.close(terminal)
    before = os.dup(0)
    os.dup2(typed, 0)
    try:
        assert ended(start(program)) == Exit(0)
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(typed)
    # Nothing to read, and a group of its own: Ctrl-C does not reach it.
    assert told.read_text() == repr((["17", "3", "host-1"], "", True))


def test_a_worker_dies_with_its_parent() -> None:
    """Even where the parent is killed so that it cannot do anything about it."""
    program = (
        "import signal; print('up', flush=True);"
        "signal.signal(14, lambda *_: print('survived', flush=True)); signal.alarm(60); signal.pause()"
    )
    parent = (
        "import signal, sys\nfrom merger.daemon.processes import worker_starter\nfrom merger.records.processing.queue import Claim\n"
        f"worker_starter([sys.executable, '-c', {program!r}])(Claim(1, 1, 'x'))\nsignal.pause()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.kill()
        # The end of what both write to: nobody is left.
        assert process.stdout.read() == ""


def test_no_room_for_another_process(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system refuses: here a pipe, by which a new process tells that it could be started."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(4)]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(taken), hard))
        with pytest.raises(Temporary, match="no process can be started: ") as caught:
            start("pass")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for handle in taken:
            os.close(handle)
    assert caught.value.code == "worker"

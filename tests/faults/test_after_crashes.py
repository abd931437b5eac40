"""What is left of crashes: records that kill their workers, files that nobody knows; and crashes at random."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from merger.daemon import loop
from merger.daemon.daemon import Daemon
from merger.daemon.processes import Worker, start_process, worker_starter
from merger.daemon.retention import remove_expired
from merger.records import actions
from merger.records.processing.queue import Claim
from tests.conftest import seconds
from tests.faults.crash_sites import (
    Build,
    ask,
    check,
    crashing,
)
from tests.soak.service import BEGIN, film, one_round
from tests.support.aftermath import (
    LATER,
    check_delivered,
    check_only,
    files,
    work_folders,
)
from tests.support.line import reason
from tests.support.selection import rarely
from tests.support.site import LENGTH_S, ROOT


@pytest.mark.parametrize(
    ("place", "what", "how"),
    [
        rarely(
            "analyse.written",
            "kill",
            "its process was killed by SIGKILL",
            why="workers killed at other places, too",
        ),
        ("collect.entered", "exit", "its process ended with exit code 7"),  # it has just begun
    ],
)
def test_a_record_that_kills_its_workers_ends_and_the_next_is_delivered(
    on_sqlite: Build, monkeypatch: pytest.MonkeyPatch, place: str, what: str, how: str
) -> None:
    """With the daemon, which sees that they die and need not wait for the lease to end."""
    site = on_sqlite("site")
    assert ask(site, 1.0) == 2
    for name, value in site.variables.items():
        monkeypatch.setenv(name, value)
    begun: list[Claim] = []

    def start(held: Claim) -> Worker:
        begun.append(held)
        when = "1" if held.record == 1 else "1000"
        command = [sys.executable, "-m", "tests.faults.crashing", place, what, when]
        return worker_starter(command)(held)

    def start_house() -> Worker:
        return start_process([sys.executable, "app.py", "keep-house"])

    def pause(most_s: float) -> None:
        child = next(iter(mine.running.values()), mine.housekeeping.child)
        with suppress(subprocess.TimeoutExpired):
            child.process.wait(most_s)

    # Between one death and the next there are pauses, which nobody wants to wait for.
    mine = Daemon(
        dataclasses.replace(site.service, now=lambda: site.clock), start, start_house, "tests"
    )
    monkeypatch.chdir(ROOT)
    for _ in range(3):
        site.clock = max(datetime.now(UTC), site.row(1).run_after)
        loop.run_once(mine, loop.Signals(lambda: 0, pause))
    assert [(held.record, held.attempt) for held in begun] == [(1, 1), (2, 1), (1, 2), (1, 3)]
    row = site.row(1)
    assert (row.status, row.error_code, row.delivered_version) == ("failed", "worker_died", None)
    assert f"ended 3 times without explanation ({how})" in reason(row)
    assert site.events(1) == ["asked", *3 * ["claimed", "lost"], "failed"]
    check_delivered(site, 2, BEGIN + seconds(1), LENGTH_S - 1)
    check_only(site, site.clock)
    # When what killed them was put right, it is made after all.
    actions.retry(site.engine, 1, site.clock)
    assert site.work() == "delivered"
    check_delivered(site, 1, BEGIN, LENGTH_S)
    check_only(site, site.clock)


def test_what_crashes_left_is_never_used_and_removed(on_sqlite: Build) -> None:
    other, site = on_sqlite("other"), on_sqlite("site")
    assert other.work() == "delivered"
    data = site.settings.data
    junk = b"half a file"
    for path in other.settings.data.glob("segments/*/*"):  # under the very names that are needed
        half = data / path.relative_to(other.settings.data)
        half.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(junk)
    unknown = data / "segments" / "1" / "2026-11-20_10-00-00_504_speaker~0123456789abcdef.mp4"
    unknown.write_bytes(junk)
    unknown.with_suffix(".json").write_bytes(junk)
    for attempt in ("1/attempt-1", "1/attempt-7", "1/attempt-x", "9/attempt-1"):
        folder = data / "records" / attempt
        folder.mkdir(parents=True)
        for kind in ("merge", "backup"):
            (folder / f"{kind}.mp4").write_bytes(junk)
    (data / "records" / "1" / "plan.json").write_bytes(junk)
    places = (site.settings.cache, data / "records" / "1", data / "segments" / "1", site.merged)
    for name in (".merge-work-x", f".merge-work-{'0' * 16}-7-{'1' * 32}"):
        for place in places:
            work = place / name
            work.mkdir(parents=True)
            for file in ("copy", "merge.mp4", "backup.mp4", "plan.json"):
                (work / file).write_bytes(junk)
            os.utime(work, (1, 1))  # without a lock, it is dead when it is older than a minute
    assert site.work() == "delivered"
    assert work_folders(site) == []
    remove_expired(site.service, site.clock)
    assert unknown.exists()  # it might be one that is being collected this moment
    check(site)
    assert not unknown.exists()
    made = [path for path in site.folder.rglob("*") if path.is_file() and path.read_bytes() == junk]
    assert made == []


def test_tidying_up_leaves_alone_what_a_worker_is_making(on_sqlite: Build) -> None:
    """However long it has been making it: its renditions are there before their rows are."""
    site = on_sqlite("site")
    with crashing(site, "encode.published", "stop") as crash:
        crash.await_stopped()
        remove_expired(site.service, site.clock)
        before = files(site.settings.data)
        assert any(name.startswith("records/1/attempt-1/") for name in before)
        remove_expired(site.service, site.clock + LATER)
        assert files(site.settings.data) == before
        crash.child.send_signal(signal.SIGCONT)
        assert "record 1: delivered" in crash.said()
    check(site)


def test_half_a_note_of_whose_the_folder_is_is_never_there(
    on_sqlite: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written once: a wrong one forbids for good that anything is removed."""
    site = on_sqlite("site")
    note = site.settings.data / "database-id"
    site.settings.data.mkdir()

    def die(partial: Path, final: Path) -> None:
        raise RuntimeError("dead")

    with monkeypatch.context() as patched:
        patched.setattr("merger.daemon.retention.publish", die)
        with pytest.raises(RuntimeError):
            remove_expired(site.service, site.clock)
    assert not note.exists()
    remove_expired(site.service, site.clock)
    assert len(note.read_text()) == 33
    assert list(site.settings.data.iterdir()) == [note]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    film(folder)
    return folder


SEEDS = (1, *(rarely(seed, why="from more seeds of chance") for seed in range(2, 11)))


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_random(seed: int, tmp_path: Path, films: Path) -> None:
    """See there; `script/soak service` does the same with more records, for as long as one likes."""
    one_round(tmp_path, films, seed, Counter(), most=2)

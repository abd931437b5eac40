"""Crashes at every named place: after a restart there is one right file per record, and no more.

The place is reached in a process of its own, which dies there (as by `kill -9`), makes a mistake, or
stops until others have done its work. Its clock is the real one, so the site's is, too.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session

from merger import daemon, failpoints, outcomes, queue, records, schema
from merger.children import Worker, started, starter
from merger.daemon import Daemon
from merger.database import connected, writing
from merger.queue import Claim, release
from merger.tidy import tidy
from merger.timeline import utc
from models import STAGES, Record, Source
from tests.aftermath import (
    LATER,
    check_delivered,
    check_only,
    deliveries,
    digest,
    files,
    rows,
    work_folders,
)
from tests.conftest import Room, seconds
from tests.databases import MariaDB
from tests.site import LENGTH_S, ROOT, Site
from tests.soak_service import BEGIN, film, one_round
from tests.waiting import DEADLINE_S, status_of, until

WHATS = ("kill", "raise", "stop")
# Of a record that is made anew without what its backup shows.
REMOVED = "deliver.removed"


def failpoints_of(path: Path) -> Iterator[str]:
    """Yield the names of the failpoints in a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "reached"):
            continue
        [name] = node.args
        if isinstance(name, ast.Constant):
            yield str(name.value)
        else:
            assert ast.unparse(name) == "f'{stage}.entered'", f"{path}: what is its name?"
            yield from (f"{stage}.entered" for stage in STAGES)


PLACES = sorted(
    {
        name
        for folder in ("merger", "recorders")
        for path in (ROOT / folder).rglob("*.py")
        for name in failpoints_of(path)
        # A camera is recorded by another process: tests/recorders/test_recordings.py. What it sent
        # is uploaded by the housekeeping: tests/service/test_raw_uploads.py. People are told by an
        # errand: tests/service/test_outbox.py. Nothing is announced here: test_announcing.py.
        if not name.startswith(("recording.", "raw.", "post.", "announce."))
    }
)


# --- sites ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with a lecture, and an empty database with its tables."""
    folder = tmp_path_factory.mktemp("filmed")
    room = Room(folder)
    for source in ("speaker", "screen"):
        path = room.film(source, 0, LENGTH_S, start=BEGIN, sound=source == "speaker")
        told = {"start": BEGIN.isoformat(), "sha256": digest(path)}
        path.with_suffix(".json").write_text(json.dumps(told))
        ended = (BEGIN + seconds(LENGTH_S)).timestamp()
        for one in (path, path.with_suffix(".json")):
            os.utime(one, (ended, ended))
    engine = connected(f"sqlite:///{folder / 'database.sqlite'}")
    schema.upgrade(engine)
    engine.dispose()
    return folder


def furnished(folder: Path, url: str, filmed: Path) -> Site:
    """Return a service that was asked for the lecture."""
    # A stopped worker keeps its turn to encode: there is one for another.
    site = Site(folder, url, {"MERGER_PARALLEL": "2"}, datetime.now(UTC))
    site.add_room(chunk_s=1800)
    shutil.copytree(filmed / "library", site.library().library, dirs_exist_ok=True)
    assert ask(site) == 1
    return site


def ask(site: Site, from_s: float = 0.0) -> int:
    start, end = (utc(BEGIN + seconds(at_s)) for at_s in (from_s, LENGTH_S))
    request = records.Request("504", start, end, name="Lecture", profile="tiny")
    return records.ask(site.engine, request, utc(BEGIN))[0]


Build = Callable[[str], Site]


@pytest.fixture
def on_sqlite(tmp_path: Path, filmed: Path) -> Iterator[Build]:
    """Makes services, each in a folder of its own."""
    with ExitStack() as stack:

        def build(name: str) -> Site:
            folder = tmp_path / name
            folder.mkdir()
            shutil.copyfile(filmed / "database.sqlite", folder / "database.sqlite")
            url = f"sqlite:///{folder / 'database.sqlite'}"
            site = furnished(folder, url, filmed)
            stack.callback(site.engine.dispose)
            return site

        yield build


@pytest.fixture
def on_mariadb(tmp_path: Path, filmed: Path, mariadb: MariaDB) -> Iterator[Build]:
    with ExitStack() as stack:

        def build(name: str) -> Site:
            folder = tmp_path / name
            folder.mkdir()
            url = mariadb.create()
            stack.callback(mariadb.drop, url)
            engine = connected(url)
            schema.upgrade(engine)
            engine.dispose()
            site = furnished(folder, url, filmed)
            stack.callback(site.engine.dispose)
            return site

        yield build


# --- a worker that crashes ------------------------------------------------------------------------


@dataclass
class Crash:
    """A worker process that is to crash at a place while it works on a record."""

    site: Site
    place: str
    child: subprocess.Popen[bytes]

    def said(self) -> str:
        """Return what it said, once it has ended."""
        return self.child.communicate(timeout=DEADLINE_S)[0].decode()

    def await_stopped(self) -> None:
        """Wait until it is stopped; it may end instead, which is wrong."""
        state = until(lambda: {"T", "Z"} & set(status_of(self.child.pid, "State")[:1]))
        assert state == {"T"}, self.said()

    def check_harmless(self) -> None:
        """Let a stopped worker go on that is too late: it ends by itself and changes nothing."""
        known, there = rows(self.site), files(self.site.settings.data)
        self.child.send_signal(signal.SIGCONT)
        said = self.said()
        assert self.child.returncode == 0, said
        assert f"record 1: {'delivered' if self.place == 'completed' else 'lost'}" in said
        assert files(self.site.settings.data) == there
        assert rows(self.site) == known
        assert work_folders(self.site) == []


@contextmanager
def crashing(site: Site, place: str, what: str, when: int = 1) -> Iterator[Crash]:
    """Start a worker on the next record."""
    held = site.claim()
    assert held is not None
    claimed = (str(held.record), str(held.attempt), held.worker)
    command = (sys.executable, "-m", "tests.crashing", place, what, str(when), *claimed)
    with site.process(*command) as child:
        yield Crash(site, place, child)


@dataclass
class Left:
    """What was there already when a worker crashed, and is not to be made a second time."""

    site: Site
    renditions: set[Path]
    files: dict[Path, int]

    def check_kept(self) -> None:
        """Nothing that was finished was encoded, joined or published again."""
        assert {path: path.stat().st_ino for path in self.files} == self.files
        if self.renditions and self.site.row().version == 1:
            assert renditions_of(self.site, 1) == self.renditions


def renditions_of(site: Site, version: int) -> set[Path]:
    """Return the finished files of a version that rows know."""
    kept = outcomes.kept_renditions(site.engine, 1, version)
    return {site.settings.data / rendition.path for rendition in kept if rendition.path}


def left_by_a_crash(site: Site, version: int = 1) -> Left:
    """Remember the finished parts, the videos that rows know, and those that people can see."""
    renditions = renditions_of(site, version)
    earlier = {
        d.name
        for d in deliveries(site, 1).values()
        if d.status == "delivered" and d.version != version
    }
    paths = [
        *site.settings.cache.glob("??/*.m??"),
        *renditions,
        *(path for path in site.merged.glob("[!.]*") if path.name not in earlier),
    ]
    return Left(site, renditions, {path: path.stat().st_ino for path in paths})


def take_over(site: Site) -> None:
    """Have another worker do what is left to be done, once nobody holds the record any more."""
    row = site.row()
    if row.status == "running":
        assert row.lease_until is not None
        site.clock = row.lease_until + timedelta(seconds=1)
        assert queue.take_back_lost(site.engine, site.clock) == [1]
        assert site.work() == "delivered"


def check(site: Site, **changes: Any) -> None:
    check_delivered(site, 1, BEGIN, LENGTH_S, **changes)
    check_only(site, site.clock)
    told = site.events()
    # One line for each rendition of each version, however often it was tried.
    assert told.count("sent") == {1: 2, 2: 3}[site.row().version]


def check_killed(crash: Crash, **changes: Any) -> None:
    site = crash.site
    said = crash.said()
    assert crash.child.returncode == -signal.SIGKILL, said
    assert (site.row().status == "delivered") == (crash.place == "completed")
    left = left_by_a_crash(site, changes.get("version", 1))
    take_over(site)
    left.check_kept()
    check(site, **changes)


def check_raised(crash: Crash, **changes: Any) -> None:
    """A mistake of the program: trying again by itself would repeat it."""
    site = crash.site
    said = crash.said()
    assert crash.child.returncode == 0, said
    assert f"RuntimeError: a mistake at {crash.place}" in said  # where, for those who mend it
    left = left_by_a_crash(site, changes.get("version", 1))
    row = site.row()
    if crash.place == "completed":
        assert row.status == "delivered"
    else:
        mine = row.delivered_version is None
        # Of another version, or so it may be: what was delivered is put back.
        has_arrived = not mine and crash.place in (REMOVED, "folder.confirmed")
        status = "failed" if mine else "queued" if has_arrived else "delivered"
        assert (row.status, row.error_code) == (status, "internal")
        assert f"a mistake in this program: RuntimeError: a mistake at {crash.place}" in (
            row.error_text or ""
        )
        site.clock += timedelta(days=1)
        if has_arrived:
            assert site.work() == "delivered"
            there = {kind: one.version for kind, one in deliveries(site, 1).items()}
            assert there == {"merge": 1, "backup": 1} and site.row().version == 1
        assert site.work() is None
        records.retry(site.engine, 1, site.clock)
        assert site.work() == "delivered"
        if has_arrived:
            check_delivered(site, 1, BEGIN, LENGTH_S, **changes)
            check_only(site, site.clock)
            return
    left.check_kept()
    check(site, **changes)


def check_stopped(crash: Crash, **changes: Any) -> None:
    """It goes on when everything is done: it must see that it is too late, everywhere."""
    site = crash.site
    crash.await_stopped()
    take_over(site)
    crash.check_harmless()
    check(site, **changes)


CHECKS = {"kill": check_killed, "raise": check_raised, "stop": check_stopped}


def check_crashes(
    place: str, build: Build, prepare: Callable[[Site], None], **changes: Any
) -> None:
    """Let three workers crash at a place, at the same time and each in its own way."""
    with ExitStack() as stack:
        crashes = {}
        for what in WHATS:
            site = build(what)
            prepare(site)
            crashes[what] = stack.enter_context(crashing(site, place, what))
        for what, crash in crashes.items():
            CHECKS[what](crash, **changes)


def as_it_is(site: Site) -> None:
    pass


def test_every_place_is_reached(on_sqlite: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is listed is what there is; else the tests below would crash nowhere."""
    site = on_sqlite("whole")
    seen: list[str] = []
    monkeypatch.setattr(failpoints, "hook", seen.append)
    assert site.work() == "delivered"
    assert set(seen) == set(PLACES) - {REMOVED}
    assert seen.count("encode.part") == 2
    check(site)


@pytest.mark.parametrize("place", [place for place in PLACES if place != REMOVED])
def test_a_crash(place: str, on_sqlite: Build) -> None:
    check_crashes(place, on_sqlite, as_it_is)


@pytest.mark.parametrize(
    "place", ["collect.written", "encode.written", "deliver.sent", "deliver.all"]
)
def test_a_crash_at_a_write_on_mariadb(place: str, on_mariadb: Build) -> None:
    check_crashes(place, on_mariadb, as_it_is)


def test_parts_that_were_ready_are_not_encoded_again(on_sqlite: Build) -> None:
    site = on_sqlite("site")
    site.environ["MERGER_PARALLEL"] = "1"
    with crashing(site, "encode.part", "kill", when=2) as crash:
        said = crash.said()
    assert crash.child.returncode == -signal.SIGKILL, said
    left = left_by_a_crash(site)
    parts = {path.suffixes[-2] for path in left.files if path.suffix == ".mp4"}
    assert parts == {".merge", ".backup"}
    take_over(site)
    left.check_kept()
    assert len(list(site.settings.cache.glob("??/*.mp4"))) == 4
    check(site)


# --- another version ------------------------------------------------------------------------------


def made_anew(site: Site, version: int, *, screen: bool) -> None:
    """Queue the delivered record again, as for media that came late; with or without a screen."""
    address = f"{site.library().library}#504_screen"

    def change(session: Session) -> None:
        session.execute(delete(Source).where(Source.name == "screen"))
        row = session.get_one(Record, 1)
        if screen:
            where = {"room_id": row.room_id, "kind": "folder", "address": address}
            session.add(Source(name="screen", role="screen", **where))
        row.version, row.stage, row.run_after = version, "collect", site.clock
        release(row, "queued", site.clock)

    writing(site.engine, change)


def without_a_backup(site: Site) -> None:
    assert site.work() == "delivered"
    assert set(deliveries(site, 1)) == {"merge", "backup"}
    made_anew(site, 2, screen=False)


@pytest.mark.parametrize("place", [REMOVED, "folder.confirmed"])
def test_a_crash_while_a_version_is_replaced(place: str, on_sqlite: Build) -> None:
    check_crashes(place, on_sqlite, without_a_backup, version=2, kinds=("merge",))


def test_a_worker_that_comes_late_removes_nothing_of_a_later_version(on_sqlite: Build) -> None:
    """It was about to remove a backup, which in the meantime is another one of the same name."""
    site = on_sqlite("site")
    without_a_backup(site)
    with crashing(site, "deliver.written", "stop") as crash:
        crash.await_stopped()
        take_over(site)
        assert set(deliveries(site, 1)) == {"merge"}
        made_anew(site, 3, screen=True)
        assert site.work() == "delivered"
        crash.check_harmless()
    check_delivered(site, 1, BEGIN, LENGTH_S, version=3)
    check_only(site, site.clock)


# --- again and again ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "what", "how"),
    [
        ("analyse.written", "kill", "its process was ended by SIGKILL"),
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
        command = [sys.executable, "-m", "tests.crashing", place, what, when]
        return starter(command)(held)

    def start_house() -> Worker:
        return started([sys.executable, "app.py", "keep-house"])

    def pause(most_s: float) -> None:
        child = next(iter(mine.running.values()), mine.house)
        with suppress(subprocess.TimeoutExpired):
            child.process.wait(most_s)

    # Between one death and the next there are pauses, which nobody wants to wait for.
    mine = Daemon(
        dataclasses.replace(site.service, now=lambda: site.clock), start, start_house, "tests"
    )
    monkeypatch.chdir(ROOT)
    for _ in range(3):
        site.clock = max(datetime.now(UTC), site.row(1).run_after)
        daemon.run_once(mine, daemon.Signals(lambda: 0, pause))
    assert [(held.record, held.attempt) for held in begun] == [(1, 1), (2, 1), (1, 2), (1, 3)]
    row = site.row(1)
    assert (row.status, row.error_code, row.delivered_version) == ("failed", "worker_died", None)
    assert f"ended 3 times without a word ({how})" in row.error_text
    assert site.events(1) == ["asked", *3 * ["claimed", "lost"], "failed"]
    check_delivered(site, 2, BEGIN + seconds(1), LENGTH_S - 1)
    check_only(site, site.clock)
    # When what killed them was put right, it is made after all.
    records.retry(site.engine, 1, site.clock)
    assert site.work() == "delivered"
    check_delivered(site, 1, BEGIN, LENGTH_S)
    check_only(site, site.clock)


# --- what lies about ------------------------------------------------------------------------------


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
    tidy(site.service, site.clock)
    assert unknown.exists()  # it might be one that is being brought this moment
    check(site)
    assert not unknown.exists()
    made = [path for path in site.folder.rglob("*") if path.is_file() and path.read_bytes() == junk]
    assert made == []


def test_tidying_up_leaves_alone_what_a_worker_is_making(on_sqlite: Build) -> None:
    """However long it has been making it: its renditions are there before their rows are."""
    site = on_sqlite("site")
    with crashing(site, "encode.published", "stop") as crash:
        crash.await_stopped()
        tidy(site.service, site.clock)
        before = files(site.settings.data)
        assert any(name.startswith("records/1/attempt-1/") for name in before)
        tidy(site.service, site.clock + LATER)
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
        patched.setattr("merger.tidy.publish", die)
        with pytest.raises(RuntimeError):
            tidy(site.service, site.clock)
    assert not note.exists()
    tidy(site.service, site.clock)
    assert len(note.read_text()) == 33
    assert list(site.settings.data.iterdir()) == [note]


# --- at random ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    film(folder)
    return folder


@pytest.mark.parametrize("seed", range(1, 11))
def test_killed_at_random(seed: int, tmp_path: Path, films: Path) -> None:
    """See there; `script/soak service` does the same with more records, for as long as one likes."""
    one_round(tmp_path, films, seed, Counter(), most=2)

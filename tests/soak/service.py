"""A service that is killed at random and started again: `script/soak service --rounds 200`.

Each round asks for some records of two rooms, of the same title and the same minute, so that all of
them wish for one name. A daemon works on them and is killed with -9, or one of its workers is, or
everything at once, after a random number of steps; then another one is started, and so on. What is
delivered in the end is read back frame by frame: each instant once, and nothing of another room.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select, update

from merger.db import schema
from merger.db.engine import reading, writing
from merger.records import actions, requests
from merger.timeline.clock import utc
from models import Event, Record
from tests.conftest import START, Room, seconds
from tests.support.aftermath import check_delivered, check_only, deliveries
from tests.support.site import ROOT, Site
from tests.support.waiting import living, until

# As names of files, both are 5_04. Each with what its speaker and its screen film, by their numbers.
ROOMS = {"5:04": ("speaker", "screen"), "5?04": ("board", "audio")}
CODES = {"5:04": (1, 2), "5?04": (3, 4)}
TITLE, PROFILE = "Lecture", "540p"
FILMED_S = 11.0
MINUTE_ENDS_S = 3.0
# Of a daemon that works on one record undisturbed, as long as it can still be killed; about.
STEPS_OF_A_RECORD = 18
DEADLINE_S = 300.0


def days_before(wanted: datetime) -> datetime:
    """Return the same time of a day that is over by the clock of this machine.

    Processes of the product have no other clock; before START, nothing was asked for.
    """
    ahead = wanted + timedelta(hours=5) - datetime.now(UTC)
    return wanted - timedelta(days=max(0, math.ceil(ahead / timedelta(days=1))))


# Before a multiple of two minutes, so that each record has two parts.
BEGIN = days_before(START + timedelta(minutes=1) + seconds(60 - MINUTE_ENDS_S))


def film(folder: Path) -> None:
    """Film both rooms, from a second before the first record."""
    start = BEGIN - seconds(1)
    ended = (start + seconds(FILMED_S)).timestamp()
    for room, films in ROOMS.items():
        for role, source in zip(("speaker", "screen"), films, strict=True):
            name = f"{start:%Y-%m-%d_%H-%M-%S}_504_{role}.mp4"
            path = Room(folder / f"room-{room}").film(source, 0, FILMED_S, start=start, name=name)
            os.utime(path, (ended, ended))


@dataclass(frozen=True)
class Asked:
    """A record: what it is to show."""

    record: int
    room: str
    start: datetime
    length_s: float


def furnished(folder: Path, films: Path) -> Site:
    """Return a service with both rooms. Its leases are short: nobody wants to wait for them."""
    shutil.copytree(films, folder, dirs_exist_ok=True)
    environ = {"MERGER_LEASE": "2", "MERGER_WORKERS": "2", "MERGER_PARALLEL": "2"}
    url = f"sqlite:///{folder / 'database.sqlite'}"
    site = Site(folder, url, environ, datetime.now(UTC))
    schema.upgrade(site.engine)
    for room in ROOMS:
        site.add_room(room, chunk_s=1800)
    return site


def ask(site: Site, chance: random.Random, number: int) -> list[Asked]:
    """Ask for records of both rooms in turn."""
    asked = []
    for n in range(number):
        room = list(ROOMS)[n % 2]
        from_s = chance.randrange(2500) / 1000
        length_s = chance.randrange(90, 160) / 25  # beyond the minute, and not beyond the film
        start = BEGIN + seconds(from_s)
        end = start + seconds(length_s)
        request = requests.Request(room, utc(start), utc(end), name=TITLE, profile=PROFILE)
        record, is_new = requests.request_record(site.engine, request, utc(BEGIN))
        assert is_new
        asked.append(Asked(record, room, start, length_s))
    return asked


@contextmanager
def daemon(site: Site) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon until there is nothing more to be done."""
    command = [sys.executable, "app.py", "daemon", "--once"]
    environ = {**os.environ, **site.variables}
    with (
        (site.folder / "log").open("ab") as log,
        subprocess.Popen(
            command, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        ) as child,
    ):  # fmt: skip
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()


def steps(site: Site) -> int:
    """Return how much has happened so far, as far as it can be seen."""
    with reading(site.engine) as session:
        told = session.scalar(select(func.count(Event.id))) or 0
    there = sum(len(files) + len(folders) for _, folders, files in os.walk(site.folder))
    return told + there


def ends(child: subprocess.Popen[bytes], within_s: float) -> bool:
    """Wait for a while for the end of a process; return whether it came."""
    with suppress(subprocess.TimeoutExpired):
        child.wait(within_s)
    return child.poll() is not None


def let_time_pass(site: Site) -> None:
    """Have leases end now, and pauses: a worker that is not dead yet is too late.

    Whoever loses its workers again is taken up again after a pause.
    """
    before = datetime.now(UTC) - timedelta(seconds=1)
    held = update(Record).where(Record.status == "running").values(lease_until=before)
    paused = update(Record).where(Record.status == "queued").values(run_after=before)
    writing(site.engine, lambda session: [session.execute(one) for one in (held, paused)])


def kill_at_random(
    site: Site, chance: random.Random, most_steps: int, counts: Counter[str]
) -> None:
    """Start a daemon and kill it, or something of it, in the middle."""
    wanted = steps(site) + chance.randrange(most_steps)
    more_s = chance.uniform(0, 0.3)
    what = chance.choice(("the daemon", "the daemon", "a worker", "everything"))
    with daemon(site) as child:
        while steps(site) < wanted and not ends(child, 0.01):
            pass
        if ends(child, more_s):
            counts["daemons that ended before they were killed"] += 1
            return
        if what == "the daemon":
            os.killpg(child.pid, signal.SIGKILL)
        else:
            for pid, command in living(site.folder).items():
                if what == "everything" or " work " in command:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                    if what == "a worker":
                        break
        counts[f"kill -9 of {what}"] += 1
        child.wait(DEADLINE_S)
        let_time_pass(site)


def work_off(site: Site, counts: Counter[str]) -> None:
    """Run daemons, undisturbed, until nothing is left to be done."""
    end = time.monotonic() + DEADLINE_S
    while site.count("queued") or site.count("running"):
        assert time.monotonic() < end, "records stay queued or running"
        with daemon(site) as child:
            assert child.wait(DEADLINE_S) == 0
        counts["daemons that were not disturbed"] += 1
        let_time_pass(site)


def one_round(folder: Path, films: Path, seed: int, counts: Counter[str], most: int = 3) -> None:
    """Ask, kill, start again, and read back. most: records."""
    chance = random.Random(seed)
    site = furnished(folder, films)
    try:
        asked = ask(site, chance, chance.randint(2, most))
        for _ in range(chance.randint(1, most)):
            if left := site.count("queued") + site.count("running"):
                kill_at_random(site, chance, STEPS_OF_A_RECORD * left, counts)
        work_off(site, counts)
        for one in asked:
            row = site.row(one.record)
            if row.status == "failed" and row.error_code == "worker_died":
                actions.retry(site.engine, one.record, datetime.now(UTC))
                counts["records that were given up, and retried"] += 1
        work_off(site, counts)
        until(lambda: not living(folder))
        read_back(site, asked, counts)
    except BaseException as error:
        error.add_note((folder / "log").read_text() if (folder / "log").exists() else "no log")
        raise
    finally:
        site.engine.dispose()


def read_back(site: Site, asked: list[Asked], counts: Counter[str]) -> None:
    for one in asked:
        codes = CODES[one.room]
        check_delivered(site, one.record, one.start, one.length_s, codes=codes, every=1)
        counts["records delivered"] += 1
        counts["frames read back"] += round(one.length_s * 25)
        counts["attempts"] += site.row(one.record).attempt
    check_only(site, datetime.now(UTC))
    names = {d.name for one in asked for d in deliveries(site, one.record).values()}
    assert names == {path.name for path in site.merged.iterdir()}
    assert len(names) == 2 * len(asked)
    log = (site.folder / "log").read_text()
    assert "Traceback" not in log and "mistake" not in log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    begun = time.monotonic()
    failed = 0
    with tempfile.TemporaryDirectory() as films:
        film(Path(films))
        for seed in range(options.seed, options.seed + options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    one_round(Path(folder), Path(films), seed, counts, most=6)
                except Exception:
                    failed += 1
                    print(f"round {seed} failed:\n{traceback.format_exc()}", flush=True)
    print(
        f"{options.rounds} rounds from seed {options.seed}, {failed} failed, in {time.monotonic() - begun:.0f} s"
    )
    for name, count in sorted(counts.items()):
        print(f"  {name}: {count}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()

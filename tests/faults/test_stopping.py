"""Stopping what runs: a record by whoever asked for it, the daemon by its operator. Real processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from merger.db.engine import writing
from models import Record
from tests.conftest import CARRIED, MOSCOW, Room, seconds
from tests.render.test_time import check_instants
from tests.support.databases import ON_SQLITE
from tests.support.programs import UNCONFINED, write_program
from tests.support.selection import rarely
from tests.support.site import Site
from tests.support.truth import frames_seen
from tests.support.waiting import living, status_of, until

# Of a time that is over whatever this machine's clock says, and 5 s before a part begins.
BEGIN = datetime(2024, 11, 20, 10, 1, 55, tzinfo=MOSCOW)
DAEMON = (sys.executable, "app.py", "daemon")
needs_setpriv = pytest.mark.skipif(
    shutil.which("setpriv") is None, reason="children can outlive us without setpriv"
)


# The real ffmpeg. As long as a file is there, it reads what comes after the first part no faster than
# it was filmed, so that there is time to stop it, however fast the machine is.
SLOW = """case "$*" in *partial.mp4*)
    if [ -e "$SLOW" ] && ls "$MERGER_CACHE"/??/*.merge.mp4 > /dev/null 2>&1; then
        left=$#
        while [ $left -gt 0 ]; do
            if [ "$1" = -i ]; then set -- "$@" -re; fi
            set -- "$@" "$1"; shift
            left=$((left - 1))
        done
    fi;;
esac
exec "$REAL" "$@"
"""
LENGTH_S = 15


@pytest.fixture(scope="session")
def long_lecture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A speaker and a screen that are filmed."""
    room = Room(tmp_path_factory.mktemp("long"))
    for source in ("speaker", "screen"):
        path = room.film(
            source, 0, LENGTH_S, start=BEGIN, rate=Fraction(5), sound=source == "speaker"
        )
        ended = (BEGIN + seconds(LENGTH_S)).timestamp()
        os.utime(path, (ended, ended))
    return room.library


@pytest.fixture
def lecture(site: Site, long_lecture: Path) -> Site:
    """A service with a record that takes a while; its first part, of five seconds, does not."""
    slow = site.folder / "slow"
    program = write_program(
        site.folder / "ffmpeg", SLOW,
        REAL=CARRIED.path, SLOW=slow, MERGER_CACHE=site.settings.cache,
    )  # fmt: skip
    slow.touch()
    site.environ |= {"MERGER_FFMPEG": str(program), "MERGER_PARALLEL": "1", **UNCONFINED}
    site.add_room(chunk_s=600)
    for path in long_lecture.iterdir():
        os.link(path, site.library().library / path.name)
    ask(site, LENGTH_S)
    return site


def ask(site: Site, length_s: float, **changes: object) -> int:
    span = {"start": BEGIN, "end": BEGIN + seconds(length_s)}
    return site.ask(**span, **{"profile": "540p", **changes})


def parts(site: Site) -> dict[Path, int]:
    """Return which finished parts there are, and which file each is."""
    return {path: path.stat().st_ino for path in site.settings.cache.glob("??/*.mp4")}


def ffmpegs(site: Site) -> list[int]:
    """Return which processes of the service encode a part."""
    return [pid for pid, command in living(site.folder).items() if "partial.mp4" in command]


def in_second_part(site: Site) -> bool:
    return len(parts(site)) == 2 and bool(ffmpegs(site))


def worker_of(site: Site) -> int:
    [worker] = [pid for pid, command in living(site.folder).items() if "app.py work" in command]
    return worker


def ended(child: subprocess.Popen[bytes]) -> str:
    """Wait until a process has ended; return what it said."""
    said, _ = child.communicate(timeout=600)
    return said.decode()


def check_nothing_is_left(site: Site) -> None:
    """No process, no half-done file, and nothing that people could take for a video."""
    until(lambda: not living(site.folder))
    assert not list(site.merged.glob("*"))
    records = site.settings.data / "records" / "1"
    for folder in (site.settings.cache, records):
        assert not list(folder.glob(".merge-work-*"))
    assert not list(records.glob("attempt-*/*"))


def finish(site: Site, attempt: int) -> None:
    """Have the next daemon deliver it, without making again what was ready."""
    (site.folder / "slow").unlink()
    ready = parts(site)
    assert len(ready) == 2
    done = site.command("daemon", "--once")
    assert done.returncode == 0, done.stderr
    assert {path: number for path, number in parts(site).items() if path in ready} == ready
    assert len(parts(site)) == 4
    row = site.row()
    assert (row.status, row.attempt, row.claimed_by) == ("delivered", attempt, None), done.stderr
    [merge] = [path for path in site.merged.glob("*.mp4") if "backup" not in path.name]
    frames = frames_seen(merge, wanted=range(0, 25 * LENGTH_S, 125))
    assert len(frames) == LENGTH_S / 5
    check_instants(frames, BEGIN)
    until(lambda: not living(site.folder))


def let_the_lease_end(site: Site) -> None:
    """Nobody was there to prolong it, for as long as it lasts."""

    def write(session: Session) -> None:
        session.get_one(Record, 1).lease_until = datetime.now(UTC) - timedelta(seconds=1)

    writing(site.engine, write)


def test_a_record_is_cancelled_while_it_is_encoded(lecture: Site) -> None:
    with lecture.process(*DAEMON) as daemon:
        until(lambda: in_second_part(lecture))
        assert lecture.said("cancel", "1") == {"id": 1, "status": "running"}
        until(lambda: lecture.row().status == "cancelled")
        until(lambda: not ffmpegs(lecture))
        until(lambda: list(living(lecture.folder)) == [daemon.pid])
        assert daemon.poll() is None  # it goes on with others
        daemon.send_signal(signal.SIGTERM)
        said = ended(daemon)
    assert daemon.returncode == 0, said
    check_nothing_is_left(lecture)
    row = lecture.row()
    assert (row.claimed_by, row.lease_until, row.cancel_requested_at) == (None, None, None)
    assert (row.tries, row.lost, row.error_code, row.done) == (0, 0, None, 1)
    assert lecture.events() == ["asked", "claimed", "cancel", "cancelled"]
    again = lecture.run("cancel", "1")
    assert again.returncode == 2 and "already cancelled" in again.stderr
    assert lecture.command("daemon", "--once").returncode == 0  # nothing to do
    assert lecture.row().attempt == 1
    assert lecture.run("retry", "1").returncode == 0  # somebody wants it after all
    finish(lecture, attempt=2)


@ON_SQLITE
@pytest.mark.parametrize(
    "command",
    [["daemon"], rarely(["run", "--port", "0"], why="a daemon that is one process with the pages")],
    ids=lambda words: words[0],
)
def test_a_daemon_that_is_asked_to_stop_hands_back(lecture: Site, command: list[str]) -> None:
    with lecture.process(sys.executable, "app.py", *command) as daemon:
        until(lambda: in_second_part(lecture))
        daemon.send_signal(signal.SIGTERM)
        said = ended(daemon)
    assert daemon.returncode == 0, said
    assert "record 1: handed back" in said and "has ended" in said
    assert "Traceback" not in said and "ERROR" not in said
    check_nothing_is_left(lecture)
    row = lecture.row()
    assert (row.status, row.claimed_by, row.lease_until) == ("queued", None, None)
    assert (row.attempt, row.tries, row.lost, row.stage) == (1, 0, 0, "encode")
    assert lecture.events() == ["asked", "claimed", "handed_back"]
    finish(lecture, attempt=2)
    assert lecture.events()[3:] == ["claimed", "sent", "sent", "delivered"]


@ON_SQLITE
def test_once_can_be_stopped_too(lecture: Site) -> None:
    with lecture.process(*DAEMON, "--once") as daemon:
        until(lambda: in_second_part(lecture))
        daemon.send_signal(signal.SIGINT)
        said = ended(daemon)
    assert daemon.returncode == 0, said
    check_nothing_is_left(lecture)
    assert lecture.events() == ["asked", "claimed", "handed_back"]


@needs_setpriv
@ON_SQLITE
def test_a_second_signal_kills(lecture: Site) -> None:
    """The worker hangs, and the operator does not want to wait."""
    with lecture.process(*DAEMON) as daemon:
        until(lambda: in_second_part(lecture))
        worker = worker_of(lecture)
        os.kill(worker, signal.SIGSTOP)
        until(lambda: status_of(worker, "State").startswith("T"))
        daemon.send_signal(signal.SIGTERM)
        # It was passed on, and the worker does not hear it.
        until(lambda: int(status_of(worker, "ShdPnd"), 16) >> signal.SIGTERM - 1 & 1)
        assert daemon.poll() is None
        daemon.send_signal(signal.SIGTERM)
        said = ended(daemon)
        until(lambda: not living(lecture.folder))
    assert daemon.returncode == 0, said
    row = lecture.row()
    assert (row.status, row.attempt) == ("running", 1)  # nobody could say so
    let_the_lease_end(lecture)
    finish(lecture, attempt=2)
    assert lecture.events()[:4] == ["asked", "claimed", "lost", "claimed"]
    assert not list(lecture.settings.cache.glob(".merge-work-*"))


@needs_setpriv
@ON_SQLITE
def test_a_daemon_that_is_killed_leaves_no_orphans(lecture: Site) -> None:
    with lecture.process(*DAEMON) as daemon:
        until(lambda: in_second_part(lecture))
        commands = " ".join(living(lecture.folder).values())
        assert "app.py work" in commands and ".partial.m" in commands
        daemon.kill()
        until(lambda: not living(lecture.folder))
    assert lecture.row().status == "running"
    let_the_lease_end(lecture)
    finish(lecture, attempt=2)
    assert lecture.events()[:4] == ["asked", "claimed", "lost", "claimed"]
    assert not list(lecture.settings.cache.glob(".merge-work-*"))


@needs_setpriv
@ON_SQLITE
def test_a_worker_that_is_killed_takes_its_ffmpeg_with_it(lecture: Site) -> None:
    """Its daemon sees it at once, and gives the record to another: nobody waits for the lease."""
    with lecture.process(*DAEMON, "--once") as daemon:
        until(lambda: in_second_part(lecture))
        before = set(ffmpegs(lecture))
        (lecture.folder / "slow").unlink()
        os.kill(worker_of(lecture), signal.SIGKILL)
        until(lambda: lecture.row().attempt == 2)
        until(lambda: not before & set(ffmpegs(lecture)))
        said = ended(daemon)
    assert daemon.returncode == 0
    assert "its process was killed by SIGKILL" in said
    assert lecture.row().status == "delivered"
    assert lecture.events() == ["asked", "claimed", "lost", "claimed", "sent", "sent", "delivered"]
    assert len(parts(lecture)) == 4


@ON_SQLITE
def test_what_waits_for_its_turn_is_cancelled_at_once(lecture: Site) -> None:
    """Two records, and room for one part at a time: the second waits for the first."""
    lecture.environ["MERGER_WORKERS"] = "2"
    assert ask(lecture, 30, layout="screen_large") == 2
    with lecture.process(*DAEMON) as daemon:
        until(lambda: ffmpegs(lecture) and lecture.row(2).stage in ("analyse", "encode"))
        assert lecture.said("cancel", "1")["status"] == "running"
        assert lecture.said("cancel", "2")["status"] == "running"
        until(lambda: lecture.count("cancelled") == 2)
        until(lambda: list(living(lecture.folder)) == [daemon.pid])
        daemon.send_signal(signal.SIGTERM)
        ended(daemon)
    check_nothing_is_left(lecture)

"""Crashes at every named place: after a restart there is one right file per record, and no more.

The place is reached in a process of its own, which dies there (as by `kill -9`), makes a mistake, or
stops until others have done its work. Its clock is the real one, so the site's is, too.
"""

from __future__ import annotations

import ast
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session

from merger import failpoints
from merger.db.engine import writing
from merger.records import actions
from merger.records.processing.queue import release
from models import STAGES, Record, Source
from tests.faults.crash_sites import Build, Crash, check, crashing, left_by_a_crash, take_over
from tests.soak.service import BEGIN
from tests.support.aftermath import check_delivered, check_only, deliveries
from tests.support.line import reason
from tests.support.selection import rarely
from tests.support.site import LENGTH_S, ROOT, Site

WHATS = ("kill", "raise", "stop")
# Of a record that is made anew without what its backup shows.
REMOVED = "deliver.removed"


def failpoints_of(path: Path) -> Iterator[str]:
    """Yield the names of the failpoints in a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "failpoint"):
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
        # A camera is recorded by another process: tests/recorders/rtsp/test_recordings.py. What it sent
        # is uploaded by the housekeeping: tests/live/test_raw_uploads.py. People are told by an
        # errand: tests/notifications/test_sender.py. Nothing is announced here: test_announcing.py.
        # Nothing is renamed or imported either: test_renaming.py, tests/series/test_importing.py.
        if not name.startswith(("recording.", "raw.", "post.", "announce.", "rename.", "import."))
        and name != "folder.renaming"
    }
)


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
        assert f"a bug in this program (RuntimeError: a mistake at {crash.place})" in reason(row)
        site.clock += timedelta(days=1)
        if has_arrived:
            assert site.work() == "delivered"
            there = {kind: one.version for kind, one in deliveries(site, 1).items()}
            assert there == {"merge": 1, "backup": 1} and site.row().version == 1
        assert site.work() is None
        actions.retry(site.engine, 1, site.clock)
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
    place: str,
    build: Build,
    prepare: Callable[[Site], None],
    whats: Sequence[str] = WHATS,
    **changes: Any,
) -> None:
    """Let workers crash at a place, at the same time and each in its own way."""
    with ExitStack() as stack:
        crashes = {}
        for what in whats:
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


# A plain run kills at every place, and does one of the others.
@pytest.mark.parametrize(
    ("place", "whats"),
    [
        case
        for n, place in enumerate(place for place in PLACES if place != REMOVED)
        for case in (
            (place, ("kill", WHATS[1 + n % 2])),
            rarely(place, (WHATS[2 - n % 2],), why="in the third way of crashing at a place"),
        )
    ],
)
def test_a_crash(place: str, whats: Sequence[str], on_sqlite: Build) -> None:
    check_crashes(place, on_sqlite, as_it_is, whats)


@pytest.mark.parametrize(
    "place",
    [
        "encode.written",
        *(
            rarely(place, why="on MariaDB, as on SQLite")
            for place in ("collect.written", "deliver.sent", "deliver.all")
        ),
    ],
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

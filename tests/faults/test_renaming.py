"""A delivered lecture is renamed, and its worker crashes: there is one file, under the new name."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from merger.accounts.permissions import Principal, granted_scopes
from merger.db.engine import reading
from merger.records.edit import Edit, edit_record
from merger.records.processing import queue
from models import Rendition
from tests.faults.crash_sites import Build, crashing
from tests.support.aftermath import deliveries, digest, work_folders
from tests.support.site import Site

EDITOR = Principal(1, "editor@example.edu", "editor", granted_scopes("editor"))
PLACES = ["rename.reserved", "folder.renaming", "rename.done", "rename.written", "rename.all"]


def rename(site: Site, name: str) -> None:
    edit_record(site.engine, 1, Edit({"name": name}), site.clock, EDITOR, None)
    assert site.row().status == "queued"


def take_over(site: Site) -> None:
    row = site.row()
    assert row.status == "running" and row.lease_until is not None
    site.clock = row.lease_until + timedelta(seconds=1)
    assert queue.take_back_lost(site.engine, site.clock) == [1]
    assert site.work() == "updated"


def inodes(site: Site) -> set[int]:
    return {path.stat().st_ino for path in site.merged.iterdir()}


def check(site: Site, name: str, before: set[int]) -> None:
    """The same files have the new name and no other, and everything says so."""
    row = site.row()
    assert (row.status, row.is_outdated, row.version, row.delivered_version) == (
        "delivered", False, 1, 1,
    )  # fmt: skip
    assert inodes(site) == before and work_folders(site) == []
    there = {path.name for path in site.merged.iterdir()}
    ledger = deliveries(site, 1)
    assert there == {entry.name for entry in ledger.values()}
    assert all(file.startswith(f"{name}_504_") for file in there)
    with reading(site.engine) as session:
        made = dict(session.execute(select(Rendition.kind, Rendition.sha256)).all())  # type: ignore[arg-type]
    for kind, entry in ledger.items():
        assert entry.former_names is None and entry.link == str(site.merged / entry.name)
        assert digest(Path(entry.link)) == made[kind]


def test_a_worker_is_killed_anywhere(on_sqlite: Build) -> None:
    site = on_sqlite("site")
    assert site.work() == "delivered"
    before = inodes(site)
    for n, place in enumerate(PLACES):
        rename(site, f"Name {n}")
        with crashing(site, place, "kill") as crash:
            said = crash.said()
        assert crash.child.returncode == -signal.SIGKILL, said
        take_over(site)
        check(site, f"Name {n}", before)
    assert site.events().count("updated") == len(PLACES)
    assert site.events().count("sent") == 2  # nothing was sent again


@pytest.mark.parametrize("place", ["folder.renaming", "rename.done"])
def test_a_worker_that_comes_late_changes_nothing(on_sqlite: Build, place: str) -> None:
    with ExitStack() as stack:
        site = on_sqlite("site")
        assert site.work() == "delivered"
        before = inodes(site)
        rename(site, "New")
        crash = stack.enter_context(crashing(site, place, "stop"))
        crash.await_stopped()
        take_over(site)
        crash.check_harmless()
        check(site, "New", before)


def test_other_texts_without_another_name_touch_no_file(on_sqlite: Build) -> None:
    site = on_sqlite("site")
    assert site.work() == "delivered"
    before = {path.name: path.stat().st_ctime_ns for path in site.merged.iterdir()}
    edit_record(site.engine, 1, Edit({"description": "About"}), site.clock, EDITOR, None)
    assert site.work() == "updated"
    assert {path.name: path.stat().st_ctime_ns for path in site.merged.iterdir()} == before


def test_a_share_that_is_away_is_waited_for(on_sqlite: Build) -> None:
    site = on_sqlite("site")
    site.environ["MERGER_OUTPUT"] = str(site.folder / "share")
    (site.folder / "share").mkdir()
    assert site.work() == "delivered"
    (site.folder / "share").rename(site.folder / "away")
    rename(site, "New")
    assert site.work() == "deferred"
    row = site.row()
    assert (row.status, row.stage, site.events()[-1]) == ("queued", "deliver", "put_off")
    (site.folder / "away").rename(site.folder / "share")
    site.clock = row.run_after
    assert site.work() == "updated"
    check(site, "New", inodes(site))

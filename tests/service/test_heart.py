"""What the heart of a worker insists on, and what it takes for hanging; no time passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from merger.db.engine import LostRace
from merger.errors import Broken, MergerError, Temporary
from merger.records import queue
from merger.records.queue import Claim
from merger.worker import run
from merger.worker.lease import Heart
from tests.databases import ON_SQLITE
from tests.site import Site


@dataclass
class Clock:
    """A clock that stands."""

    at_s: float = 0.0

    def __call__(self) -> float:
        return self.at_s


def heart_of(site: Site) -> Heart:
    """Return a heart that does not pause."""
    made = Heart(
        site.engine, Claim(1, 1, "tests"), now=lambda: site.clock, lease=timedelta(seconds=60),
        stopping=lambda: False, give_up=pytest.fail,
    )  # fmt: skip
    made.ended.set()
    return made


def insisting(site: Site, *errors: MergerError) -> Callable[[], str]:
    """Return what a heart insists on that meets with these errors, one after the other."""
    left = list(errors)
    beating = heart_of(site)

    def act() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return lambda: beating.insist(act)


@ON_SQLITE
def test_who_waits_for_the_database_does_not_hang(site: Site, monkeypatch) -> None:
    clock = Clock()
    monkeypatch.setattr("merger.worker.lease.time.monotonic", clock)
    left = [Temporary("database", "away")] * 10
    beating = heart_of(site)

    def act() -> None:
        clock.at_s += 600.0
        assert beating.hangs() is None
        if left:
            raise left.pop()

    beating.insist(act)
    clock.at_s += 3601.0
    assert beating.hangs() is not None


@ON_SQLITE
def test_what_hangs_is_put_off_as_if_its_share_were_away(site: Site, monkeypatch) -> None:
    """And not taken for a record that kills those who work on it."""
    monkeypatch.setattr(run.os, "kill", lambda pid, number: None)
    site.add_room()
    site.ask()
    for tries in range(1, 31):
        held = site.claim()
        assert held is not None
        run._give_up(site.service, held, "it hangs: it did not get on for an hour")
        queue.take_back_crashed(site.engine, held, site.clock, "its process was ended by SIGKILL")
        row = site.row()
        assert (row.status, row.lost) == ("queued" if tries < 30 else "failed", 0)
        assert row.error_code == "hangs" and "a share hangs" in (row.error_text or "")
        site.clock = max(site.clock, row.run_after)
    run._give_up(site.service, held, "it is no longer ours")  # and nothing is written


@ON_SQLITE
def test_what_is_insisted_on(site: Site) -> None:
    """A database that is away, and lost races; nothing else, whatever came before it."""
    gone, race = Temporary("database", "away"), LostRace("database_race", "others were quicker")
    full, broken = Temporary("disk_full", "full"), Broken("schema", "the tables are missing")
    assert insisting(site, *[gone] * 100, race, *[gone] * 100, race)() == "done"
    with pytest.raises(LostRace):
        insisting(site, *[race] * 100)()
    for error in (full, broken):
        for before in ((), (gone,), (race,), (race, gone, race)):
            with pytest.raises(type(error), match=error.message):
                insisting(site, *before, error)()

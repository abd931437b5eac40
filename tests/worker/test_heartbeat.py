"""What a lease tries again, and what a heartbeat takes for hanging; no time passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from merger.db.engine import LostRace
from merger.errors import Broken, MergerError, Temporary
from merger.i18n import Message, verbatim
from merger.records.processing import leases, queue
from merger.records.processing.leases import Lease
from merger.records.processing.queue import Claim
from merger.worker import run
from merger.worker.heartbeat import Heartbeat
from tests.support.databases import ON_SQLITE
from tests.support.line import reason
from tests.support.site import Site


@dataclass
class Clock:
    """A clock that stands."""

    at_s: float = 0.0

    def __call__(self) -> float:
        return self.at_s


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_TRY_AGAIN_S", 0)


def lease_of(site: Site) -> Lease:
    """Return a lease as a worker has it."""
    return Lease(site.engine, Claim(1, 1, "tests"), lambda: site.clock, is_patient=True)


def heartbeat_of(lease: Lease) -> Heartbeat:
    return Heartbeat(lease, timedelta(seconds=60), give_up=pytest.fail)


def trying(site: Site, *errors: MergerError) -> Callable[[], str]:
    """Return a try that meets with these errors, one after the other."""
    left = list(errors)
    lease = lease_of(site)

    def act() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return lambda: lease.retry_while_unreachable(act)


@ON_SQLITE
def test_who_waits_for_the_database_does_not_hang(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("merger.records.processing.leases.time.monotonic", clock)
    left = [Temporary("database", "away")] * 10
    lease = lease_of(site)
    heartbeat = heartbeat_of(lease)

    def act() -> None:
        clock.at_s += 600.0
        assert heartbeat.why_hanging() is None
        if left:
            raise left.pop()

    lease.retry_while_unreachable(act)
    clock.at_s += 3601.0
    assert heartbeat.why_hanging() == Message("worker.hangs")


@ON_SQLITE
def test_who_was_asked_to_stop_does_so_or_hangs(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(1.0)
    monkeypatch.setattr("merger.records.processing.leases.time.monotonic", clock)
    lease = lease_of(site)
    heartbeat = heartbeat_of(lease)
    lease.is_cancelled = True
    assert heartbeat.why_hanging() is None and lease.should_stop()
    clock.at_s += 121.0
    assert heartbeat.why_hanging() == Message("worker.does_not_stop")


@ON_SQLITE
def test_what_hangs_is_deferred_as_if_its_share_were_away(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not taken for a record that kills those who work on it."""
    monkeypatch.setattr(run.os, "kill", lambda pid, number: None)
    site.add_room()
    site.ask()
    for tries in range(1, 31):
        claim = site.claim()
        assert claim is not None
        run._give_up(site.service, claim, Message("worker.hangs"))
        how = verbatim("its process was killed by SIGKILL")
        queue.take_back_crashed(site.engine, claim, site.clock, how)
        row = site.row()
        assert (row.status, row.lost) == ("queued" if tries < 30 else "failed", 0)
        assert row.error_code == "hangs" and "a share is hanging" in reason(row)
        site.clock = max(site.clock, row.run_after)
    run._give_up(site.service, claim, Message("worker.hangs"))  # and nothing is written


@ON_SQLITE
def test_what_is_tried_again(site: Site) -> None:
    """A database that is away, and lost races; nothing else, whatever came before it."""
    gone, race = Temporary("database", "away"), LostRace("database_race", "others were quicker")
    full, broken = Temporary("disk_full", "full"), Broken("schema", "the tables are missing")
    assert trying(site, *[gone] * 100, race, *[gone] * 100, race)() == "done"
    with pytest.raises(LostRace):
        trying(site, *[race] * 100)()
    for error in (full, broken):
        for before in ((), (gone,), (race,), (race, gone, race)):
            with pytest.raises(type(error), match=str(error.message)):
                trying(site, *before, error)()


@ON_SQLITE
def test_who_is_not_patient_does_not_wait(site: Site) -> None:
    lease = Lease(site.engine, Claim(1, 1, "tests"), lambda: site.clock)
    left = [Temporary("database", "away")]

    def act() -> None:
        raise left.pop()

    with pytest.raises(Temporary):
        lease.retry_while_unreachable(act)
    assert left == []

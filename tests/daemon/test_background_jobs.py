"""When the daemon tells people and reads calendars: in a process of its own, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from merger.daemon.daemon import Daemon
from merger.daemon.loop import Signals, run_once
from merger.daemon.processes import Exit
from merger.delivery import ledger
from merger.errors import Temporary
from tests.daemon.crew import CLEAN, KILLED
from tests.intake.calendared import CALENDAR, Reader
from tests.support.databases import ON_SQLITE
from tests.support.site import Site

MINUTE = timedelta(minutes=1)


@dataclass
class Hand:
    """A process that a test ends."""

    how: Exit | None = None
    is_killed: bool = False

    def poll(self) -> Exit | None:
        return self.how

    def stop(self) -> None:
        self.how = CLEAN

    def kill(self) -> None:
        self.how, self.is_killed = KILLED, True


@dataclass
class Boss:
    """A daemon, and the errands that it has started. ends: each at once."""

    site: Site
    errands: list[Hand] = field(default_factory=list)
    ends: bool = False
    reader: Reader | None = None
    fails: bool = False

    def __post_init__(self) -> None:
        service = replace(self.site.service, calendars=self.reader)
        self.daemon = Daemon(
            service, lambda claim: Hand(CLEAN), lambda: Hand(CLEAN), "boss", start_jobs=self.start
        )

    def start(self) -> Hand:
        if self.fails:
            raise Temporary("worker", "no process can be started")
        self.errands.append(Hand(CLEAN if self.ends else None))
        return self.errands[-1]

    def look(self, after: timedelta = timedelta()) -> int:
        self.site.clock += after
        self.daemon.look(self.site.clock)
        return len(self.errands)

    def tell(self) -> None:
        """Something happens that people are to be told."""
        self.site.ask(users=("ann@example.edu",))
        held = self.site.claim()
        assert held is not None
        ledger.complete_record(self.site.lease(held), None, 0)


@pytest.fixture
def boss(site: Site) -> Iterator[Boss]:
    site.environ |= {
        "MERGER_MAIL_SERVER": "smtp://mail.example.edu", "MERGER_MAIL_FROM": "a@example.edu",
    }  # fmt: skip
    site.add_room()
    yield Boss(site)


def test_nothing_to_tell_starts_nothing(boss: Boss) -> None:
    assert boss.look() == 0


def test_one_at_a_time(boss: Boss) -> None:
    boss.tell()
    assert boss.look() == 1
    assert boss.look(MINUTE) == 1  # it is still at it
    boss.errands[0].how = CLEAN
    assert boss.look(MINUTE) == 2  # the message is still there


def test_one_that_hangs_is_ended(boss: Boss) -> None:
    boss.tell()
    boss.look()
    assert boss.look(31 * MINUTE) == 2
    assert boss.errands[0].is_killed


def test_where_no_process_can_be_started_records_go_on(boss: Boss) -> None:
    boss.tell()
    boss.fails = True
    boss.look()
    boss.fails = False
    assert boss.look(MINUTE) == 1


@ON_SQLITE
def test_a_calendar_that_is_due(site: Site) -> None:
    site.add_room(calendar_id=CALENDAR)
    boss = Boss(site, reader=Reader())
    assert boss.look() == 1
    assert Boss(site).look() == 0  # with nobody to read it


def test_who_works_off_the_queue_tells_people_before_it_ends(boss: Boss) -> None:
    boss.tell()
    boss.ends = True
    run_once(boss.daemon, Signals(lambda: 0, lambda seconds: None))
    assert boss.errands


def test_who_is_asked_to_stop_ends_the_errands(boss: Boss) -> None:
    boss.tell()
    asked = [0, 0, 1]

    def is_asked() -> int:
        return asked.pop(0) if len(asked) > 1 else asked[0]

    run_once(boss.daemon, Signals(is_asked, lambda seconds: None))
    assert boss.errands and all(hand.how is not None for hand in boss.errands)

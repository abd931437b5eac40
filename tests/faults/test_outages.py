"""What happens to a record while its database is away."""

from __future__ import annotations

import dataclasses
import logging
import sqlite3
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, update
from sqlalchemy.engine import make_url

from merger import failpoints
from merger.records.processing import leases, queue
from merger.worker import heartbeat
from merger.worker.run import run_record
from models import Record
from tests.faults.outages import be_impatient, check_delivered, lecture_that_is_due
from tests.support.databases import ON_MARIADB, ON_SQLITE, MariaDB
from tests.support.selection import BOTH_DATABASES, rarely
from tests.support.site import Site
from tests.support.waiting import DEADLINE_S, happens

pytestmark = BOTH_DATABASES


@pytest.fixture
def lecture(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    be_impatient(monkeypatch)
    return lecture_that_is_due(site)


Away = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def away(site: Site, request: pytest.FixtureRequest) -> Away:
    """Take the database away for a while: the server is killed, or another one writes for long."""
    if site.engine.dialect.name == "mysql":
        server: MariaDB = request.getfixturevalue("mariadb")
        return server.down

    @contextmanager
    def locked() -> Iterator[None]:
        path = make_url(site.url).database or ""
        holder = sqlite3.connect(path, isolation_level=None)
        try:
            holder.execute("BEGIN IMMEDIATE")
            yield
            holder.execute("COMMIT")
        finally:
            holder.close()

    return locked


@dataclasses.dataclass
class Places:
    """A worker that waits at a place until it may go on."""

    reached: dict[str, threading.Event] = dataclasses.field(default_factory=dict)
    pass_on: dict[str, threading.Event] = dataclasses.field(default_factory=dict)

    def hold(self, name: str) -> None:
        self.reached[name], self.pass_on[name] = threading.Event(), threading.Event()

    def see(self, name: str) -> None:
        self.hold(name)
        self.pass_on[name].set()

    def __call__(self, name: str) -> None:
        if name in self.reached:
            self.reached[name].set()
            happens(self.pass_on[name])


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Places:
    held = Places()
    monkeypatch.setattr(failpoints, "hook", held)
    return held


@contextmanager
def working(
    site: Site,
    stopping: Callable[[], bool] = lambda: False,
    now: Callable[[], datetime] | None = None,
) -> Iterator[Future[str]]:
    """Work on the next record in another thread."""
    held = site.claim()
    assert held is not None
    service = dataclasses.replace(site.service, now=now) if now else site.service
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(run_record, service, held, stopping)


class Said(logging.Handler):
    """Hears that a sentence was logged."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self.part, self.heard = part, threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if self.part in record.getMessage():
            self.heard.set()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[str], threading.Event]]:
    caplog.set_level(logging.INFO, "merger")
    handlers: list[Said] = []
    log = logging.getLogger("merger")

    def hear(part: str) -> threading.Event:
        handlers.append(Said(part))
        log.addHandler(handlers[-1])
        return handlers[-1].heard

    yield hear
    for handler in handlers:
        log.removeHandler(handler)


def test_the_database_goes_away_in_the_middle_of_an_encode(
    lecture: Site, away: Away, places: Places, said: Callable[[str], threading.Event]
) -> None:
    places.hold("encode.part")
    places.see("encode.joined")
    missed = said("record 1 waits")
    with working(lecture) as worker:
        happens(places.reached["encode.part"])
        with away():
            places.pass_on["encode.part"].set()
            happens(places.reached["encode.joined"])  # it went on, and now wants to say so
            happens(missed)
            assert not worker.done()
        assert worker.result(DEADLINE_S) == "delivered"
    check_delivered(lecture)
    assert lecture.events() == ["asked", "claimed", "sent", "sent", "delivered"]


@pytest.mark.parametrize(
    "place",
    [
        "collect.brought", "deliver.sent",
        *(
            rarely(place, why="at more places at which a database goes away")
            for place in ("analyse.entered", "plan.entered", "deliver.reserved", "deliver.all")
        ),
    ],
)  # fmt: skip
def test_the_database_goes_away_anywhere_else(
    lecture: Site, away: Away, places: Places, place: str, said: Callable[[str], threading.Event]
) -> None:
    places.hold(place)
    missed = said("record 1 waits")
    with working(lecture) as worker:
        happens(places.reached[place])
        with away():
            places.pass_on[place].set()
            happens(missed)
        assert worker.result(DEADLINE_S) == "delivered"
    check_delivered(lecture)
    assert lecture.events() == ["asked", "claimed", "sent", "sent", "delivered"]


def test_the_lease_runs_out_while_the_database_is_away(
    lecture: Site, away: Away, places: Places, said: Callable[[str], threading.Event]
) -> None:
    """Nobody could take the record meanwhile: it is still its worker's when the database is back."""
    places.hold("encode.part")
    without, back = said("record 1 goes on without"), said("the database is back")
    with working(lecture) as worker:
        happens(places.reached["encode.part"])
        with away():
            lecture.clock += timedelta(hours=1)
            happens(without)
        happens(back)
        places.pass_on["encode.part"].set()
        assert worker.result(DEADLINE_S) == "delivered"
    check_delivered(lecture)


def stopped_without_a_database(
    site: Site, places: Places, away: Away, place: str, stop_at_once: bool
) -> None:
    asked = threading.Event()
    places.hold(place)
    with working(site, asked.is_set) as worker:
        happens(places.reached[place])
        with away():
            if stop_at_once:
                asked.set()
            places.pass_on[place].set()
            if not stop_at_once:
                waits = Said("record 1 waits")
                log = logging.getLogger("merger")
                log.addHandler(waits)
                happens(waits.heard)
                log.removeHandler(waits)
                asked.set()
            assert worker.result(DEADLINE_S) == "left"
    row = site.row()
    assert (row.status, row.attempt, row.tries) == ("running", 1, 0)
    assert queue.take_back_lost(site.engine, site.clock) == []  # not while the lease lasts
    assert site.claim() is None
    site.clock += site.settings.lease + timedelta(seconds=1)
    assert queue.take_back_lost(site.engine, site.clock) == [1]
    places.reached.clear()
    assert site.work() == "delivered"
    check_delivered(site, attempt=2)
    assert "lost" in site.events()


def test_stopped_in_an_encode_while_the_database_is_away(
    lecture: Site, away: Away, places: Places
) -> None:
    stopped_without_a_database(lecture, places, away, "encode.part", stop_at_once=True)


def test_stopped_while_it_waits_for_the_database(lecture: Site, away: Away, places: Places) -> None:
    stopped_without_a_database(lecture, places, away, "encode.published", stop_at_once=False)


@ON_SQLITE
def test_stopped_while_the_database_comes_back(
    lecture: Site, places: Places, said: Callable[[str], threading.Event]
) -> None:
    """It is there again in the moment in which the worker gives up: no failure of the record."""
    path = make_url(lecture.url).database or ""
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    asked, missed = threading.Event(), said("record 1 waits")

    def stopping() -> bool:
        if asked.is_set() and holder.in_transaction:
            holder.execute("COMMIT")
        return asked.is_set()

    places.hold("encode.published")
    with working(lecture, stopping) as worker:
        happens(places.reached["encode.published"])
        holder.execute("BEGIN IMMEDIATE")
        places.pass_on["encode.published"].set()
        happens(missed)
        asked.set()
        assert worker.result(DEADLINE_S) == "handed back"
    holder.close()
    row = lecture.row()
    assert (row.status, row.tries, row.error_code) == ("queued", 0, None)
    places.reached.clear()
    assert lecture.work() == "delivered"
    check_delivered(lecture, attempt=2)


WHEN = pytest.mark.parametrize("when", ["before a statement", "before a commit", "after a commit"])


@pytest.fixture
def work_losing(
    lecture: Site, mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[str, set[tuple[str, ...]]]]:
    """Works, and loses the connection once wherever the worker talks to the database.

    After a commit: the answer alone is lost. Returns the outcome, and where that was.
    """
    monkeypatch.setattr(leases, "_TRY_AGAIN_S", 0)
    monkeypatch.setattr(heartbeat, "_LOOK_EVERY", timedelta(hours=1))
    lost: set[tuple[str, ...]] = set()

    def run(when: str) -> tuple[str, set[tuple[str, ...]]]:
        def lose(connection: Any, *_: object) -> None:
            where = tuple(
                f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_stack()
                if "/merger/" in frame.filename
            )
            if where in lost:
                return
            lost.add(where)
            driver = connection.connection.dbapi_connection
            number = driver.thread_id()
            if when == "after a commit":
                driver.commit()
            mariadb.execute("KILL CONNECTION %s", number)

        held = lecture.claim()
        assert held is not None
        what = "before_cursor_execute" if when == "before a statement" else "commit"
        event.listen(lecture.engine, what, lose)
        outcome = run_record(lecture.service, held, lambda: False)
        event.remove(lecture.engine, what, lose)
        return outcome, lost

    return run


@WHEN
@ON_MARIADB
def test_the_connection_is_lost_at_everything_that_is_asked(
    lecture: Site, work_losing: Any, when: str
) -> None:
    outcome, lost = work_losing(when)
    assert outcome == "delivered", lost
    for one in ("stage_results.py", "ledger.py"):
        assert any(one in " ".join(where) for where in lost)
    assert len(lost) >= (30 if when == "before a statement" else 8), lost
    check_delivered(lecture)
    assert lecture.events() == ["asked", "claimed", "sent", "sent", "delivered"]
    assert (lecture.row().tries, lecture.row().lost) == (0, 0)


@WHEN
@pytest.mark.parametrize(
    ("outcome", "status", "tries"), [("waiting", "queued", 0), ("deferred", "queued", 1), ("failed", "failed", 1)]
)  # fmt: skip
@ON_MARIADB
def test_the_connection_is_lost_when_a_record_ends_otherwise(
    lecture: Site, work_losing: Any, when: str, outcome: str, status: str, tries: int
) -> None:
    """Whatever was lost, it is counted once, and told once."""
    for path in lecture.library().library.iterdir():
        path.unlink()
    if outcome == "waiting":
        lecture.clock = lecture.row().run_after
    if outcome == "failed":
        with lecture.engine.begin() as connection:
            connection.execute(update(Record).values(layout="pyramid"))
    assert work_losing(when)[0] == outcome
    row = lecture.row()
    assert (row.status, row.tries, row.lost, row.claimed_by) == (status, tries, 0, None)
    kind = "put_off" if outcome == "deferred" else outcome
    assert lecture.events() == ["asked", "claimed", kind]


@ON_MARIADB
def test_the_server_has_gone_away_at_heartbeats(
    lecture: Site, places: Places, mariadb: MariaDB
) -> None:
    """Connections of the heartbeat are killed in the middle of what they do; the next beat has another."""
    killed: set[str] = set()
    enough, beaten = threading.Event(), threading.Event()

    @event.listens_for(lecture.engine, "before_cursor_execute")
    def kill(connection, cursor, statement: str, *_: object) -> None:
        if threading.current_thread().name != "heartbeat" or statement.startswith("SET"):
            return
        if enough.is_set():
            beaten.set()
            return
        kind = "lock" if "FOR UPDATE" in statement else statement.split()[0]
        if kind in killed:
            return
        mariadb.execute("KILL CONNECTION %s", connection.connection.dbapi_connection.thread_id())
        killed.add(kind)
        if {"lock", "UPDATE"} <= killed:
            enough.set()

    lecture.environ["MERGER_LEASE"] = "1"
    places.hold("encode.part")
    now = lecture.clock

    def ticking() -> datetime:
        """The clock of a machine on which the lease is always to be prolonged."""
        nonlocal now
        now += timedelta(milliseconds=400)
        return now

    with working(lecture, now=ticking) as worker:
        happens(places.reached["encode.part"])
        happens(enough)
        happens(beaten)
        places.pass_on["encode.part"].set()
        assert worker.result(DEADLINE_S) == "delivered"
    check_delivered(lecture)

"""Whether files can be put where they go, as the daemon finds out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from merger.db.engine import reading
from merger.delivery.folder import FolderDestination
from merger.errors import MergerError, Temporary
from merger.i18n import Message
from merger.monitoring.destinations import TRY_EVERY, Result, Trials, results
from models import Fact
from tests.support.databases import ON_SQLITE
from tests.support.line import NOON
from tests.support.selection import BOTH_DATABASES
from tests.support.waiting import happens, until

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
OK, SILENT = Message("monitoring.ok"), Message("monitoring.silent")
NOT_WRITABLE, AWAY = Message("monitoring.not_writable"), Message("monitoring.away")


@dataclass
class Place:
    """A destination of a test. goes_on: until then, it hangs."""

    name: str = "folder"
    is_remote: bool = False
    why: MergerError | None = None
    goes_on: threading.Event = field(default_factory=threading.Event)
    tried: int = 0

    def __post_init__(self) -> None:
        self.goes_on.set()

    def try_out(self) -> None:
        self.tried += 1
        happens(self.goes_on)
        if self.why is not None:
            raise self.why


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.goes_on.set()


def has_tried(place: Place, times: int) -> bool:
    return place.tried >= times


def has_ended(trials: Trials) -> bool:
    return not any(trial.is_alive() for trial in trials._running)


def found(engine: Engine, trials: Trials, *places: object, after_s: float = 0) -> list[Result]:
    """Begin what is due, let it end, and return what is known then."""
    now = NOON + after_s * SECOND
    trials.go_on(engine, places, now)
    until(lambda: has_ended(trials))
    trials.go_on(engine, places, now + SECOND)
    return results(engine, now + SECOND)


@BOTH_DATABASES
def test_what_was_found_is_told(engine: Engine, place: Place) -> None:
    trials, drive = Trials("host"), Place("drive", is_remote=True)
    assert found(engine, trials, place, drive, object()) == [
        Result("drive", True, OK), Result("folder", False, OK),
    ]  # fmt: skip
    place.why = drive.why = Temporary("storage", "storage.no_output", folder="/secret")
    assert found(engine, trials, place, drive, after_s=60) == [
        Result("drive", True, AWAY), Result("folder", False, NOT_WRITABLE),
    ]  # fmt: skip
    assert results(engine, NOON + 10 * TRY_EVERY) == []  # it says nothing about now


@ON_SQLITE
def test_a_place_is_tried_once_a_minute_at_most(engine: Engine, place: Place) -> None:
    trials = Trials("host")
    for after_s in range(59):
        found(engine, trials, place, after_s=after_s)
    assert place.tried == 1
    found(engine, trials, place, after_s=60)
    assert place.tried == 2


@ON_SQLITE
def test_one_that_hangs_keeps_nobody_waiting(engine: Engine, place: Place) -> None:
    trials, other = Trials("host"), Place("drive", is_remote=True)
    place.goes_on.clear()
    for minute in range(3):
        now = NOON + minute * TRY_EVERY
        trials.go_on(engine, (place, other), now)
        until(partial(has_tried, other, minute + 1))
    assert place.tried == 1  # one thread waits, and not one for each minute
    assert Result("folder", False, SILENT) in results(engine, now)
    place.goes_on.set()
    until(lambda: has_ended(trials))
    trials.go_on(engine, (place, other), now + SECOND)
    assert Result("folder", False, OK) in results(engine, now + SECOND)


@ON_SQLITE
def test_of_two_machines_the_one_that_cannot_counts(engine: Engine, place: Place) -> None:
    one, other = Trials("a"), Trials("b")
    found(engine, one, place)
    place.why = Temporary("storage", "storage.no_output", folder="/secret")
    assert found(engine, other, place) == [Result("folder", False, NOT_WRITABLE)]
    place.why = None
    assert found(engine, one, place, after_s=60) == [Result("folder", False, NOT_WRITABLE)]
    assert found(engine, other, place, after_s=60) == [Result("folder", False, OK)]
    found(engine, Trials("c"), place, after_s=2 * DAY.total_seconds())
    with reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(Fact)) == 1  # the rest is forgotten


@ON_SQLITE
def test_the_log_says_what_the_address_does_not(
    engine: Engine, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    trials = Trials("host")
    for minute, is_broken in enumerate((False, True, True, False, False)):
        place.why = Temporary("s", "storage.no_output", folder="/srv") if is_broken else None
        found(engine, trials, place, after_s=60 * minute)
    said = [r.getMessage() for r in caplog.records if "destination" in r.getMessage()]
    assert len(said) == 2 and "/srv" in said[0] and "can be used again" in said[1]


def test_a_folder_is_tried_by_writing(tmp_path: Path) -> None:
    ours, share = tmp_path / "merged", tmp_path / "share"
    for _ in range(2):
        FolderDestination(ours, is_ours=True).try_out()
    assert ours.is_dir() and list(ours.iterdir()) == []  # nothing is left behind
    with pytest.raises(Temporary):
        FolderDestination(share, is_ours=False).try_out()  # it is not mounted
    assert not share.exists()
    full = Path("/proc/self")  # a folder in which nobody can write, whoever they are
    with pytest.raises(MergerError):
        FolderDestination(full, is_ours=False).try_out()

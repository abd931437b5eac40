"""The heart of a worker: prolongs its lease, tells its progress, hears that it is to stop.

A database that is away does not stop the work. The lease may run out meanwhile; as long as nobody
took the record up, it is prolonged as soon as the database is back.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Engine

from merger.db.engine import LostRace, is_unreachable
from merger.errors import Cancelled, MergerError
from merger.records.queue import Claim, LeaseLost, read_cancellation, renew

T = TypeVar("T")
log = logging.getLogger(__name__)

# Somebody who cancels a record looks at the screen.
_LOOK_EVERY = timedelta(seconds=2)
_TOLD_FROM = 0.01  # of progress
# A share that hangs blocks whoever reads it, for ever.
_ANSWERS_WITHIN = timedelta(hours=1)
_ENDS_WITHIN = timedelta(minutes=2)
_ASK_AGAIN_S = 1.0
# Each is several tries of a transaction already: what loses them all is no race.
_MOST_RACES = 10


@dataclass
class Heart:
    """What a worker and its heart tell each other."""

    engine: Engine
    held: Claim
    now: Callable[[], datetime]
    lease: timedelta
    stopping: Callable[[], bool]
    give_up: Callable[[str], None]  # says why, and ends the process: a thread cannot be stopped
    progress: float = 0.0
    lost: bool = False
    cancel_asked: bool = False
    ended: threading.Event = field(default_factory=threading.Event)
    _told: float = 0.0
    _renewed_s: float | None = None  # by the monotonic clock, as is the next
    _asked_s: float | None = None
    _moved_s: float = field(default_factory=time.monotonic)
    _away: bool = False

    def should_stop(self) -> bool:
        """Return whether the work is to end now, for whatever reason.

        Whoever asks is alive: work that asks no more for long is taken to hang.
        """
        self._moved_s = time.monotonic()
        return self._is_asked()

    def _is_asked(self) -> bool:
        return self.lost or self.cancel_asked or self.stopping()

    def check(self) -> None:
        """Raise where the work is to end now."""
        self.check_lost()
        if self.should_stop():
            raise Cancelled("cancelled", "asked to stop")

    def check_lost(self) -> None:
        """Raise where the record was taken away: then nothing more may be written."""
        if self.lost:
            raise LeaseLost(f"record {self.held.record} was taken away")

    def confirm(self) -> None:
        """Ask the database, before a file gets a name; raise where the work is to end."""
        self.insist(lambda: read_cancellation(self.engine, self.held))
        self.check()

    def insist(self, act: Callable[[], T]) -> T:
        """Do something with the database, however long it is away; raise where the work must end.

        What must be written is tried for as long as the process may live: what was computed
        meanwhile is worth more than the time.
        """
        races = 0
        while True:
            try:
                return act()
            except MergerError as error:
                is_race = isinstance(error, LostRace)
                races += is_race
                if not is_unreachable(error) and not (is_race and races < _MOST_RACES):
                    raise
                if self.lost or self.stopping():
                    raise Cancelled("cancelled", error.message) from error  # no failure
                log.warning("record %s waits: %s", self.held.record, error.message)
            self._moved_s = time.monotonic()  # whoever waits for the database does not hang
            self.ended.wait(_ASK_AGAIN_S)

    def beat(self) -> None:
        """Look at the row once, and write to it when it is time."""
        now = self.now()
        moved = abs(self.progress - self._told) >= _TOLD_FROM
        clock = time.monotonic()
        waited = math.inf if self._renewed_s is None else clock - self._renewed_s
        due = waited >= self.lease.total_seconds() / 4
        try:
            if moved or due:
                told = self.progress
                order = renew(self.engine, self.held, now, self.lease, told)
                self._told, self._renewed_s = told, clock
            else:
                order = read_cancellation(self.engine, self.held)
            if self._away:
                log.info("record %s: the database is back", self.held.record)
            self._away = False
            self.cancel_asked |= order.cancelled
        except LeaseLost:
            self.lost = True
        except MergerError as error:
            if not self._away:
                log.warning("record %s goes on without: %s", self.held.record, error.message)
            self._away = True

    def hangs(self) -> str | None:
        """Return in words that the work no longer answers, or None."""
        clock = time.monotonic()
        if self._is_asked():
            self._asked_s = self._asked_s or clock
            if clock - self._asked_s > _ENDS_WITHIN.total_seconds():
                return "it was asked to stop and does not"
        if clock - self._moved_s > _ANSWERS_WITHIN.total_seconds():
            return "it hangs: it did not get on for an hour"
        return None

    def _beat_anyway(self) -> None:
        try:
            if not self.lost:
                self.beat()
        except Exception:  # a heart that stops beating loses the record
            log.exception("record %s: a mistake in this program", self.held.record)

    def _run(self) -> None:
        every = min(_LOOK_EVERY, self.lease / 8)
        while not self.ended.wait(every.total_seconds()):
            self._beat_anyway()
            if why := self.hangs():
                log.error("record %s: %s", self.held.record, why)
                self.give_up(why)


@contextmanager
def beating(heart: Heart) -> Iterator[Heart]:
    """Let a heart beat while something is done."""
    heart._beat_anyway()  # so that the row says from when on the record may be to blame
    thread = threading.Thread(target=heart._run, name="heart", daemon=True)
    thread.start()
    try:
        yield heart
    finally:
        heart.ended.set()
        thread.join()

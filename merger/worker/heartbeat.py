"""The heartbeat of a worker: prolongs its lease, writes its progress, hears that it is to stop.

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
from datetime import timedelta

from merger.errors import MergerError
from merger.i18n import Message
from merger.records.processing.leases import Lease, LeaseLost

log = logging.getLogger(__name__)

# Somebody who cancels a record looks at the screen.
_LOOK_EVERY = timedelta(seconds=2)
_WRITTEN_FROM = 0.01  # of progress
# A share that hangs blocks whoever reads it, for ever.
_ANSWERS_WITHIN = timedelta(hours=1)
_ENDS_WITHIN = timedelta(minutes=2)


@dataclass
class Heartbeat:
    """A thread beside the work of a record.

    Attributes:
        length: of the lease, each time it is prolonged.
        give_up: takes the reason, and ends the process: a thread cannot be stopped.
    """

    lease: Lease
    length: timedelta
    give_up: Callable[[Message], None]
    ended: threading.Event = field(default_factory=threading.Event)
    _written: float = 0.0  # progress
    _renewed_s: float | None = None  # by the monotonic clock, as is the next
    _stop_seen_s: float | None = None
    _is_away: bool = False

    def beat(self) -> None:
        """Look at the row once, and write to it when it is time."""
        lease = self.lease
        # In this order: the work changes them the other way round (`Lease.enter_stage`).
        stage, progress = lease.stage, lease.progress
        clock = time.monotonic()
        waited_s = math.inf if self._renewed_s is None else clock - self._renewed_s
        is_due = waited_s >= self.length.total_seconds() / 4
        try:
            if is_due or abs(progress - self._written) >= _WRITTEN_FROM:
                lease.renew(self.length, progress, stage)
                self._written, self._renewed_s = progress, clock
            else:
                lease.read_cancellation()
            if self._is_away:
                log.info("record %s: the database is back", lease.record)
            self._is_away = False
        except LeaseLost:
            lease.is_lost = True
        except MergerError as error:
            if not self._is_away:
                log.warning("record %s goes on without: %s", lease.record, error.message)
            self._is_away = True

    def why_hanging(self) -> Message | None:
        """Return why the work is taken to hang; None while it answers."""
        clock = time.monotonic()
        if self.lease.must_end:
            self._stop_seen_s = self._stop_seen_s or clock
            if clock - self._stop_seen_s > _ENDS_WITHIN.total_seconds():
                return Message("worker.does_not_stop")
        if clock - self.lease.last_sign_s > _ANSWERS_WITHIN.total_seconds():
            return Message("worker.hangs")
        return None

    def beat_anyway(self) -> None:
        """Beat, whatever happens: a worker whose heartbeat ends loses the record."""
        try:
            if not self.lease.is_lost:
                self.beat()
        except Exception:
            log.exception("record %s: a bug in this program", self.lease.record)

    def run(self) -> None:
        """Beat until the work has ended."""
        every = min(_LOOK_EVERY, self.length / 8)
        while not self.ended.wait(every.total_seconds()):
            self.beat_anyway()
            if why := self.why_hanging():
                log.error("record %s: %s", self.lease.record, why)
                self.give_up(why)


@contextmanager
def beating(heartbeat: Heartbeat) -> Iterator[None]:
    """Have a heartbeat beat while something is done."""
    heartbeat.beat_anyway()  # so that the row says from when on the record may be to blame
    thread = threading.Thread(target=heartbeat.run, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        heartbeat.ended.set()
        thread.join()

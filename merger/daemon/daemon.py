"""The daemon: gives records that are due to workers, and takes back those of workers that end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from merger.daemon.processes import Child, Exit, Slot, Start
from merger.db import schema
from merger.errors import MergerError
from merger.i18n import Message
from merger.intake.calendar_sync import is_any_due
from merger.monitoring import heartbeats
from merger.monitoring.destinations import Trials
from merger.records import outbox
from merger.records.processing import queue
from merger.records.processing.leases import Lease, LeaseLost
from merger.records.processing.queue import Claim
from merger.records.rules.retry import delay
from merger.series import unroll
from merger.series.timetables import refreshing
from merger.service import Service

log = logging.getLogger(__name__)

_HOUSEKEEPING_ENDS_WITHIN = timedelta(hours=1)
_JOBS_END_WITHIN = timedelta(minutes=30)
_CHECK_EVERY = timedelta(minutes=1)
# Whoever asks whether a daemon lives is patient for a minute (`merger.monitoring.metrics`).
_SIGN_EVERY = timedelta(seconds=10)
# A worker that lives renews an expired lease within a quarter of its length, notices within 40 s
# that the database is back (`merger.db.engine`), and ends within two minutes of losing its record
# (`merger.worker.heartbeat`). One silent look proves little: the database may have come back, or
# the clock been changed, this very moment.
_SILENT_FOR = timedelta(minutes=2)  # or a lease, if that is longer
_SILENT_PASSES = 3
_SILENT = Message("daemon.silent_worker")


@dataclass
class Daemon:
    """Workers at work, and how to start more.

    Attributes:
        start: starts a worker.
        start_housekeeping: in a process of its own, for it reads what others upload.
        name: of this daemon, which each claim holds.
        check_machine: raises for what would fail every record; then none is claimed.
        start_jobs: starts the background jobs, which tell people and read calendars, in a process
            of their own, for servers may hang.
        is_outdated: the tables have been upgraded by a newer program: nothing more is claimed.
    """

    service: Service
    start: Start
    start_housekeeping: Callable[[], Child]
    name: str
    check_machine: Callable[[], None] = lambda: None
    start_jobs: Callable[[], Child] | None = None
    running: dict[Claim, Child] = field(default_factory=dict)
    is_outdated: bool = False
    housekeeping: Slot = field(init=False)
    jobs: Slot | None = None
    trials: Trials = field(init=False)
    _silent: dict[Claim, tuple[datetime, int]] = field(default_factory=dict)  # since, seen so often
    _checked_at: datetime | None = None
    _signed_at: datetime | None = None
    _failed_starts: int = 0  # in a row
    _paused_until: datetime | None = None
    _looked_at: datetime | None = None
    _complaint: Message | None = None

    def __post_init__(self) -> None:
        # What this machine's daemon before found counts no more.
        self.trials = Trials(self.name.rpartition("-")[0] or self.name)
        self.housekeeping = Slot(
            self.start_housekeeping, _HOUSEKEEPING_ENDS_WITHIN,
            "the housekeeping hangs and is ended; does a share hang?",
        )  # fmt: skip
        if self.start_jobs is not None:
            self.jobs = Slot(
                self.start_jobs, _JOBS_END_WITHIN,
                "telling people hangs and is ended; does a mail server hang?",
            )  # fmt: skip

    def look(self, now: datetime) -> int:
        """Take back what is lost, and start what is due as far as there are workers.

        Returns how many records were started. Of a database that is away the log says so once.
        """
        if self._looked_at is not None and now < self._looked_at:
            self._paused_until = None  # the clock was put back, and would make the pause longer
        self._looked_at = now
        try:
            self._end_silent(now)
            for record in queue.take_back_lost(self.service.engine, now, self.running):
                log.warning("record %s: its worker stopped responding", record)
            self._check(now)
            started = self._start_due(now)
            self.start_background_jobs(now)
            self._give_sign(now)
            self._complaint = None
            return started
        except MergerError as error:
            if error.message != self._complaint:
                log.warning("%s; the daemon waits and tries again", error.message)
            self._complaint = error.message
            return 0

    def _end_silent(self, now: datetime) -> None:
        """End workers that give no sign of life though the database is there: they are frozen."""
        silent, self._silent = self._silent, {}  # nobody is, where the database is away
        living = queue.living_claims(self.service.engine, self.running, now)
        patience = max(self.service.settings.lease, _SILENT_FOR)
        for claim, child in self.running.items():
            if claim in living:
                continue
            since, times = silent.get(claim, (now, 0))
            if times + 1 < _SILENT_PASSES or abs(now - since) < patience:
                self._silent[claim] = since, times + 1
                continue
            # First: a database that takes no writes takes none from workers either.
            queue.take_back_crashed(self.service.engine, claim, now, _SILENT)
            log.error("record %s: %s; does a share hang?", claim.record, _SILENT)
            child.kill()

    def _check(self, now: datetime) -> None:
        """Look now and then whether the machine is fit to work."""
        if self._checked_at is None or abs(now - self._checked_at) >= _CHECK_EVERY:
            self.check_machine()
            self._checked_at = now

    def _give_sign(self, now: datetime) -> None:
        """Write down now and then that a daemon is at work, with a machine that is fit for it."""
        if self._signed_at is None or abs(now - self._signed_at) >= _SIGN_EVERY:
            heartbeats.write_heartbeat(self.service.engine, self.name, now)
            self._signed_at = now

    def _start_due(self, now: datetime) -> int:
        engine, settings = self.service.engine, self.service.settings
        started = 0
        if self._paused_until is not None and now < self._paused_until:
            return 0
        while len(self.running) < settings.workers:
            if schema.is_ahead(engine):
                self.is_outdated = True
                break
            claim = queue.claim_next(engine, self.name, now, settings.lease)
            if claim is None:
                break
            try:
                self.running[claim] = self.start(claim)
            except MergerError as error:  # the record is not to blame
                Lease(engine, claim, lambda: now).hand_back(error.message)
                raise
            log.info("record %s: begun, attempt %s", claim.record, claim.attempt)
            started += 1
        return started

    def reap(self, now: datetime) -> int:
        """Look which workers have ended; return how many. Records of those that died go back."""
        ended = {
            claim: how for claim, child in self.running.items() if (how := child.poll()) is not None
        }
        for claim, how in ended.items():
            del self.running[claim]
            try:
                self._take_back(claim, how, now)
            except (MergerError, LeaseLost) as error:  # its lease will run out, or has
                log.warning("record %s is not put back: %s", claim.record, error)
        return len(ended)

    def _take_back(self, claim: Claim, how: Exit, now: datetime) -> None:
        if how.is_clean:
            self._failed_starts = 0
            return
        log.error("record %s: %s", claim.record, how.message)
        engine, length = self.service.engine, self.service.settings.lease
        if how.is_by_signal or queue.has_begun(engine, claim, length):
            queue.take_back_crashed(engine, claim, now, how.message)
            return
        # It could not even begin: a package is missing, a setting is wrong. So will the next.
        self._failed_starts += 1
        self._paused_until = now + delay(self._failed_starts)
        log.error("no record is begun until %s", self._paused_until.isoformat(timespec="seconds"))
        Lease(engine, claim, lambda: now).hand_back(how.message)

    def refill(self, now: datetime) -> None:
        """Where a worker has ended, begin what is due at once: nobody has to wait for the poll."""
        if self.reap(now):
            self.look(now)

    def try_destinations(self, now: datetime) -> None:
        """Find out, at most once a minute, whether files can be put where they go."""
        with suppress(MergerError):  # of a database that is away the log says so elsewhere
            self.trials.go_on(self.service.engine, self.service.destinations, now)

    def start_background_jobs(self, now: datetime) -> None:
        """Start telling people, and reading calendars, where there is something to do."""
        if self.jobs is None or self.jobs.is_busy(now):
            return
        if background_jobs_are_due(self.service, now):
            self.jobs.begin(now)

    def keep_house(self, now: datetime) -> None:
        """Start the housekeeping, unless it is still at it."""
        if self.housekeeping.is_busy(now):
            return
        try:
            self.housekeeping.begin(now)
        except MergerError as error:
            log.warning("no housekeeping for now: %s", error.message)


def background_jobs_are_due(service: Service, now: datetime) -> bool:
    """Return whether there is a message to send, a calendar to read, or series to bring up to date.

    A timetable is one that the settings name.
    """
    if unroll.is_due(service.engine, now) or refreshing.is_due(service, now):
        return True
    if service.calendars is not None and is_any_due(service.engine, now):
        return True
    by = outbox.channels(service.settings)
    return bool(by) and outbox.is_any_due(service.engine, now, by)

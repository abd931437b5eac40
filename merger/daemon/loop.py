"""The daemon: takes records that are due and gives each to a worker; keeps house now and then."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import schedule

from merger.daemon.late_media import find_late_media
from merger.daemon.processes import EXITED, Child, Start
from merger.daemon.retention import clean_destination, remove_expired
from merger.db import idempotency
from merger.delivery.viewers import grant_new_viewers
from merger.errors import MergerError
from merger.i18n import Message, verbatim
from merger.intake.calendar_sync import is_any_due
from merger.intake.discovered import find_discovered
from merger.live.raw_uploads import upload_raw_segments
from merger.monitoring import heartbeats
from merger.records import outbox, queue
from merger.records.leases import Lease, LeaseLost
from merger.records.queue import Claim
from merger.records.retry import delay
from merger.service import Service

log = logging.getLogger(__name__)

HOUSEKEEPING = timedelta(minutes=10)
_HOUSE_ENDS_WITHIN = timedelta(hours=1)
_ERRANDS_END_WITHIN = timedelta(minutes=30)
_MAIL_ENDS_WITHIN = timedelta(seconds=20)  # the one that is being sent when the service is stopped
_CHECK_EVERY = timedelta(minutes=1)
# Whoever asks whether a daemon lives is patient for a minute (`merger.monitoring.metrics`).
_SIGN_EVERY = timedelta(seconds=10)
# A worker that lives renews an expired lease within a quarter of its length, notices within 40 s
# that the database is back (`merger.db.engine`), and ends within two minutes of losing its record
# (`merger.worker.heartbeat`). One silent look proves little: the database may have come back, or
# the clock been changed, this very moment.
_SILENT_FOR = timedelta(minutes=2)  # or a lease, if that is longer
_SILENT_PASSES = 3
_SILENT = "its worker gave no sign of life and was ended"
_REAP_EVERY_S = 0.2
_IDLE_S = 1.0


@dataclass
class Daemon:
    """Workers at work, and how to start more.

    start_house: starts the housekeeping, in a process of its own: it reads what others upload.
    start_errands: starts telling people and reading calendars, in another one: servers may hang.
    name: of this daemon, told in every claim. check_machine: raises for what would fail every
    record; then none is claimed.
    """

    service: Service
    start: Start
    start_house: Callable[[], Child]
    name: str
    check_machine: Callable[[], None] = lambda: None
    start_errands: Callable[[], Child] | None = None
    running: dict[Claim, Child] = field(default_factory=dict)
    house: Child | None = None
    errands: Child | None = None
    _silent: dict[Claim, tuple[datetime, int]] = field(default_factory=dict)  # since, seen so often
    _house_since: datetime | None = None
    _errands_since: datetime | None = None
    _checked_at: datetime | None = None
    _signed_at: datetime | None = None
    _failed_starts: int = 0  # in a row
    _paused_until: datetime | None = None
    _looked_at: datetime | None = None
    _told: Message | None = None

    def one_pass(self, now: datetime) -> int:
        """Take back what is lost, and start what is due as far as there are workers.

        Returns how many records were started. A database that is away is said once, and waited for.
        """
        if self._looked_at is not None and now < self._looked_at:
            self._paused_until = None  # the clock was put back, and would make the pause longer
        self._looked_at = now
        try:
            self._end_silent(now)
            for record in queue.take_back_lost(self.service.engine, now, self.running):
                log.warning("record %s: its worker gave no sign of life", record)
            self._check(now)
            started = self._start_due(now)
            self._run_errands(now)
            self._give_sign(now)
            self._told = None
            return started
        except MergerError as error:
            if error.message != self._told:
                log.warning("%s; the daemon waits and tries again", error.message)
            self._told = error.message
            return 0

    def _end_silent(self, now: datetime) -> None:
        """End workers that give no sign of life though the database is there: they are frozen."""
        known, self._silent = self._silent, {}  # nobody is, where the database is away
        holding = queue.living_claims(self.service.engine, self.running, now)
        patience = max(self.service.settings.lease, _SILENT_FOR)
        for held, child in self.running.items():
            if held in holding:
                continue
            since, times = known.get(held, (now, 0))
            if times + 1 < _SILENT_PASSES or abs(now - since) < patience:
                self._silent[held] = since, times + 1
                continue
            # First: a database that takes no writes takes none from workers either.
            queue.take_back_crashed(self.service.engine, held, now, verbatim(_SILENT))
            log.error("record %s: %s; does a share hang?", held.record, _SILENT)
            child.kill()

    def is_on_errands(self, now: datetime) -> bool:
        """Return whether people are being told something; what hangs is ended."""
        why = "telling people hangs and is ended; does a mail server hang?"
        ends_at = self._errands_since and self._errands_since + _ERRANDS_END_WITHIN
        self.errands = _still_at_it(self.errands, ends_at, now, why)
        return self.errands is not None

    def _run_errands(self, now: datetime) -> None:
        """Start telling people, and reading calendars, where there is something to do."""
        if self.start_errands is None or self.is_on_errands(now):
            return
        if background_jobs_are_due(self.service, now):
            self.errands, self._errands_since = self.start_errands(), now

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
        settings = self.service.settings
        started = 0
        if self._paused_until is not None and now < self._paused_until:
            return 0
        while len(self.running) < settings.workers:
            held = queue.claim_next(self.service.engine, self.name, now, settings.lease)
            if held is None:
                break
            try:
                self.running[held] = self.start(held)
            except MergerError as error:  # the record is not to blame
                Lease(self.service.engine, held, lambda: now).hand_back(error.message)
                raise
            log.info("record %s: begun, attempt %s", held.record, held.attempt)
            started += 1
        return started

    def reap(self, now: datetime) -> int:
        """Look which workers have ended; return how many. Records of those that died go back."""
        ended = {
            held: how for held, child in self.running.items() if (how := child.ended()) is not None
        }
        for held, how in ended.items():
            del self.running[held]
            try:
                self._take_back(held, how, now)
            except (MergerError, LeaseLost) as error:  # its lease will run out, or has
                log.warning("record %s is not put back: %s", held.record, error)
        return len(ended)

    def _take_back(self, held: Claim, how: str, now: datetime) -> None:
        if not how:
            self._failed_starts = 0
            return
        log.error("record %s: %s", held.record, how)
        engine, lease = self.service.engine, self.service.settings.lease
        if not how.startswith(EXITED) or queue.has_begun(engine, held, lease):
            queue.take_back_crashed(engine, held, now, verbatim(how))
            return
        # It could not even begin: a package is missing, a setting is wrong. So will the next.
        self._failed_starts += 1
        self._paused_until = now + delay(self._failed_starts)
        log.error("no record is begun until %s", self._paused_until.isoformat(timespec="seconds"))
        Lease(engine, held, lambda: now).hand_back(verbatim(how))

    def refill(self, now: datetime) -> None:
        """Where a worker has ended, begin what is due at once: nobody has to wait for the poll."""
        if self.reap(now):
            self.one_pass(now)

    def is_keeping_house(self, now: datetime) -> bool:
        """Return whether the housekeeping is at it; one that hangs is ended."""
        why = "the housekeeping hangs and is ended; does a share hang?"
        ends_at = self._house_since and self._house_since + _HOUSE_ENDS_WITHIN
        self.house = _still_at_it(self.house, ends_at, now, why)
        return self.house is not None

    def keep_house(self, now: datetime) -> None:
        """Start the housekeeping, unless it is still at it."""
        if self.is_keeping_house(now):
            return
        try:
            self.house, self._house_since = self.start_house(), now
        except MergerError as error:
            log.warning("no housekeeping for now: %s", error.message)


def _still_at_it(
    child: Child | None, ends_at: datetime | None, now: datetime, why: str
) -> Child | None:
    """Return a process that has not ended; one that should have by now is ended, and told why."""
    if child is None or child.ended() is not None:
        return None
    if ends_at is None or now < ends_at:
        return child
    log.error("%s", why)
    child.kill()
    return None


def background_jobs_are_due(service: Service, now: datetime) -> bool:
    """Return whether somebody is to be told something now, or a calendar to be read."""
    if service.calendars is not None and is_any_due(service.engine, now):
        return True
    by = outbox.channels(service.settings)
    return bool(by) and outbox.is_any_due(service.engine, now, by)


def forget_old(service: Service, now: datetime) -> None:
    """Forget answers that nobody asks for again, and messages that nobody is to get any more."""
    idempotency.forget_answers(service.engine, now)
    outbox.clear_old(service.engine, now, outbox.channels(service.settings))


def keep_house(service: Service, now: datetime) -> None:
    """Look what has happened elsewhere: late media, new readers; remove what nobody needs."""
    # First what reads no share: one that hangs holds up all that follows, until the housekeeping
    # is ended. Uploads last: they may take long.
    chores = (
        forget_old,
        remove_expired,
        find_late_media,
        find_discovered,
        grant_new_viewers,
        clean_destination,
        upload_raw_segments,
    )
    for chore in chores:
        try:
            chore(service, now)
        except MergerError as error:
            log.warning("%s: %s", chore.__name__, error.message)
        except Exception:  # the one place of the housekeeping
            log.exception("%s: a mistake in this program", chore.__name__)


@dataclass(frozen=True)
class Signals:
    """How the daemon hears that it is to end, and how it waits. asked: how often it was asked."""

    asked: Callable[[], int]
    pause: Callable[[float], None]


def run(daemon: Daemon, signals: Signals) -> None:
    """Work until asked to stop; then let the workers hand their records back."""
    now, poll = daemon.service.now, daemon.service.settings.poll
    plan = _passes(daemon)
    plan.every(int(HOUSEKEEPING.total_seconds())).seconds.do(
        _guarded, lambda: daemon.keep_house(now())
    )
    plan.run_all()
    while not signals.asked():
        signals.pause(_REAP_EVERY_S if daemon.running else min(_IDLE_S, poll.total_seconds()))
        _go_on(daemon, plan)
    _wind_up(daemon, signals)


def run_once(daemon: Daemon, signals: Signals) -> None:
    """Work off what is due, and end."""
    now = daemon.service.now
    _guarded(lambda: daemon.keep_house(now()))
    while daemon.is_keeping_house(now()) and not signals.asked():
        signals.pause(_REAP_EVERY_S)
    _run_all_errands(daemon, signals)  # events in calendars become records that are due
    daemon.one_pass(now())
    plan = _passes(daemon)
    while daemon.running and not signals.asked():
        signals.pause(_REAP_EVERY_S)
        _go_on(daemon, plan)
    _run_all_errands(daemon, signals)
    _wind_up(daemon, signals)


def _run_all_errands(daemon: Daemon, signals: Signals) -> None:
    """Wait until people were told what there is to tell, and calendars were read."""

    now = daemon.service.now
    for _ in range(2):  # one may be at it, and what came meanwhile is the next one's
        while daemon.is_on_errands(now()) and not signals.asked():
            signals.pause(_REAP_EVERY_S)
        if not signals.asked():
            _guarded(lambda: daemon._run_errands(now()))
    while daemon.is_on_errands(now()) and not signals.asked():
        signals.pause(_REAP_EVERY_S)


def _passes(daemon: Daemon) -> schedule.Scheduler:
    """Return when the daemon looks around."""
    plan = schedule.Scheduler()
    plan.every(daemon.service.settings.poll.total_seconds()).seconds.do(  # type: ignore[arg-type]
        _guarded, lambda: daemon.one_pass(daemon.service.now())
    )
    return plan


def _go_on(daemon: Daemon, plan: schedule.Scheduler) -> None:
    """Do what is to be done now."""
    _guarded(lambda: daemon.refill(daemon.service.now()))
    if (plan.idle_seconds or 0) > 2 * daemon.service.settings.poll.total_seconds():
        # The clock was put back, by an hour perhaps: the library waits for the old time.
        plan.run_all()
    plan.run_pending()


def _wind_up(daemon: Daemon, signals: Signals) -> None:
    """Let the workers hand their records back; kill them when asked a second time."""
    if daemon.house is not None and daemon.house.ended() is None:
        daemon.house.kill()
    errands = daemon.errands if daemon.errands and daemon.errands.ended() is None else None
    if errands is not None:
        errands.stop()  # of a mail that is just being sent, nobody would know whether it was
    for child in daemon.running.values():
        child.stop()
    patience = daemon.service.now() + _MAIL_ENDS_WITHIN

    def are_busy() -> bool:
        mails = errands is not None and errands.ended() is None
        return bool(daemon.running) or (mails and daemon.service.now() < patience)

    while are_busy() and signals.asked() < 2:
        signals.pause(_REAP_EVERY_S)
        _guarded(lambda: daemon.reap(daemon.service.now()))
    for child in daemon.running.values():
        child.kill()
    if errands is not None and errands.ended() is None:
        errands.kill()


def _guarded(act: Callable[[], object]) -> None:
    """Do something that must not end the daemon, whatever happens."""
    try:
        act()
    except Exception:  # the one place of the daemon
        log.exception("a mistake in this program; the daemon goes on")

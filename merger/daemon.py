"""The daemon: takes records that are due and gives each to a worker; keeps house now and then."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import schedule

from merger import queue
from merger.children import Child, Start
from merger.errors import MergerError
from merger.late import look_for_late
from merger.queue import Claim
from merger.tidy import tidy
from merger.work import Service

log = logging.getLogger(__name__)

HOUSEKEEPING = timedelta(minutes=10)
_REAP_EVERY_S = 0.2
_IDLE_S = 1.0


@dataclass
class Daemon:
    """Workers at work, and how to start more. name: of this daemon, told in every claim."""

    service: Service
    start: Start
    name: str
    running: dict[Claim, Child] = field(default_factory=dict)
    _told: str = ""

    def one_pass(self, now: datetime) -> int:
        """Take back what is lost, and start what is due as far as there are workers.

        Returns how many records were started. A database that is away is said once, and waited for.
        """
        try:
            for record in queue.take_back_lost(self.service.engine, now):
                log.warning("record %s: its worker gave no sign of life", record)
            started = self._start_due(now)
            self._told = ""
            return started
        except MergerError as error:
            if error.message != self._told:
                log.warning("%s; the daemon waits and tries again", error.message)
            self._told = error.message
            return 0

    def _start_due(self, now: datetime) -> int:
        settings = self.service.settings
        started = 0
        while len(self.running) < settings.workers:
            held = queue.claim(self.service.engine, self.name, now, settings.lease)
            if held is None:
                break
            log.info("record %s: begun, attempt %s", held.record, held.attempt)
            self.running[held] = self.start(held)
            started += 1
        return started

    def reap(self, now: datetime) -> int:
        """Look which workers have ended; return how many. Records of those that died go back."""
        ended = {
            held: how for held, child in self.running.items() if (how := child.ended()) is not None
        }
        for held, how in ended.items():
            if how:
                log.error("record %s: %s", held.record, how)
                try:
                    queue.crashed(self.service.engine, held, now, how)
                except MergerError as error:  # its lease will run out
                    log.warning("record %s cannot be put back yet: %s", held.record, error.message)
            del self.running[held]
        return len(ended)

    def keep_house(self, now: datetime) -> None:
        """Look for media that came late, and remove what nobody needs any more."""
        for chore in (look_for_late, tidy):
            try:
                chore(self.service, now)
            except MergerError as error:
                log.warning("%s: %s", chore.__name__, error.message)


@dataclass(frozen=True)
class Signals:
    """How the daemon hears that it is to end, and how it waits. asked: how often it was asked."""

    asked: Callable[[], int]
    pause: Callable[[float], None]


def run(daemon: Daemon, signals: Signals) -> None:
    """Work until asked to stop; then let the workers hand their records back."""
    now, poll = daemon.service.now, daemon.service.settings.poll
    plan = schedule.Scheduler()
    plan.every(poll.total_seconds()).seconds.do(  # type: ignore[arg-type]
        _guarded, lambda: daemon.one_pass(now())
    )
    plan.every(int(HOUSEKEEPING.total_seconds())).seconds.do(
        _guarded, lambda: daemon.keep_house(now())
    )
    plan.run_all()
    while not signals.asked():
        signals.pause(_REAP_EVERY_S if daemon.running else min(_IDLE_S, poll.total_seconds()))
        if daemon.reap(now()):
            _guarded(lambda: daemon.one_pass(now()))  # a worker is free: nobody has to wait
        if (plan.idle_seconds or 0) > 2 * poll.total_seconds():
            # The clock was put back, by an hour perhaps: the library waits for the old time.
            plan.run_all()
        plan.run_pending()
    _wind_up(daemon, signals)


def run_once(daemon: Daemon, signals: Signals) -> None:
    """Work off what is due, and end."""
    now = daemon.service.now
    daemon.keep_house(now())
    daemon.one_pass(now())
    while daemon.running and not signals.asked():
        signals.pause(_REAP_EVERY_S)
        if daemon.reap(now()):
            daemon.one_pass(now())
    _wind_up(daemon, signals)


def _wind_up(daemon: Daemon, signals: Signals) -> None:
    """Let the workers hand their records back; kill them when asked a second time."""
    for child in daemon.running.values():
        child.stop()
    while daemon.running and signals.asked() < 2:
        signals.pause(_REAP_EVERY_S)
        daemon.reap(daemon.service.now())
    for child in daemon.running.values():
        child.kill()


def _guarded(act: Callable[[], object]) -> None:
    """Do something that must not end the daemon, whatever happens."""
    try:
        act()
    except Exception:  # the one place of the daemon
        log.exception("a mistake in this program; the daemon goes on")

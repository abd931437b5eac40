"""The loop of the daemon: when it looks around, and how it ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import schedule

from merger.daemon.daemon import Daemon
from merger.db import schema

log = logging.getLogger(__name__)

HOUSEKEEPING = timedelta(minutes=10)
_MAIL_ENDS_WITHIN = timedelta(seconds=20)  # the one that is being sent when the service is stopped
_REAP_EVERY_S = 0.2
_IDLE_S = 1.0


@dataclass(frozen=True)
class Signals:
    """How the daemon hears that it is to end, and how it waits. asked: how often it was asked."""

    asked: Callable[[], int]
    pause: Callable[[float], None]


def run(daemon: Daemon, signals: Signals) -> None:
    """Work until asked to stop; then let the workers hand their records back.

    Raises:
        Broken: that it ends because the tables are those of a newer program.
    """
    now, poll = daemon.service.now, daemon.service.settings.poll
    plan = _plan_looks(daemon)
    plan.every(int(HOUSEKEEPING.total_seconds())).seconds.do(
        _guard, lambda: daemon.keep_house(now())
    )
    plan.run_all()
    while not (signals.asked() or daemon.is_outdated):
        signals.pause(_REAP_EVERY_S if daemon.running else min(_IDLE_S, poll.total_seconds()))
        _go_on(daemon, plan)
    _wind_up(daemon, signals)
    if daemon.is_outdated:
        schema.require_current(daemon.service.engine)


def run_once(daemon: Daemon, signals: Signals) -> None:
    """Work off what is due, and end. Raises Broken as `run` does."""
    now = daemon.service.now
    _guard(lambda: daemon.keep_house(now()))
    while daemon.housekeeping.is_busy(now()) and not signals.asked():
        signals.pause(_REAP_EVERY_S)
    _finish_background_jobs(daemon, signals)  # events in calendars become records that are due
    daemon.look(now())
    plan = _plan_looks(daemon)
    while daemon.running and not (signals.asked() or daemon.is_outdated):
        signals.pause(_REAP_EVERY_S)
        _go_on(daemon, plan)
    _finish_background_jobs(daemon, signals)
    _wind_up(daemon, signals)
    if daemon.is_outdated:
        schema.require_current(daemon.service.engine)


def _finish_background_jobs(daemon: Daemon, signals: Signals) -> None:
    """Wait until people were told what there is to tell, and calendars were read."""
    now = daemon.service.now

    def wait() -> None:
        while daemon.jobs is not None and daemon.jobs.is_busy(now()) and not signals.asked():
            signals.pause(_REAP_EVERY_S)

    for _ in range(2):  # they may be at it, and what came meanwhile is for the next ones
        wait()
        if not signals.asked():
            _guard(lambda: daemon.start_background_jobs(now()))
    wait()


def _plan_looks(daemon: Daemon) -> schedule.Scheduler:
    """Return when the daemon looks around."""
    plan = schedule.Scheduler()
    plan.every(daemon.service.settings.poll.total_seconds()).seconds.do(  # type: ignore[arg-type]
        _guard, lambda: daemon.look(daemon.service.now())
    )
    return plan


def _go_on(daemon: Daemon, plan: schedule.Scheduler) -> None:
    """Do what is to be done now."""
    _guard(lambda: daemon.refill(daemon.service.now()))
    _guard(lambda: daemon.try_destinations(daemon.service.now()))
    if (plan.idle_seconds or 0) > 2 * daemon.service.settings.poll.total_seconds():
        # The clock was put back, by an hour perhaps: the library waits for the old time.
        plan.run_all()
    plan.run_pending()


def _wind_up(daemon: Daemon, signals: Signals) -> None:
    """Let the workers hand their records back; kill them when asked a second time."""
    now, jobs = daemon.service.now, daemon.jobs
    daemon.housekeeping.kill()
    if jobs is not None:
        jobs.stop()  # of a mail that is just being sent, nobody would know whether it was
    for child in daemon.running.values():
        child.stop()
    patience = now() + _MAIL_ENDS_WITHIN

    def are_busy() -> bool:
        is_sending = jobs is not None and jobs.is_busy(now()) and now() < patience
        return bool(daemon.running) or is_sending

    while are_busy() and signals.asked() < 2:
        signals.pause(_REAP_EVERY_S)
        _guard(lambda: daemon.reap(now()))
    for child in daemon.running.values():
        child.kill()
    if jobs is not None:
        jobs.kill()


def _guard(act: Callable[[], object]) -> None:
    """Do something that must not end the daemon, whatever happens."""
    try:
        act()
    except Exception:  # the one place of the daemon
        log.exception("a bug in this program; the daemon goes on")

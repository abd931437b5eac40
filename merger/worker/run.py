"""One record from claim to end: its stages are gone through, and what comes of it is written down.

Each stage writes its outcome down before the next begins (`merger.worker.stages`), so that another
worker can go on from there. Every write carries the fence (`merger.records.processing.leases`).
"""

from __future__ import annotations

import logging
import os
import random
import signal
from collections.abc import Callable
from functools import partial

from merger.errors import Broken, Cancelled, MergerError, NoMedia, Temporary
from merger.i18n import Message
from merger.records.processing.jobs import Job
from merger.records.processing.leases import Lease, LeaseLost
from merger.records.processing.queue import Claim
from merger.records.rules.due import WATCHED
from merger.records.rules.retry import again_at, waits_for_room
from merger.service import Service
from merger.storage.files import translate_os_error
from merger.timeline.zones import zone_named
from merger.worker.collect import NotYet
from merger.worker.deliver import is_only_outdated, update_everywhere
from merger.worker.heartbeat import Heartbeat, beating
from merger.worker.late_captions import bring_late_captions
from merger.worker.stages import run_stages
from merger.worker.task import resolve_task
from merger.worker.work import Work

log = logging.getLogger(__name__)


def run_record(service: Service, claim: Claim, stopping: Callable[[], bool]) -> str:
    """Work on a claimed record until it ends or waits; return in a word what became of it."""
    lease = Lease(service.engine, claim, service.now, stopping, is_patient=True)
    heartbeat = Heartbeat(lease, service.settings.lease, partial(_give_up, service, claim))
    with beating(heartbeat):
        try:
            outcome = _run(service, lease)
        except LeaseLost:
            outcome = "lost"
        except MergerError as error:  # the database, and we are to stop: the lease will end
            log.warning("record %s is left as it is: %s", claim.record, error.message)
            outcome = "left"
    log.info("record %s: %s", claim.record, outcome)
    return outcome


def _give_up(service: Service, claim: Claim, why: Message) -> None:
    """Defer a record whose work hangs, and end this process."""
    # Another lease: the work has the other one, and this thread does not wait for a database.
    lease = Lease(service.engine, claim, service.now)
    try:
        _defer_hanging(lease, why)
    except (MergerError, LeaseLost) as error:  # the lease will end, with the same effect
        log.warning("record %s is left as it is: %s", claim.record, error)
    finally:
        os.kill(os.getpid(), signal.SIGKILL)


def _defer_hanging(lease: Lease, why: Message) -> None:
    error = Temporary("hangs", "worker.share_hangs", why=why)
    job, now = lease.load_job(), lease.now()
    at = again_at(error, job.tries + 1, now, now, zone_named(job.zone), random.random())
    if at is None:
        lease.fail(error)
    else:
        lease.defer(at, error)


def _run(service: Service, lease: Lease) -> str:
    work: Work | None = None
    try:
        job = lease.load_job()
        if is_only_outdated(lease, job):
            return _update(service, lease, job)
        work = Work(service, lease, resolve_task(service, job))
        run_stages(work)
        return "delivered"
    except NotYet as waiting:
        lease.wait_for_media(waiting.until, waiting.why)
        return "waiting"
    except Cancelled:
        lease.check_held()
        if lease.is_cancelled:
            lease.cancel()
            return "cancelled"
        lease.hand_back(Message("history.handed_back"))
        return "handed back"
    except MergerError as error:
        return _end_failed(lease, work, error)
    except LeaseLost:
        raise
    except OSError as error:
        return _end_failed(lease, work, translate_os_error(error, service.settings.data))
    except MemoryError:
        return _end_failed(lease, work, Temporary("memory", "worker.no_memory"))
    except Exception as error:  # the one place: a record never takes the service down with it
        log.exception("record %s: a bug in this program", lease.record)
        what = f"{type(error).__name__}: {error}"
        return _end_failed(lease, work, Broken("internal", "worker.fault", what=what))


def _update(service: Service, lease: Lease, job: Job) -> str:
    """Have what was delivered show the latest texts, and give it captions that came late.

    The texts need neither sources nor media.
    """
    try:
        if "late_transcripts" in job.media:
            bring_late_captions(service, lease, job)
        update_everywhere(service, lease, job)
        return "updated"
    except Temporary as error:
        now = lease.now()
        at = again_at(error, job.tries + 1, now, now, zone_named(job.zone), random.random())
        if at is None:
            raise
        log.warning("record %s is deferred until %s: %s", lease.record, at, error.message)
        lease.defer(at, error)
        return "deferred"


def _end_failed(lease: Lease, work: Work | None, error: MergerError) -> str:
    """Write down that the work failed, and when it is tried again; return what became of it."""
    lease.check_held()
    if waits_for_room(error):
        error = Temporary(error.code, "worker.waits_for_room", why=error.message)
    at = None
    if work is not None:
        task, now = work.task, lease.now()
        at = again_at(error, task.job.tries + 1, now, task.due, task.request.zone, random.random())
    if at is None:
        level = logging.ERROR if isinstance(error, Broken) else logging.WARNING
        log.log(level, "record %s failed: %s", lease.record, error.message)
        lease.fail(error, work.task.due + WATCHED if work and isinstance(error, NoMedia) else None)
        return "failed"
    log.warning("record %s is deferred until %s: %s", lease.record, at.isoformat(), error.message)
    lease.defer(at, error)
    return "deferred"

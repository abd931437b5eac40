"""Looks at a source for somebody who waits for the answer.

In a thread of its own: a share whose server is gone holds whoever touches it, perhaps for ever.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue

from merger.errors import Broken, Invalid, MergerError, Temporary
from merger.ports.recorder import CanBeProbed, Probe, Recorder, SourceOfRoom
from merger.rooms.rules import reason_of, without_secrets

log = logging.getLogger(__name__)

WITHIN = timedelta(seconds=10)
_GRACE = timedelta(seconds=2)  # for what a recorder still does when its time is over
_AT_ONCE = 4
_free = threading.BoundedSemaphore(_AT_ONCE)


def probe_source(
    recorder_of: Callable[[str], Recorder],
    source: SourceOfRoom,
    now: datetime,
    within: timedelta = WITHIN,
) -> Probe:
    """Return what a source has.

    Raises:
        MergerError: it has nothing; the message says why, without secrets and the source's name.
    """
    try:
        recorder = recorder_of(source.kind)
        recorder.check(source)
        if not isinstance(recorder, CanBeProbed):
            raise Invalid("kind", "rooms.probe.impossible", kind=source.kind)
        return _in_thread(recorder, source, now, within)
    except MergerError as error:
        why = without_secrets(reason_of(source.name, error.message), source.credentials)
        raise type(error)(error.code, why) from error


def _in_thread(
    recorder: CanBeProbed, source: SourceOfRoom, now: datetime, within: timedelta
) -> Probe:
    answers: SimpleQueue[Probe | MergerError] = SimpleQueue()

    def look() -> None:
        try:
            answers.put(recorder.probe(source, now, within))
        except MergerError as error:
            answers.put(error)
        except Exception as error:  # nobody else would hear of it
            log.exception("a bug in this program, in a test of source %r", source.name)
            answers.put(Broken("internal", "rooms.probe.failed", why=type(error).__name__))
        finally:
            _free.release()

    if not _free.acquire(blocking=False):
        raise Temporary("busy", "rooms.probe.busy")
    threading.Thread(target=look, name="probe", daemon=True).start()
    try:
        answer = answers.get(timeout=(within + _GRACE).total_seconds())
    except Empty as error:
        seconds = within // timedelta(seconds=1)
        raise Temporary("silent", "rooms.probe.silent", seconds=seconds) from error
    if isinstance(answer, MergerError):
        raise answer
    return replace(answer, found=without_secrets(answer.found, source.credentials))

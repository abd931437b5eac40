"""The supervisor of live sources: starts a process for each that is wanted, and watches its media.

It judges by what comes, not by whether the process lives: a camera that hangs sends nothing. What
becomes of a source is decided in `transitions`, and carried out here.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from merger.errors import MergerError
from merger.i18n import Message
from merger.live.bookings import Booking, Camera
from merger.live.source_status import SourceSign
from merger.network.addresses import Rules
from merger.storage.files import make_folder, translate_write_errors
from recorders.rtsp.address import CAMERAS
from recorders.rtsp.capture_clock import from_epoch_us
from recorders.rtsp.recordings import folder_of, raw_files
from recorders.rtsp.wire import FileClosed, PictureTaken
from recorders.supervisor.finisher import Finisher
from recorders.supervisor.history import HistoryQueue, WriteHistory
from recorders.supervisor.live_source import LiveSource
from recorders.supervisor.schedule import Assignment, Purpose
from recorders.supervisor.states import (
    AddHistory,
    Assigned,
    Effect,
    Event,
    KillProcess,
    Moment,
    Patience,
    ProcessEnded,
    Release,
    SourceState,
    StartFailed,
    StartProcess,
    StopProcess,
    Tick,
    Unassigned,
    Warn,
    silent_since,
)
from recorders.supervisor.tables import Tables
from recorders.supervisor.transitions import transition

log = logging.getLogger(__name__)

_TICK_S = 0.1
_SIGN_EVERY_S = 5.0
_ENDS_WITHIN_S = 60.0  # when the recorder is to stop


@dataclass(frozen=True)
class Wiring:
    """What the supervisor is wired to. Each may raise MergerError, and is asked again then."""

    recorded: Path
    cameras: Callable[[], Iterable[Camera]]
    bookings: Callable[[datetime], Iterable[Booking]]
    add_history: WriteHistory
    keep_picture: Callable[[int, datetime, bytes], None]
    write_sign: Callable[[int, SourceSign | None], None]
    write_heartbeat: Callable[[datetime], None] = lambda _: None
    rules: Rules = CAMERAS
    grid_s: int = 1800
    patience: Patience = field(default_factory=Patience)


class Supervisor:
    """All live sources. sources: those that are recorded or looked at here, by their numbers."""

    def __init__(self, wiring: Wiring, finisher: Finisher | None = None) -> None:
        self.wiring = wiring
        self.sources: dict[int, LiveSource] = {}
        self._tables = Tables(wiring.cameras, wiring.bookings, wiring.rules)
        self._history = HistoryQueue(wiring.add_history)
        self._finisher = finisher or Finisher()
        self._signed_s = float("-inf")
        self._lock_failures: dict[int, Message] = {}  # that were logged, by source
        self._has_recovered = False
        self._recovery_failure: Message | None = None  # that was logged

    def tick(self, now: datetime) -> None:
        """Look once at everything."""
        if not self._has_recovered:
            self._recover()
        wanted = self._tables.assignments(now)
        self._lock_failures = {n: why for n, why in self._lock_failures.items() if n in wanted}
        for number, assignment in wanted.items():
            if number in self.sources:
                self._handle(self.sources[number], Assigned(assignment), now)
            else:
                self._add_source(number, assignment, now)
        for number, live in list(self.sources.items()):
            if number not in wanted:
                self._handle(live, Unassigned(), now)
            self._watch(live, now)
        self._finisher.go_on()
        self._history.flush()
        self._write_signs(now)

    def _recover(self) -> None:
        """Finish what an earlier recorder was killed over, as soon as the folder is there."""
        recorded = self.wiring.recorded
        try:
            make_folder(recorded, "MERGER_DATA")
            with translate_write_errors(recorded):
                for folder in recorded.iterdir():
                    if raw_files(folder):
                        self._finisher.add(folder)
        except MergerError as error:
            if error.message != self._recovery_failure:
                log.error("what was recorded before is not finished yet: %s", error.message)
            self._recovery_failure = error.message
            return
        self._has_recovered = True

    def _add_source(self, number: int, assignment: Assignment, now: datetime) -> None:
        """Begin with a source, unless another recorder has it."""
        folder = folder_of(self.wiring.recorded, number)
        try:
            lock = _lock_source(folder)
        except MergerError as error:
            if error.message != self._lock_failures.get(number):  # it is tried again at once
                log.warning("source %r: %s", assignment.camera.source.name, error.message)
            self._lock_failures[number] = error.message
            return
        self._lock_failures.pop(number, None)
        if lock is None:
            return
        self.sources[number] = LiveSource(number, SourceState(assignment, now), folder, lock)
        if raw_files(folder):
            self._finisher.add(folder)

    def _watch(self, live: LiveSource, now: datetime) -> None:
        """See what came of a source, and whether its process has ended."""
        if live.child is not None:
            has_ended = live.child.has_ended  # before its last words are read
            self._read(live, now)
            if has_ended:
                self._close_process(live, now)
        self._handle(live, Tick(self.wiring.patience), now)

    def _read(self, live: LiveSource, now: datetime) -> None:
        assert live.child is not None
        for message in live.child.read_messages():
            match message:
                case PictureTaken(at_us, jpeg):
                    with suppress(MergerError):
                        self.wiring.keep_picture(live.number, from_epoch_us(at_us), jpeg)
                case FileClosed():
                    self._finisher.add(live.folder)
                case _:
                    self._handle(live, message, now)
        for line in live.child.read_complaints():
            log.info("%s: %s", live.name, line)

    def _close_process(self, live: LiveSource, now: datetime) -> None:
        assert live.child is not None
        status = live.child.close()
        live.child = None
        self._finisher.add(live.folder)
        self._handle(live, ProcessEnded(status), now)

    def _handle(self, live: LiveSource, event: Event, now: datetime) -> None:
        """Have an event change a source, and carry out what follows."""
        moment = Moment(now, time.monotonic(), random.random())
        live.state, effects = transition(live.state, event, moment)
        for effect in effects:
            self._carry_out(live, effect, now)

    def _carry_out(self, live: LiveSource, effect: Effect, now: datetime) -> None:
        match effect:
            case StartProcess(purpose):
                self._start_process(live, purpose, now)
            case StopProcess():
                assert live.child is not None
                live.child.stop()
            case KillProcess():
                assert live.child is not None
                live.child.kill()
            case Warn(what, why):
                log.warning("%s: %s: %s", live.name, what, why)
            case AddHistory(records, kind, message):
                self._history.add(records, now, kind, message)
            case Release():
                self._withdraw_sign(live)
                live.lock.release()
                del self.sources[live.number]

    def _start_process(self, live: LiveSource, purpose: Purpose, now: datetime) -> None:
        try:
            live.start(purpose, grid_s=self.wiring.grid_s, rules=self.wiring.rules)
        except MergerError as error:
            log.warning("%s: %s", live.name, error.message)
            self._handle(live, StartFailed(), now)

    def _write_signs(self, now: datetime) -> None:
        """Let others see whether media comes of what is to be recorded."""
        now_s = time.monotonic()
        if now_s - self._signed_s < _SIGN_EVERY_S:
            return
        self._signed_s = now_s
        with suppress(MergerError):  # of a database that is away the log says so elsewhere
            self.wiring.write_heartbeat(now)
        for live in self.sources.values():
            if not live.state.assignment.is_recorded:
                self._withdraw_sign(live)
                continue
            live.has_sign = True
            silence = silent_since(live.state, self.wiring.patience, now_s)
            outage = live.state.outage if silence else None
            sign = SourceSign(now, silence, outage.why if outage else None)
            with suppress(MergerError):  # a full disk, say: then the sign grows old
                self.wiring.write_sign(live.number, sign)

    def _withdraw_sign(self, live: LiveSource) -> None:
        if live.has_sign:
            with suppress(MergerError):
                self.wiring.write_sign(live.number, None)
                live.has_sign = False

    def end(
        self,
        now: Callable[[], datetime],
        stop_requests: Callable[[], int],
        pause: Callable[[float], None],
    ) -> None:
        """Close all files and finish them; kill what does not end in time, or when asked twice."""
        until_s = time.monotonic() + _ENDS_WITHIN_S
        while time.monotonic() < until_s and stop_requests() < 2:
            for live in list(self.sources.values()):
                self._handle(live, Unassigned(), now())
                self._watch(live, now())
            self._finisher.go_on()
            if not self.sources and self._finisher.is_idle:
                break
            pause(_TICK_S)
        for live in list(self.sources.values()):
            self._handle(live, Unassigned(), now())
            if live.child is not None:
                live.child.kill()
                self._close_process(live, now())
            self._watch(live, now())
        self._history.flush()
        self._finisher.kill()


def _lock_source(folder: Path) -> FileLock | None:
    """Return the lock of a source, which ends with this process; None where another has it."""
    make_folder(folder, "MERGER_DATA")
    lock = FileLock(folder / "lock", mode=0o600, thread_local=False, blocking=False)
    with translate_write_errors(folder):
        try:
            lock.acquire()
        except Timeout:
            return None
    return lock


def run(
    supervisor: Supervisor,
    now: Callable[[], datetime],
    stop_requests: Callable[[], int],
    pause: Callable[[float], None],
) -> None:
    """Record what is wanted until asked to stop."""
    try:
        while not stop_requests():
            try:
                supervisor.tick(now())
            except Exception:  # the one place of the recorder: it never stops by itself
                log.exception("a bug in this program; the recorder goes on")
            pause(_TICK_S)
    finally:
        supervisor.end(now, stop_requests, pause)

"""Workers as child processes: what one record does to its process, it does to no other."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from merger.errors import Temporary
from merger.i18n import Message
from merger.isolation.confinement import dying_with_parent
from merger.records.processing.queue import Claim

log = logging.getLogger(__name__)

_DIES_WITHIN_S = 5.0


@dataclass(frozen=True)
class Exit:
    """How a process ended. code: as `subprocess` has it, negative for a signal."""

    code: int

    @property
    def is_clean(self) -> bool:
        """Whether the process says that all is well."""
        return self.code == 0

    @property
    def is_by_signal(self) -> bool:
        """Whether something ended it; else it ended itself, as one does that could not begin."""
        return self.code < 0

    @property
    def message(self) -> Message:
        if not self.is_by_signal:
            return Message("daemon.exit_code", code=self.code)
        try:
            name = signal.Signals(-self.code).name
        except ValueError:
            name = f"signal {-self.code}"
        return Message("daemon.ended_by_signal", signal=name)


class Child(Protocol):
    """A process that was started."""

    def poll(self) -> Exit | None:
        """Return how it ended; None while it works."""

    def stop(self) -> None:
        """Ask it to hand its record back."""

    def kill(self) -> None:
        """End it at once."""


Start = Callable[[Claim], Child]


@dataclass
class Worker:
    """A child process."""

    process: subprocess.Popen[bytes]

    def poll(self) -> Exit | None:
        code = self.process.poll()
        return None if code is None else Exit(code)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)  # and what it started in its group
        with suppress(subprocess.TimeoutExpired):  # it waits for a share that hangs
            self.process.wait(_DIES_WITHIN_S)


@dataclass
class Slot:
    """A place for one child at a time. What hangs is ended.

    Attributes:
        start: starts a child.
        ends_within: how long it may take.
        complaint: what the log says of one that takes longer.
    """

    start: Callable[[], Child]
    ends_within: timedelta
    complaint: str
    child: Child | None = None
    started_at: datetime | None = None

    def is_busy(self, now: datetime) -> bool:
        """Return whether a child is at work."""
        if self.child is None or self.child.poll() is not None:
            self.child = None
            return False
        if self.started_at is None or now < self.started_at + self.ends_within:
            return True
        log.error("%s", self.complaint)
        self.kill()
        return False

    def begin(self, now: datetime) -> None:
        """Start a child. Raises Temporary where the system has no room for another process."""
        self.child, self.started_at = self.start(), now

    def stop(self) -> None:
        """Ask the child to end, if there is one."""
        if self.child is not None and self.child.poll() is None:
            self.child.stop()

    def kill(self) -> None:
        """End the child at once, if there is one."""
        if self.child is not None and self.child.poll() is None:
            self.child.kill()
        self.child = None


def worker_starter(command: Sequence[str]) -> Start:
    """Return what starts workers.

    Args:
        command: to which the claim is added.
    """
    return lambda claim: start_process(
        [*command, str(claim.record), str(claim.attempt), claim.worker]
    )


def start_process(command: Sequence[str]) -> Worker:
    """Start a process that dies with the calling thread.

    Raises Temporary where the system has no room for another process.
    """
    try:
        process = subprocess.Popen(
            [*dying_with_parent(), *command],
            stdin=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C is the daemon's to handle
        )
    except OSError as error:
        why = error.strerror or str(error)
        raise Temporary("worker", "daemon.no_process", why=why) from error
    return Worker(process)

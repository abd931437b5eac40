"""Workers as child processes: what one record does to its process, it does to no other."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from merger.errors import Temporary
from merger.records.queue import Claim
from merger.render.ffmpeg import dying_with_parent

# How a process ends that could not even begin, among others.
EXITED = "its process ended with exit code"
_DIES_WITHIN_S = 5.0


class Child(Protocol):
    """A process that was started."""

    def ended(self) -> str | None:
        """Return how it ended: '' when it said so itself, else in words; None while it works."""

    def stop(self) -> None:
        """Ask it to hand its record back."""

    def kill(self) -> None:
        """End it at once."""


Start = Callable[[Claim], Child]


@dataclass
class Worker:
    """A child process."""

    process: subprocess.Popen[bytes]

    def ended(self) -> str | None:
        code = self.process.poll()
        if code is None or code == 0:
            return None if code is None else ""
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"signal {-code}"
            return f"its process was ended by {name}"
        return f"{EXITED} {code}"

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)  # and what it started in its group
        with suppress(subprocess.TimeoutExpired):  # it waits for a share that hangs
            self.process.wait(_DIES_WITHIN_S)


def worker_starter(command: Sequence[str]) -> Start:
    """Return what starts workers. command: to which the claim is added."""
    return lambda held: start_process([*command, str(held.record), str(held.attempt), held.worker])


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
        raise Temporary("worker", f"no process can be started: {error.strerror}") from error
    return Worker(process)

"""Workers as child processes: what one record does to its process, it does to no other."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from merger.ffmpeg import dying_with_parent
from merger.queue import Claim


class Child(Protocol):
    """A worker that was started."""

    def ended(self) -> str | None:
        """Return how it ended: '' when it said so itself, else in words; None while it works."""

    def stop(self) -> None:
        """Ask it to hand its record back."""

    def kill(self) -> None:
        """End it at once."""


Start = Callable[[Claim], Child]


@dataclass
class Worker:
    """A worker process."""

    process: subprocess.Popen[bytes]

    def ended(self) -> str | None:
        code = self.process.poll()
        if code is None or code == 0:
            return None if code is None else ""
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = str(-code)
            return f"its process was ended by {name}"
        return f"its process ended with exit code {code}"

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def starter(command: Sequence[str]) -> Start:
    """Return what starts workers. command: to which the claim is added.

    The calling thread must live as long as they do: they die with it.
    """

    def start(held: Claim) -> Worker:
        claimed = [str(held.record), str(held.attempt), held.worker]
        return Worker(
            subprocess.Popen(
                [*dying_with_parent(), *command, *claimed],
                stdin=subprocess.DEVNULL,
                process_group=0,  # Ctrl-C is the daemon's to handle
            )
        )

    return start

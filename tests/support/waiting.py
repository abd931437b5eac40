"""Waiting for something that happens elsewhere: asked again and again, up to a deadline."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

# Of something that takes a moment, on whatever machine beside whatever else: only what will never
# happen takes so long.
DEADLINE_S = 600.0
_PAUSE_S = 0.02


def until(what: Callable[[], T], deadline_s: float = DEADLINE_S) -> T:
    """Return the first true value of a question."""
    end = time.monotonic() + deadline_s
    pause = threading.Event()
    while not (value := what()):
        assert time.monotonic() < end, f"it never happened: {what}"
        pause.wait(_PAUSE_S)
    return value


def happens(event: threading.Event, deadline_s: float = DEADLINE_S) -> None:
    """Wait for an event of another thread."""
    assert event.wait(deadline_s), "it never happened"


def living(folder: Path) -> dict[int, str]:
    """Return the processes of the service in a folder, and of it only: what each was started as.

    Its processes, and ffmpeg below them, have the folder in their environment; other processes below
    them only where it is TMPDIR.
    """
    found: dict[int, str] = {}
    for process in Path("/proc").glob("[0-9]*"):
        pid = int(process.name)
        try:
            belongs = os.fsencode(folder) in (process / "environ").read_bytes()
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except (OSError, UnicodeDecodeError):
            continue  # gone, or somebody else's
        if belongs and command and pid != os.getpid():
            found[pid] = command
    return found


def status_of(pid: int, field: str) -> str:
    """Return a line of what the kernel says of a process; '' when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")

"""How many parts this machine encodes at once, whoever encodes them: workers, commands, daemons.

Each slot is a file that is locked while somebody uses it. The kernel drops the lock with the
process, so nothing has to be given back after a crash.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from merger.errors import Cancelled

# Decoding, scaling and x264 keep about so many cores busy; with more, parts do better side by side.
CORES_PER_PART = 4
_ASK_AGAIN_S = 0.2


@dataclass(frozen=True)
class Budget:
    """Slots in a folder that all processes of the machine share."""

    folder: Path
    slots: int
    threads: int | None  # for each part; None: as many as ffmpeg likes

    @contextmanager
    def slot(self, cancelled: Callable[[], bool]) -> Iterator[None]:
        """Wait for a free slot and hold it. Raises Cancelled."""
        self.folder.mkdir(parents=True, exist_ok=True)
        while (handle := self._free_slot()) is None:
            if cancelled():
                raise Cancelled("cancelled", "render.cancelled_waiting")
            time.sleep(_ASK_AGAIN_S)
        try:
            yield
        finally:
            os.close(handle)

    def _free_slot(self) -> int | None:
        for n in range(self.slots):
            path = self.folder / f"slot-{n}"
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return handle
            except BlockingIOError:
                os.close(handle)
        return None


def budget_of(folder: Path, parallel: int, cores: int) -> Budget:
    """Return the budget of a machine. parallel: parts at once, 0 to go by the cores."""
    slots = parallel or max(1, cores // CORES_PER_PART)
    return Budget(folder, slots, None if slots == 1 else max(1, cores // slots))

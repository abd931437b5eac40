"""How many parts this machine encodes at once, whoever encodes them: workers, commands, daemons.

Each slot is a file that is locked while somebody uses it. The kernel drops the lock with the
process, so that nothing has to be cleaned up after a crash.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from merger.errors import Cancelled
from merger.storage.locks import try_lock

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
        while (lock := self._lock_free_slot()) is None:
            if cancelled():
                raise Cancelled("cancelled", "render.cancelled_waiting")
            time.sleep(_ASK_AGAIN_S)
        try:
            yield
        finally:
            lock.release()

    def _lock_free_slot(self) -> FileLock | None:
        locks = (try_lock(self.folder / f"slot-{n}") for n in range(self.slots))
        return next((lock for lock in locks if lock is not None), None)


def budget_of(folder: Path, parallel: int, cores: int) -> Budget:
    """Return the budget of a machine.

    Args:
        parallel: parts at once; 0 to go by the cores.
    """
    slots = parallel or max(1, cores // CORES_PER_PART)
    return Budget(folder, slots, None if slots == 1 else max(1, cores // slots))

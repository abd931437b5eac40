"""How many parts this machine encodes at once, whoever encodes them: workers, commands, daemons.

Each slot is a file that is locked while somebody uses it. The kernel drops the lock with the
process, so that nothing has to be cleaned up after a crash. A process that is frozen keeps its
lock; so whoever holds a slot also touches its file, and of one that is not touched for as long as a
lease lasts, those who wait take the file away, and lock a new one.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from merger.errors import Cancelled
from merger.storage.locks import try_lock

log = logging.getLogger(__name__)

# Decoding, scaling and x264 keep about so many cores busy; with more, parts do better side by side.
CORES_PER_PART = 4
_ASK_AGAIN_S = 0.2
_SILENT_S = 60.0
_SHORTEST_SILENT_S = 10.0  # a machine that is busy may be late
_SIGNS = 4  # of life, in the time after which a holder counts as frozen
_TAKING = "taking"  # the lock of whoever takes a slot away

Sign = tuple[int, int]  # which file it is, and when it was touched


@dataclass(frozen=True)
class Budget:
    """Slots in a folder that all processes of the machine share.

    Attributes:
        threads: for each part; None: as many as ffmpeg likes.
        silent_s: without a sign of life, after which the holder of a slot counts as frozen.
    """

    folder: Path
    slots: int
    threads: int | None
    silent_s: float = _SILENT_S

    @contextmanager
    def slot(self, cancelled: Callable[[], bool]) -> Iterator[None]:
        """Wait for a free slot and hold it. Raises Cancelled."""
        self.folder.mkdir(parents=True, exist_ok=True)
        silence = Silence(round(self.silent_s / _ASK_AGAIN_S))
        while (locked := self._lock_free_slot()) is None:
            if cancelled():
                raise Cancelled("cancelled", "render.cancelled_waiting")
            time.sleep(_ASK_AGAIN_S)
            for path in self._paths:
                if (sign := silence.too_long(path)) is not None:
                    self._take_away(path, sign)
        path, lock = locked
        try:
            with _touching(path, self.silent_s / _SIGNS):
                yield
        finally:
            lock.release()

    @property
    def _paths(self) -> list[Path]:
        return [self.folder / f"slot-{n}" for n in range(self.slots)]

    def _lock_free_slot(self) -> tuple[Path, FileLock] | None:
        locks = ((path, try_lock(path)) for path in self._paths)
        return next(((path, lock) for path, lock in locks if lock is not None), None)

    def _take_away(self, path: Path, sign: Sign) -> None:
        """Remove the file of a slot, with the lock that somebody has on it."""
        lock = try_lock(self.folder / _TAKING)
        if lock is None:
            return  # somebody else does it
        try:
            if sign_of(path) == sign:  # else it is a new one already
                path.unlink(missing_ok=True)
                log.warning("%s was held by a process that is frozen; it is free now", path.name)
        finally:
            lock.release()


def sign_of(path: Path) -> Sign | None:
    """Return the last sign of life of whoever holds a slot; None where there is no such file."""
    with suppress(FileNotFoundError):
        stat = path.stat()
        return stat.st_ino, stat.st_mtime_ns
    return None


@dataclass
class Silence:
    """Notices which slots' files nobody touches any more.

    It counts its own looks, and no time: a machine that slept, or a clock that was changed, makes
    nobody silent.
    """

    most: int  # looks
    _seen: dict[Path, tuple[Sign | None, int]] = field(default_factory=dict)

    def too_long(self, path: Path) -> Sign | None:
        """Look at a file; return its sign if that was the same at too many looks in a row."""
        sign = sign_of(path)
        before, looks = self._seen.get(path, (None, 0))
        looks = looks + 1 if sign == before else 0
        self._seen[path] = sign, looks
        return sign if looks >= self.most else None


@contextmanager
def _touching(path: Path, every_s: float) -> Iterator[None]:
    """Touch a file now and then, while something else is done."""
    # By its number: under its name there may be the file of another holder, once we were frozen.
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    ended = threading.Event()

    def touch() -> None:
        while not ended.wait(every_s):
            with suppress(OSError):
                os.utime(file)

    thread = threading.Thread(target=touch, name="slot", daemon=True)
    try:
        os.utime(file)
        thread.start()
        yield
    finally:
        ended.set()
        if thread.ident is not None:
            thread.join()
        os.close(file)


def budget_of(folder: Path, parallel: int, cores: int, lease_s: float = _SILENT_S) -> Budget:
    """Return the budget of a machine.

    Args:
        parallel: parts at once; 0 to go by the cores.
        lease_s: how long the worker of a record may be silent.
    """
    slots = parallel or max(1, cores // CORES_PER_PART)
    threads = None if slots == 1 else max(1, cores // slots)
    return Budget(folder, slots, threads, max(lease_s, _SHORTEST_SILENT_S))

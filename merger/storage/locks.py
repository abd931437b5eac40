"""Locks between processes: on files, and freed by the kernel however their process ends."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

_ASK_AGAIN_S = 0.02


def file_lock(path: Path) -> FileLock:
    """Return a lock on a file, which is made where it is missing; `with` waits for it.

    Any thread may release it. Where a file system knows no such locks, taking it raises OSError: a
    file that stands for a lock would outlive a process that is killed.
    """
    return FileLock(path, thread_local=False, fallback_to_soft=False, poll_interval=_ASK_AGAIN_S)


def try_lock(path: Path) -> FileLock | None:
    """Lock a file; return None where somebody else has locked it. Raises OSError."""
    lock = file_lock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock

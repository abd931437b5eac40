"""Files that must be neither lost nor half-written: work folders, publishing.

A file appears under its final name only when it is complete: written elsewhere, synced, renamed.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from merger.errors import Broken, Temporary
from merger.i18n import Message
from merger.storage.locks import file_lock, try_lock

# What a network share that is away for a while answers.
AWAY = {
    errno.EIO, errno.ENXIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH,
    errno.ENETDOWN, errno.ENETUNREACH, errno.ENOTCONN, errno.ECONNREFUSED, errno.ECONNRESET,
    errno.ECONNABORTED, errno.ENODEV, errno.EREMOTEIO, errno.EAGAIN,
}  # fmt: skip
# Modes of new folders: for nobody else; for whomever the umask lets in.
PRIVATE, BY_UMASK = 0o700, 0o777
_LOCK = "lock"
_MARK = ".merge-work-"


def publish(partial: Path, final: Path) -> None:
    """Give a complete file its final name, so that it survives a power cut. Same file system."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(final)
    sync_folder(final.parent)


def sync_folder(folder: Path) -> None:
    """Have what was renamed in a folder survive a power cut. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folders(folder: Path, mode: int = BY_UMASK) -> None:
    """Make a folder and those above it, so that they survive a power cut. Raises OSError."""
    if folder.is_dir():
        return
    make_folders(folder.parent, mode)
    folder.mkdir(mode, exist_ok=True)
    sync_folder(folder.parent)


def make_folder(folder: Path, setting: str, mode: int = PRIVATE) -> None:
    """Make a folder that we are going to write to, and those above it.

    Args:
        setting: which names the folder: a variable of the environment, or an option.
        mode: of those that are new.

    Raises:
        Broken: another folder has to be chosen.
        Temporary: the disk is full, or the share is away.
    """
    try:
        make_folders(folder, mode)
    except OSError as error:
        if isinstance(translated := translate_os_error(error, folder), Temporary):
            raise translated from error
        raise Broken(
            "storage",
            "storage.no_folder",
            folder=str(folder),
            setting=setting,
            why=error.strerror or str(error),
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Broken("storage", "storage.unwritable", folder=str(folder), setting=setting)


@contextmanager
def work_folder(parent: Path, mark: str = "") -> Iterator[Path]:
    """Make a folder for one run and remove it in the end; those of killed runs are removed, too.

    A lock that the kernel drops with the process tells a living run's folder from a dead one's.

    Args:
        mark: what `work_folders` may find it by.
    """
    sweep_leftovers(parent)
    folder: Path | None = None
    lock: FileLock | None = None
    try:
        while lock is None:
            folder = parent / f"{_MARK}{mark}{uuid.uuid4().hex}"
            folder.mkdir()
            lock = _lock_new(folder)
        assert folder is not None
        yield folder
    except OSError as error:
        raise translate_os_error(error, parent) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            lock.release()


def _lock_new(folder: Path) -> FileLock | None:
    """Lock a folder that was just made; return None where somebody has swept it away.

    Whoever sweeps between the two steps finds a lock that nobody holds yet.
    """
    lock = file_lock(folder / _LOCK)
    try:
        lock.acquire()
    except FileNotFoundError:
        return None
    return lock


def work_folders(parent: Path, mark: str = "") -> list[Path]:
    """Return the work folders that were made with a mark, of living runs and of dead ones."""
    return list(parent.glob(f"{_MARK}{mark}*"))


def sweep_leftovers(parent: Path) -> None:
    """Remove the work folders of runs that no longer live."""
    for folder in work_folders(parent):
        _remove_if_dead(folder)


def _remove_if_dead(folder: Path) -> None:
    try:
        has_lock = (folder / _LOCK).exists()
        lock = try_lock(folder / _LOCK) if has_lock else None
    except OSError:
        return  # somebody else's: not ours to judge
    if lock is not None:
        # Under the lock: whoever made it this very moment waits, and then sees that it is gone.
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
    elif not has_lock and _is_older_than_a_minute(folder):
        # Not made this very moment, but left without a lock by a kill in between.
        shutil.rmtree(folder, ignore_errors=True)


def _is_older_than_a_minute(folder: Path) -> bool:
    try:
        probe = folder.parent / f".{uuid.uuid4().hex}"  # the file system's own clock
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink()
        return now - folder.stat().st_mtime > 60
    except OSError:
        return False


def disk_full(folder: Path) -> Temporary:
    """Return the error of a disk without space; what was half-written is removed by now."""
    return Temporary("disk_full", "storage.disk_full", folder=str(folder))


def is_full(error: Exception) -> bool:
    """Return whether a write failed for want of room, whichever library raised it."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def translate_os_error(error: OSError, parent: Path) -> Temporary | Broken:
    """Return what a failed write means for the person who runs this."""
    if is_full(error):
        return disk_full(Path(error.filename) if error.filename else parent)
    if error.errno in AWAY:
        return Temporary(
            "storage_away", "storage.away", folder=str(parent), why=error.strerror or str(error)
        )
    file = str(error.filename) if error.filename else Message("storage.a_file")
    return Broken("storage", "storage.failed", file=file, why=error.strerror or str(error))


@contextmanager
def translate_write_errors(folder: Path) -> Iterator[None]:
    """Translate a failed write as one to this folder: the system does not say which disk it was."""
    try:
        yield
    except OSError as error:
        raise translate_os_error(error, folder) from error

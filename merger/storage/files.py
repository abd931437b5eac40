"""Files that must be neither lost nor half-written: the cache of parts, work folders, publishing.

A file appears under its final name only when it is complete: written elsewhere, synced, renamed.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True)
class Cache:
    """Finished files by content hash, bounded in bytes. A run links what it uses."""

    folder: Path
    limit_bytes: int

    def path(self, name: str) -> Path:
        return self.folder / name[:2] / name

    def use(self, name: str, work: Path) -> Path | None:
        """Return a file of the cache and protect it while the work folder lives, or None."""
        path = self.path(name)
        link = work / name
        try:
            if not link.is_symlink():
                link.symlink_to(path)
            os.utime(path)
        except FileNotFoundError:
            link.unlink(missing_ok=True)
            return None
        return path

    def add(self, partial: Path, name: str, work: Path) -> Path:
        """Move a complete file into the cache under a name."""
        path = self.path(name)
        with translate_write_errors(self.folder):
            path.parent.mkdir(exist_ok=True)
            publish(partial, path)
            self.use(name, work)
        return path

    def remember(self, name: str, facts: list[Any], work: Path) -> None:
        """Keep a few facts (JSON values) under a name, so that they are not worked out again."""
        partial = work / f"{name}.partial"
        with translate_write_errors(self.folder):
            partial.write_text(json.dumps(facts))
        self.add(partial, name, work)

    def recall(self, name: str, work: Path) -> list[Any]:
        """Return the facts kept under a name, or none."""
        path = self.use(name, work)
        try:
            facts = json.loads(path.read_text()) if path else []
        except (OSError, ValueError):
            return []
        return facts if isinstance(facts, list) else []

    def shrink(self) -> None:
        """Remove what was not used for longest and no living run uses, until the rest fits."""
        self._remove(lambda left_bytes, _: left_bytes <= self.limit_bytes)

    def free(self, size_bytes: int) -> None:
        """Remove what was not used for longest and no living run uses, until so much is gone."""
        self._remove(lambda _, removed_bytes: removed_bytes >= size_bytes)

    def _remove(self, is_enough: Callable[[int, int], bool]) -> None:
        """Remove what was not used for longest.

        Args:
            is_enough: is called with the bytes that are left, and with those that were removed.
        """
        used = {link.name for link in self.folder.glob(f"{_MARK}*/*") if link.is_symlink()}
        files = []
        for path in self.folder.glob("??/*"):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            files.append((stat.st_mtime_ns, stat.st_size, path))
        left_bytes, removed_bytes = sum(size for _, size, _ in files), 0
        for used_at, size, path in sorted(files):
            if is_enough(left_bytes, removed_bytes):
                break
            if path.name in used:
                continue
            with suppress(FileNotFoundError):
                if path.stat().st_mtime_ns == used_at:  # nobody has begun to use it meanwhile
                    path.unlink()
                    left_bytes, removed_bytes = left_bytes - size, removed_bytes + size

"""Whether there is room for what is about to be written: checked first, so nothing is half-done.

Others may fill the disk all the same. Then `files.translate_os_error` makes the same failure of it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from merger.errors import Temporary
from merger.i18n import Message
from merger.storage.cache import Cache
from merger.storage.files import translate_write_errors

# What is left to the database and to whoever else writes to the disk: a hundredth of it, but no
# more than a long lecture takes, or a large share would be called full with plenty of room.
_RESERVE_OF = 100
_LARGEST_RESERVE = 5_000_000_000
_SHOWN_IN_GB = 100_000_000  # from 0.1 GB on


@dataclass(frozen=True)
class Disk:
    """A disk, in bytes. number: tells it from others."""

    total: int
    free: int
    number: int = 0

    @property
    def reserve(self) -> int:
        return min(self.total // _RESERVE_OF, _LARGEST_RESERVE)

    @property
    def room(self) -> int:
        """What is free beside a reserve for others."""
        return max(self.free - self.reserve, 0)


def disk_of(folder: Path) -> Disk:
    """Return the disk of a folder, which may not exist yet."""
    with translate_write_errors(folder):
        there = nearest(folder)
        usage = shutil.disk_usage(there)
        return Disk(usage.total, usage.free, there.stat().st_dev)


def nearest(folder: Path) -> Path:
    """Return a folder, which may not exist yet, or the first above it that does."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def require_space(folder: Path, needed_bytes: int, what: Message | str) -> None:
    """Raise Temporary where the disk of a folder, which may not exist yet, lacks room.

    Nothing needs no room, however full a disk is.

    Args:
        what: needs the room: the name of a file, or a message that is the subject of a sentence.
    """
    if not needed_bytes:
        return
    disk = disk_of(folder)
    if disk.room >= needed_bytes:
        return
    raise Temporary(
        "disk_full",
        "storage.no_room",
        what=what,
        needed=amount(needed_bytes),
        free=amount(disk.room),
        folder=str(folder),
        reserve=amount(disk.reserve),
    )


def make_room(cache: Cache, folder: Path, needed_bytes: int, what: Message | str) -> None:
    """Do as require_space; where the cache is on the same disk, what it holds makes room first."""
    try:
        require_space(folder, needed_bytes, what)
    except Temporary:
        if disk_number(folder) != disk_number(cache.folder):
            raise
        disk = disk_of(folder)
        cache.free(needed_bytes - disk.room)
        require_space(folder, needed_bytes, what)


def disk_number(folder: Path) -> int:
    """Return the number of the disk of a folder, which may not exist yet."""
    with translate_write_errors(folder):
        return nearest(folder).stat().st_dev


def amount(size_bytes: int) -> Message:
    """Return a number of bytes in words."""
    if size_bytes >= _SHOWN_IN_GB:
        return Message("size.gb", number=f"{size_bytes / 1e9:.1f}")
    return Message("size.mb", number=f"{size_bytes / 1e6:.1f}")

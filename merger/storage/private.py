"""What only the user of this service may read: made so, and made so again where it is not.

The data folder holds lectures, the database and the key file secrets. What is delivered keeps the
mode that the umask gives it (see `Settings.private_output`).
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE
from typing import TYPE_CHECKING

from merger.storage.files import PRIVATE, make_folders, sync_folder

if TYPE_CHECKING:
    from merger.config import Settings

FOLDER, FILE = PRIVATE, 0o600
# Others may pass through to what they may read, and do not see what else there is.
_WAY = 0o711
_EVERYBODY = 0o777
# Folders of the data folder. Others in there, such as one that videos are delivered to, are not
# only ours.
_FOLDERS = ("segments", "records", "recorded", "live", "pictures")
# SQLite makes these beside a database, with the mode that it has.
_BESIDE_DATABASE = ("-wal", "-shm", "-journal")


# --- making it ------------------------------------------------------------------------------------


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing. Raises OSError."""
    make_folders(folder, FOLDER)


def create_private_file(path: Path, text: str) -> bool:
    """Make a file, whole at once; return whether it is new: one that is there stays as it is.

    Raises OSError.
    """
    if path.exists():
        return False
    partial = _write_partial(path, text, path.parent.stat())
    try:
        try:
            path.hardlink_to(partial)  # which fails where another process was quicker
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def replace_private_file(path: Path, text: str) -> None:
    """Give a file another content, in one step. Raises OSError."""
    partial = _write_partial(path, text, path.stat())
    try:
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def _write_partial(path: Path, text: str, like: os.stat_result) -> Path:
    """Write a file beside another one. like: what has the owner that it gets."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE), "w") as file:
        if os.geteuid() == 0:  # root does for the user of the service what is that user's to read
            os.fchown(file.fileno(), like.st_uid, like.st_gid)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return partial


# --- what is there --------------------------------------------------------------------------------


def private_paths(settings: Settings, database: Path | None) -> dict[Path, int]:
    """Return what is private, there or not, with the most that its mode may be.

    Args:
        database: its file, where it is one.
    """
    data = settings.data
    found = {data: _WAY if _leads_to_videos(settings) else FOLDER}
    found |= {data / name: FOLDER for name in _FOLDERS}
    found |= {settings.secret_file: FILE, settings.first_password: FILE}
    if database is not None:
        found[database] = FILE
        found |= {database.with_name(database.name + end): FILE for end in _BESIDE_DATABASE}
    return found


def _leads_to_videos(settings: Settings) -> bool:
    """Return whether others may read videos in a folder below the data folder."""
    inside = settings.destination.is_relative_to(settings.data)
    return inside and not settings.private_output and settings.destination.is_dir()


def make_private(paths: Mapping[Path, int]) -> None:
    """Take from others what they may do with paths; what cannot be changed stays as it is.

    A folder stays as it is, too, where not all in it is of the user who runs this: whoever else
    writes there came in by the rights of a group.

    Args:
        paths: with the most that their modes may be.
    """
    me, found = os.geteuid(), _statuses(paths)
    for path, status in found.items():
        inside = (found[other].st_uid for other in found if other.is_relative_to(path))
        if _excess(status, paths[path]) and set(inside) == {me}:
            with suppress(OSError):
                path.chmod(S_IMODE(status.st_mode) & ~(_EVERYBODY & ~paths[path]))


def open_to_others(paths: Mapping[Path, int]) -> dict[Path, int]:
    """Return what others may do more with than they should, and its mode."""
    found = _statuses(paths)
    return {
        path: S_IMODE(status.st_mode) & _EVERYBODY
        for path, status in found.items()
        if _excess(status, paths[path])
    }


def _excess(status: os.stat_result, most: int) -> int:
    return S_IMODE(status.st_mode) & _EVERYBODY & ~most


def _statuses(paths: Mapping[Path, int]) -> dict[Path, os.stat_result]:
    found = {}
    for path in paths:
        with suppress(OSError):
            found[path] = path.stat()
    return found

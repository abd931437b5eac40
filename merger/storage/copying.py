"""Copying a file to a folder, perhaps on a share, so that what arrives is what was sent."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from merger.errors import Temporary
from merger.storage.files import BY_UMASK, PRIVATE, translate_os_error

# Modes of new files, as those of folders.
_FILE_PRIVATE, _FILE_BY_UMASK = 0o600, 0o666
_BLOCK = 4 * 1024 * 1024


def never_cancelled() -> None:
    """Go on: for work that is not asked to stop, but killed, such as the housekeeping."""


@contextmanager
def translate_copy_errors(folder: Path) -> Iterator[None]:
    """Translate what goes wrong while files are copied to a folder."""
    try:
        yield
    except FileNotFoundError as error:
        raise Temporary(
            "destination", "storage.vanished", file=str(error.filename), folder=str(folder)
        ) from error
    except OSError as error:
        raise translate_os_error(error, folder) from error


def require_mounted(folder: Path, *, is_ours: bool, is_private: bool = False) -> None:
    """Make a folder where it is ours; else raise Temporary where it is missing."""
    if is_ours:
        mode = PRIVATE if is_private else BY_UMASK
        folder.mkdir(mode, parents=True, exist_ok=True)
    elif not folder.is_dir():
        raise Temporary("destination", "storage.no_output", folder=str(folder))


def is_there(final: Path, size_bytes: int, sha256: str, check: Callable[[], None]) -> bool:
    """Return whether a file has arrived under its name."""
    try:
        if final.stat().st_size != size_bytes:
            return False
    except FileNotFoundError:
        return False
    return sha256_of(final, check) == sha256


def require_same(copy: Path, sha256: str, folder: Path, check: Callable[[], None]) -> None:
    """Read back what has arrived; raise Temporary where it is not what was sent."""
    if sha256_of(copy, check) != sha256:
        raise Temporary("copy", "storage.differs", folder=str(folder))


def copy_whole(
    source: Path, target: Path, check: Callable[[], None], *, is_private: bool = False
) -> None:
    """Copy a file; call `check`, which may raise, between its blocks.

    Args:
        is_private: nobody else may read the copy; otherwise the umask says who may.
    """
    opener = partial(os.open, mode=_FILE_PRIVATE if is_private else _FILE_BY_UMASK)
    with source.open("rb") as reading, open(target, "xb", opener=opener) as writing:
        while block := reading.read(_BLOCK):
            check()
            writing.write(block)


def sha256_of(path: Path, check: Callable[[], None]) -> str:
    """Return the hash of a file; call `check`, which may raise, between its blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            check()
            digest.update(block)
    return digest.hexdigest()

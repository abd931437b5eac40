"""The destination `folder`: a directory, perhaps on a network share."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from merger.delivery import Fence, Parcel
from merger.errors import Temporary
from merger.failpoints import reached
from merger.space import require_space
from merger.storage import publish, translated, work_folder, work_folders

_BLOCK = 4 * 1024 * 1024
_COPY = "copy"


class FolderDestination:
    """Copies into a folder: beside the final name first, read back, then renamed."""

    name = "folder"

    def __init__(self, folder: Path, *, is_ours: bool) -> None:
        """is_ours: it is made where it is missing; another one is a share that is not mounted."""
        self.folder = folder
        self.is_ours = is_ours

    def is_foreign(self, name: str) -> bool:
        try:
            self._check_folder()  # nothing can be said of names in a share that is not mounted
            (self.folder / name).lstat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise translated(error, self.folder) from error
        return True

    def send(self, parcel: Parcel, state: Mapping[str, Any], fence: Fence) -> str:
        final = self.folder / parcel.name
        with sending_to(self.folder):
            self._check_folder()
            self._revoke(parcel.name, fence.attempt)
            if is_there(final, parcel.size_bytes, parcel.sha256, fence.check):
                return str(final)
            require_space(self.folder, parcel.size_bytes, f"delivering {parcel.name}")
            with work_folder(self.folder, f"{_mark(parcel.name)}{fence.attempt}-") as work:
                copy = work / _COPY
                copy_whole(parcel.path, copy, fence.check)
                reached("folder.copied")
                require_same(copy, parcel.sha256, self.folder, fence.check)
                fence.confirm()
                reached("folder.confirmed")
                publish(copy, final)
        return str(final)

    def _check_folder(self) -> None:
        require_mounted(self.folder, is_ours=self.is_ours)

    def _revoke(self, name: str, before: float = math.inf) -> None:
        """Take away what earlier attempts have copied: one may hang just before it renames it.

        Without its copy it cannot, whenever it goes on; and where it copies later, it is asked
        later whether the record is its own.
        """
        for work in work_folders(self.folder, _mark(name)):
            attempt = work.name.split("-")[-2]
            if attempt.isdecimal() and int(attempt) < before:
                (work / _COPY).unlink(missing_ok=True)
                shutil.rmtree(work, ignore_errors=True)

    def remove(self, name: str, state: Mapping[str, Any]) -> None:
        try:
            self._check_folder()
            self._revoke(name)
            (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise translated(error, self.folder) from error


def _mark(name: str) -> str:
    """Return what the names of work folders begin with in which this name is worked on."""
    return f"{hashlib.sha256(name.encode()).hexdigest()[:16]}-"


def never_asked() -> None:
    """Go on: whoever is not asked in between, such as the housekeeping, is killed to be stopped."""


@contextmanager
def sending_to(folder: Path) -> Iterator[None]:
    """Tell what goes wrong while files are copied to a folder."""
    try:
        yield
    except FileNotFoundError as error:
        message = f"{error.filename} vanished while it was copied to {folder}"
        raise Temporary("destination", message) from error
    except OSError as error:
        raise translated(error, folder) from error


def require_mounted(folder: Path, *, is_ours: bool) -> None:
    """Make a folder where it is ours; else raise Temporary where it is missing."""
    if is_ours:
        folder.mkdir(parents=True, exist_ok=True)
    elif not folder.is_dir():
        raise Temporary(
            "destination", f"there is no folder {folder} (MERGER_OUTPUT); make it, or mount it"
        )


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
        raise Temporary("copy", f"what arrived in {folder} differs from what was sent")


def copy_whole(source: Path, target: Path, check: Callable[[], None]) -> None:
    """Copy a file, and ask between its blocks."""
    with source.open("rb") as reading, target.open("xb") as writing:
        while block := reading.read(_BLOCK):
            check()
            writing.write(block)


def sha256_of(path: Path, check: Callable[[], None]) -> str:
    """Return the hash of a file, and ask between its blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            check()
            digest.update(block)
    return digest.hexdigest()

"""The destination `folder`: a directory, perhaps on a network share."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable, Mapping
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
        try:
            self._check_folder()
            self._revoke(parcel.name, fence.attempt)
            if _is_there(final, parcel, fence.check):
                return str(final)
            require_space(self.folder, parcel.size_bytes, f"delivering {parcel.name}")
            with work_folder(self.folder, f"{_mark(parcel.name)}{fence.attempt}-") as work:
                copy = work / _COPY
                _copy(parcel.path, copy, fence.check)
                reached("folder.copied")
                if _sha256(copy, fence.check) != parcel.sha256:
                    raise Temporary(
                        "copy", f"what arrived in {self.folder} differs from what was sent"
                    )
                fence.confirm()
                reached("folder.confirmed")
                publish(copy, final)
        except FileNotFoundError as error:
            message = f"{error.filename} vanished while it was copied to {self.folder}"
            raise Temporary("destination", message) from error
        except OSError as error:
            raise translated(error, self.folder) from error
        return str(final)

    def _check_folder(self) -> None:
        if self.is_ours:
            self.folder.mkdir(parents=True, exist_ok=True)
        elif not self.folder.is_dir():
            raise Temporary(
                "destination",
                f"there is no folder {self.folder} (MERGER_OUTPUT); make it, or mount it",
            )

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


def _is_there(final: Path, parcel: Parcel, check: Callable[[], None]) -> bool:
    try:
        if final.stat().st_size != parcel.size_bytes:
            return False
    except FileNotFoundError:
        return False
    return _sha256(final, check) == parcel.sha256


def _copy(source: Path, target: Path, check: Callable[[], None]) -> None:
    with source.open("rb") as reading, target.open("xb") as writing:
        while block := reading.read(_BLOCK):
            check()
            writing.write(block)


def _sha256(path: Path, check: Callable[[], None]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            check()
            digest.update(block)
    return digest.hexdigest()

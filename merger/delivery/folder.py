"""The destination `folder`: a directory, perhaps on a network share."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from merger.errors import Temporary
from merger.failpoints import failpoint
from merger.ports.destination import Fence, NameTaken, Renaming, Upload
from merger.storage.copying import (
    copy_whole,
    is_there,
    require_mounted,
    require_same,
    sha256_of,
    translate_copy_errors,
)
from merger.storage.disk_space import require_space
from merger.storage.files import (
    publish,
    sync_folder,
    translate_os_error,
    work_folder,
    work_folders,
)

_COPY = "copy"
_TRIAL = b"lecture merge\n"


class FolderDestination:
    """Copies into a folder: beside the final name first, read back, then renamed."""

    name = "folder"
    is_remote = False

    def __init__(self, folder: Path, *, is_ours: bool, is_private: bool = False) -> None:
        """Deliver to a folder.

        Args:
            is_ours: it is made where it is missing; another one is a share that is not mounted.
            is_private: nobody else may read what is delivered; otherwise the umask says who may.
        """
        self.folder = folder
        self.is_ours = is_ours
        self.is_private = is_private

    def is_foreign(self, name: str) -> bool:
        try:
            self._check_folder()  # of names in a share that is not mounted nobody knows anything
            return _exists(self.folder / name)
        except OSError as error:
            raise translate_os_error(error, self.folder) from error

    def send(self, upload: Upload, state: Mapping[str, Any], fence: Fence) -> str:
        final = self.folder / upload.name
        with translate_copy_errors(self.folder):
            self._check_folder()
            self._revoke(upload.name, fence.attempt)
            if is_there(final, upload.size_bytes, upload.sha256, fence.check):
                return str(final)
            require_space(self.folder, upload.size_bytes, upload.name)
            with work_folder(self.folder, f"{_mark(upload.name)}{fence.attempt}-") as work:
                copy = work / _COPY
                copy_whole(upload.path, copy, fence.check, is_private=self.is_private)
                failpoint("folder.copied")
                require_same(copy, upload.sha256, self.folder, fence.check)
                fence.confirm()
                failpoint("folder.confirmed")
                publish(copy, final)
        return str(final)

    def rename(self, renaming: Renaming, state: Mapping[str, Any], fence: Fence) -> str | None:
        final = self.folder / renaming.name
        if not renaming.former:
            return str(final)  # it has its name, and a file has no description
        with translate_copy_errors(self.folder):
            self._check_folder()
            for name in renaming.former:
                self._revoke(name, fence.attempt)
            fence.confirm()
            failpoint("folder.renaming")
            there = [path for name in renaming.former if _exists(path := self.folder / name)]
            if not _exists(final):
                if not there:
                    return None
                there.pop(0).rename(final)
            elif there and sha256_of(final, fence.check) != renaming.sha256:
                raise NameTaken(renaming.name)
            for path in there:
                path.unlink()
            sync_folder(self.folder)
        return str(final)

    def try_out(self) -> None:
        with translate_copy_errors(self.folder):
            self._check_folder()
            with tempfile.TemporaryFile(dir=self.folder, prefix=".trial-") as file:
                file.write(_TRIAL)
                file.flush()
                os.fsync(file.fileno())
                file.seek(0)
                if file.read() != _TRIAL:
                    raise Temporary("copy", "storage.differs", folder=str(self.folder))

    def _check_folder(self) -> None:
        require_mounted(self.folder, is_ours=self.is_ours, is_private=self.is_private)

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
            raise translate_os_error(error, self.folder) from error


def _exists(path: Path) -> bool:
    """Return whether a name is in use, if only by a link that leads nowhere. Raises OSError."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _mark(name: str) -> str:
    """Return what the names of work folders begin with in which this name is worked on."""
    return f"{hashlib.sha256(name.encode()).hexdigest()[:16]}-"

"""Where raw segments go: a folder for them, below that of the videos."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from merger.errors import Refused
from merger.failpoints import failpoint
from merger.storage.copying import (
    copy_whole,
    is_there,
    never_cancelled,
    require_mounted,
    require_same,
    translate_copy_errors,
)
from merger.storage.disk_space import require_space
from merger.storage.files import BY_UMASK, PRIVATE, make_folders, publish, work_folder

_BELOW = "raw"


class RawFolder:
    """Copies into `raw`, below the folder of the videos: raw/ROOM/YYYY-MM-DD/NAME."""

    name = "folder"

    def __init__(self, folder: Path, *, is_ours: bool, is_private: bool = False) -> None:
        """Put segments below a folder.

        Args:
            is_ours: it is made where it is missing; any other one is a share that is away then.
            is_private: nobody else may read what is put there; otherwise the umask says who may.
        """
        self.folder = folder
        self.is_ours = is_ours
        self.is_private = is_private

    def put(
        self,
        path: Path,
        room: str,
        day: date,
        name: str,
        sha256: str,
        state: Mapping[str, Any],
        keep: Callable[[Mapping[str, Any]], None],
    ) -> str:
        final = self.folder / _BELOW / _folder_name(room) / day.isoformat() / name
        with translate_copy_errors(self.folder):
            require_mounted(self.folder, is_ours=self.is_ours, is_private=self.is_private)
            size_bytes = path.stat().st_size
            if is_there(final, size_bytes, sha256, never_cancelled):
                return str(final)
            if final.exists():  # ours is never there as anything but the whole file
                raise Refused("upload", "live.another_file", file=str(final))
            require_space(self.folder, size_bytes, name)
            make_folders(final.parent, PRIVATE if self.is_private else BY_UMASK)
            with work_folder(self.folder) as work:
                copy = work / "copy"
                copy_whole(path, copy, never_cancelled, is_private=self.is_private)
                failpoint("raw.copied")
                require_same(copy, sha256, self.folder, never_cancelled)
                publish(copy, final)
        return str(final)


def _folder_name(room: str) -> str:
    """Return a room's name as that of a folder, which `..` is not. It holds no slash."""
    return f"_{room}" if room.startswith(".") else room

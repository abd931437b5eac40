"""Uploads segments as they were recorded to Drive: to `raw` in the room's folder, by day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from google_apis.drive.destination import DriveDestination
from merger.errors import Temporary
from merger.ports.destination import Fence, Placement, Upload

_BELOW = ("raw",)


@dataclass(frozen=True)
class RawDrive:
    """Uploads as the destination does, for nobody in particular to read.

    folder_of: the folder of a room by its name, or None.
    """

    drive: DriveDestination
    folder_of: Callable[[str], str | None]
    name: str = "drive"

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
        """Put a file there, whole and checked, and return its link."""
        try:
            size_bytes = path.stat().st_size
        except FileNotFoundError as error:
            raise Temporary("upload", "google.source_vanished", path=str(path)) from error
        placement = Placement(room, self.folder_of(room), day, below=_BELOW)
        upload = Upload(1, "raw", name, path, size_bytes, sha256, placement)
        return self.drive.send(upload, state, Fence(keep, _allow, _allow))


def _allow() -> None:
    """Raise nothing: nobody else uploads the same."""

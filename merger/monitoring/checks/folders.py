"""The folders that are written to, who can read them, and for how long their disks suffice."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from merger.config import Settings
from merger.db.engine import database_file
from merger.i18n import Message
from merger.monitoring import space
from merger.monitoring.findings import Finding, Level
from merger.storage.disk_space import amount, disk_of, nearest
from merger.storage.private import open_to_others, private_paths

LITTLE_SPACE = 5_000_000_000  # bytes: less than a long lecture may need


def look_at_folder(what: str, folder: Path, is_ours: bool) -> Iterator[Finding]:
    """Look at a folder that is written to. is_ours: it is created where it is missing."""
    if folder.exists() and not folder.is_dir():
        yield Finding(what, "broken", Message("monitoring.no_folder", folder=str(folder)))
        return
    if not folder.is_dir() and not is_ours:
        yield Finding(what, "broken", Message("monitoring.folder_missing", folder=str(folder)))
        return
    there = nearest(folder)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield Finding(what, "broken", Message("monitoring.folder_read_only", folder=str(there)))
        return
    free = shutil.disk_usage(there).free
    is_little = free < LITTLE_SPACE
    message = Message(
        "monitoring.folder_full" if is_little else "monitoring.folder",
        folder=str(folder), free=f"{free / 1e9:.1f}",
    )  # fmt: skip
    yield Finding(what, "warning" if is_little else "ok", message)


def look_at_space(
    engine: Engine, settings: Settings, now: Callable[[], datetime]
) -> Iterator[Finding]:
    """Look for how many days of lectures there is room, on each disk that lectures fill."""
    pace = space.read_pace(engine, settings, now())
    disks = {"data": disk_of(settings.data), "output": disk_of(settings.destination)}
    left = space.days_left(disks, pace)
    if disks["data"].number == disks["output"].number:
        left.pop("output", None)  # it is the same number
    how = "measured" if pace.is_measured else "estimated"
    for name, days in left.items():
        level: Level = "warning" if days < space.FEW_DAYS else "ok"
        key = "few_days" if level == "warning" else "plenty" if space.is_plenty(days) else "days"
        free = amount(disks[name].room)
        basis = Message(f"monitoring.space.{how}")
        yield Finding(
            f"disk space ({name})",
            level,
            Message(
                f"monitoring.space.{key}", count=space.shown_days(days), free=free, basis=basis
            ),
        )
    if not left:
        yield Finding("disk space", "ok", Message("monitoring.space.nothing"))


def look_at_private_files(settings: Settings) -> Iterator[Finding]:
    """Look whether other users of the machine can read what is ours alone."""
    paths = private_paths(settings, database_file(settings.database_address))
    seen = open_to_others(paths)
    for path, mode in seen.items():
        most = f"{paths[path]:o}"
        message = Message("monitoring.open", path=str(path), mode=f"{mode:o}", most=most)
        yield Finding(f"private file {path}", "warning", message)
    if not seen:
        yield Finding("private files", "ok", Message("monitoring.private"))

"""The cache: finished files by a hash of what determines them, bounded in bytes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from merger.storage.files import publish, translate_write_errors, work_folders


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
        links = (link for work in work_folders(self.folder) for link in work.glob("*"))
        used = {link.name for link in links if link.is_symlink()}
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

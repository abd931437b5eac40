"""The cache: finished files by a hash of what determines them, bounded in bytes.

Beside each lies its SHA-256, as `sha256sum` writes it: disks forget, and a part is used for years.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from merger.storage.copying import never_cancelled, sha256_of
from merger.storage.files import publish, translate_write_errors, work_folders
from merger.storage.locks import file_lock

log = logging.getLogger(__name__)

_SUM = ".sha256"
_SUM_LENGTH = 64
_LOCK = "sums.lock"  # held while a file and its sum are replaced

Condition = Literal["intact", "changed", "without_sum", "missing"]


@dataclass(frozen=True)
class Cache:
    """Finished files by a hash of their specs, bounded in bytes. A run links what it uses."""

    folder: Path
    limit_bytes: int

    def path(self, name: str) -> Path:
        return self.folder / name[:2] / name

    def use(self, name: str, work: Path) -> Path | None:
        """Return a file of the cache and protect it while the work folder lives, or None."""
        path = self.path(name)
        link = work / name
        try:
            with suppress(FileExistsError):  # another thread of this run may have made it just now
                link.symlink_to(path)
            os.utime(path)
        except FileNotFoundError:
            link.unlink(missing_ok=True)
            return None
        return path

    def add(self, partial: Path, name: str, work: Path) -> Path:
        """Move a complete file into the cache under a name, and its sum beside it."""
        path = self.path(name)
        with translate_write_errors(self.folder):
            path.parent.mkdir(exist_ok=True)
            line = _sum_line(partial, name)  # read from memory, where it was just written
            with file_lock(self.folder / _LOCK):
                publish(partial, path)
                self._publish_sum(line, name, work)
            self.use(name, work)
        return path

    def _publish_sum(self, line: str, name: str, work: Path) -> None:
        partial = work / f"{name}{_SUM}.partial"
        partial.write_text(line)
        publish(partial, sum_path(self.path(name)))

    def is_intact(self, name: str, work: Path) -> bool:
        """Return whether a file is there and still what was added; one that is not is removed.

        One without a sum was added by a version that took none: it is taken now.
        """
        path = self.path(name)
        with translate_write_errors(self.folder):
            condition = _condition_of(path)
            if condition in ("intact", "missing"):
                return condition == "intact"
            with file_lock(self.folder / _LOCK):
                condition = _condition_of(path)  # somebody may have been replacing both
                if condition == "without_sum":
                    self._publish_sum(_sum_line(path, name), name, work)
                elif condition == "changed":
                    log.warning(
                        "%s is no longer what was written there: it is made anew. Check the disk of"
                        " the cache (MERGER_CACHE)", path,
                    )  # fmt: skip
                    _unlink(path)
        return condition in ("intact", "without_sum")

    def remember(self, name: str, facts: list[Any], work: Path) -> None:
        """Keep a few facts (JSON values) under a name, so that they are not worked out again."""
        partial = work / f"{name}.partial"
        with translate_write_errors(self.folder):
            partial.write_text(json.dumps(facts))
        self.add(partial, name, work)

    def recall(self, name: str, work: Path) -> list[Any] | None:
        """Return the facts kept under a name, or an empty list; None where they are damaged."""
        path = self.use(name, work)
        if path is None:
            return []
        with translate_write_errors(self.folder):
            try:
                facts = json.loads(path.read_text()) if self.is_intact(name, work) else None
            except ValueError:
                facts = None
            if isinstance(facts, list):
                return facts
            _unlink(path)
        return None

    def files(self) -> Iterator[Path]:
        """Yield all finished files, in no order; their sums are not among them."""
        return (path for path in self.folder.glob("??/*") if path.suffix != _SUM)

    def shrink(self) -> None:
        """Remove what was not used for longest and no living run uses, until the rest fits."""
        self._remove(lambda left_bytes, _: left_bytes <= self.limit_bytes)
        for path in self.folder.glob(f"??/*{_SUM}"):
            if not path.with_suffix("").exists():  # a file comes before its sum
                path.unlink(missing_ok=True)

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
        for path in self.files():
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
                    _unlink(path)
                    left_bytes, removed_bytes = left_bytes - size, removed_bytes + size


def sum_path(path: Path) -> Path:
    """Return where the sum of a file of the cache lies."""
    return path.with_name(f"{path.name}{_SUM}")


def sum_of(path: Path) -> str | None:
    """Return the SHA-256 with which a file of the cache was added; None where it has no sum."""
    try:
        return sum_path(path).read_text(errors="replace")[:_SUM_LENGTH]
    except FileNotFoundError:
        return None


def _condition_of(path: Path) -> Condition:
    """Return whether a file is what was added. Raises OSError: the disk is away."""
    try:
        if not path.exists():
            return "missing"
        added = sum_of(path)
        if added is None:
            return "without_sum"
        return "intact" if sha256_of(path, never_cancelled) == added else "changed"
    except FileNotFoundError:  # removed this very moment
        return "missing"
    except OSError as error:
        if error.errno == errno.EIO:  # a sector that cannot be read any more
            return "changed"
        raise


def _sum_line(path: Path, name: str) -> str:
    return f"{sha256_of(path, never_cancelled)}  {name}\n"


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
    sum_path(path).unlink(missing_ok=True)

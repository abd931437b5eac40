"""One file of a folder, as it is now: when it was recorded, and whether it is complete."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from merger.i18n import Message
from merger.isolation import reader
from merger.isolation.reader import Unreadable
from merger.media.container import read_header
from merger.media.library import LONGEST_SEGMENT
from merger.media.sidecar import LARGEST_SIDECAR, Sidecar, read_sidecar, sidecar_path
from merger.timeline.clock import Span, microseconds
from recorders.base import Item, is_quiet
from recorders.folder.originals import Original


@dataclass(frozen=True)
class File:
    """A file that may belong to a span. original: what collecting it needs."""

    item: Item
    original: Original
    notes: tuple[Message, ...]


def examine(
    path: Path,
    start: datetime,
    odd: Message | None,
    span: Span,
    now: datetime,
    quiet: timedelta,
) -> File | Message | None:
    """Return a file as it is now; why it cannot be used; None where it is not meant.

    Args:
        start: by its name.
        odd: what is strange about that start.

    Raises:
        OSError: it cannot be examined.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        return None  # a folder, or a pipe, that is named like media
    sidecar_bytes, sidecar_changed = _read_sidecar_bytes(path)
    sidecar, complaint = read_sidecar(path)
    start = sidecar.start or start
    if start >= span.end or start + LONGEST_SEGMENT <= span.start:
        return None
    notes = [Message("recorders.folder.start_by_name", why=complaint)] if complaint else []
    if odd and not sidecar.start:
        notes.append(odd)
    if not os.access(path, os.R_OK):
        return Message("recorders.folder.no_permission")
    end = _end(path, status, start, sidecar, span)
    changed = instant_of(max(status.st_mtime_ns, sidecar_changed))
    settled = is_quiet(changed, end, now, quiet)
    if status.st_size == 0 and settled:
        return Message("recorders.folder.empty") if start >= span.start else None
    item = Item(
        origin=path.name,
        fingerprint=_fingerprint(status, sidecar_bytes),
        start=start,
        end=end,
        size_bytes=status.st_size,
        settled=settled,
    )
    original = Original(path, status.st_size, status.st_mtime_ns, sidecar_bytes, sidecar.sha256)
    return File(item, original, tuple(notes))


def _read_sidecar_bytes(path: Path) -> tuple[bytes | None, int]:
    """Return the sidecar of a file, and when it was changed (ns); None and 0 without."""
    sidecar = sidecar_path(path)
    try:
        status = sidecar.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_SIDECAR:
            return None, 0
        return sidecar.read_bytes(), status.st_mtime_ns
    except OSError:
        return None, 0  # read_sidecar says what is wrong with it, if it is there


def _fingerprint(status: os.stat_result, sidecar: bytes | None) -> str:
    # Another sidecar places the same media elsewhere.
    mark = f"-{hashlib.sha256(sidecar).hexdigest()[:16]}" if sidecar is not None else ""
    return f"{status.st_size}-{status.st_mtime_ns}{mark}"


def _end(
    path: Path, status: os.stat_result, start: datetime, sidecar: Sidecar, span: Span
) -> datetime | None:
    """Return where a file ends: by its sidecar, else by its header; None where neither says so.

    A sidecar that ends before a span is checked with the header: an end that is wrong must not
    cost the media, which is used as far as it goes.
    """
    if sidecar.end and (sidecar.end > span.start or start >= span.start):
        return sidecar.end
    try:
        length = _length_by_header(path, status.st_size, status.st_mtime_ns)
    except OSError:
        length = None
    by_header = start + length if length else None
    if sidecar.end and by_header:
        return max(sidecar.end, by_header)
    return sidecar.end or by_header


@lru_cache(maxsize=4096)
def _length_by_header(path: Path, size_bytes: int, mtime_ns: int) -> timedelta | None:
    """Return how long a file says that it is; None where it does not, or cannot be believed.

    The files of a day are looked at every few minutes, over a network: once each is enough, as
    long as size and time are the same. Raises OSError.
    """
    try:
        header = reader.call(read_header, path)
    except Unreadable:
        return None
    # Half a file has no header yet; the merge says what is wrong with a broken one.
    length_us = header.length_us if header else 0
    is_likely = 0 < length_us <= microseconds(LONGEST_SEGMENT)
    return timedelta(microseconds=length_us) if is_likely else None


def instant_of(ns: int) -> datetime:
    """Return a file time as an instant; one that no calendar holds as one far away."""
    try:
        return datetime.fromtimestamp(ns // 1_000_000_000, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.max.replace(tzinfo=UTC) if ns > 0 else datetime.min.replace(tzinfo=UTC)

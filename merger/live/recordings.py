"""Removes what was recorded here and no record needs any more."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import ColumnElement, and_, or_, select

from merger.db.engine import reading
from merger.media.library import LONGEST_SEGMENT
from merger.media.sidecar import read_sidecar, sidecar_path
from merger.service import Service
from merger.timeline.clock import Span
from models import Record, Source

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """A file that was recorded here.

    source: its number, by which its folder is called; None for another folder, or without a sidecar
    that can be read. sha256: None where the sidecar has none. own_bytes: 0 where it was collected
    as the same file.
    """

    path: Path
    source: int | None
    span: Span
    sha256: str | None
    own_bytes: int


def recorded_bytes(service: Service) -> int:
    """Return how many bytes recordings hold beside the collected segments."""
    return sum(file.own_bytes for file in list_recordings(service.settings.recorded))


def remove_recordings(
    service: Service, now: datetime, too_many: int, waiting: Collection[Path]
) -> None:
    """Remove recordings that were kept for long enough, and the oldest while there are too many.

    What is being recorded is not looked at.

    Args:
        too_many: bytes.
        waiting: to be uploaded, and kept until then.
    """
    old = now - service.settings.keep_segments
    for file in sorted(list_recordings(service.settings.recorded), key=lambda file: file.span.end):
        if file.span.end >= old and too_many <= 0:
            break
        if file.span.end >= old and not file.own_bytes:
            continue  # it shares its bytes with what was collected: there is no room to be had
        if file.path in waiting or _is_needed(service, file, now):
            continue
        try:
            file.path.unlink(missing_ok=True)  # first: a sidecar alone is nothing
            sidecar_path(file.path).unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be removed: %s", file.path, error.strerror)
            continue
        too_many -= file.own_bytes


def needs_media(now: datetime, old: datetime) -> ColumnElement[bool]:
    """Return the condition that media may still be needed for a record.

    Args:
        old: of a record that failed before that, nobody has corrected the reason in time.
    """
    return or_(
        Record.status.in_(("queued", "running")),
        Record.watched_until > now,
        and_(Record.status == "failed", Record.updated_at > old),
    )


def _is_needed(service: Service, file: Recording, now: datetime) -> bool:
    if file.source is None:
        return False
    with reading(service.engine) as session:
        needed = session.scalar(
            select(Record.id)
            .join(Source, Source.room_id == Record.room_id)
            .where(
                Source.id == file.source,
                Record.end_at > file.span.start,
                Record.start_at < file.span.end,
                needs_media(now, now - service.settings.keep_segments),
            )
            .limit(1)
        )
    return needed is not None


def list_recordings(recorded: Path) -> Iterator[Recording]:
    """Yield what was recorded and is complete, in no order."""
    for path in recorded.glob("*/[!.]*.mkv"):
        with suppress(FileNotFoundError):
            yield _recording(path)


def _recording(path: Path) -> Recording:
    """Return a recording by its sidecar; without one, by when it was changed last."""
    status = path.stat()
    changed = datetime.fromtimestamp(status.st_mtime, UTC)
    sidecar, _ = read_sidecar(path)
    folder = path.parent.name
    source = int(folder) if sidecar.start and folder.isdecimal() else None
    start, end = sidecar.start or changed - LONGEST_SEGMENT, sidecar.end or changed
    own_bytes = status.st_size if status.st_nlink == 1 else 0
    span = Span(min(start, end), max(start, end))
    return Recording(path, source, span, sidecar.sha256, own_bytes)

"""Removing from the data folder what nobody needs any more."""

from __future__ import annotations

import logging
import shutil
import sys
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from merger.analysis import thumbnails
from merger.db.engine import reading, writing
from merger.db.key_value import KeyValueStore
from merger.live.raw_uploads import waiting_uploads
from merger.live.recordings import needs_media, recorded_bytes, remove_recordings
from merger.media.sidecar import sidecar_path
from merger.records.processing.stage_results import kept_segments
from merger.service import Service
from merger.storage import paths as data_folder
from merger.storage.files import publish, sweep_leftovers, translate_os_error, work_folder
from merger.timeline.clock import LONGEST_RECORD
from models import Record, Rendition, Room, Segment, Source

log = logging.getLogger(__name__)

# A file that no row knows may be one that is being collected this very moment.
_UNKNOWN_FOR = timedelta(days=1)
_IDENTITY = "database-id"


def remove_expired(service: Service, now: datetime, disk_bytes: int | None = None) -> None:
    """Remove files of attempts that failed, and what was kept long enough.

    Args:
        disk_bytes: of the disk of the data folder; None for as many as it has.
    """
    settings, data = service.settings, service.settings.data
    if not _is_of_this_database(service):
        return
    if settings.keep_videos:  # else they are kept for ever
        ended_before = now - settings.keep_videos
        writing(service.engine, lambda session: _forget_renditions(session, ended_before))
    _make_room(service, now, disk_bytes or shutil.disk_usage(data).total)
    _sweep_records(service, now)
    _sweep_segments(service, now)
    _sweep_pictures(service)
    for folder in (data, thumbnails.thumbnails_folder(settings), settings.cache):
        sweep_leftovers(folder)


def clean_destination(service: Service, now: datetime) -> None:
    """Remove what was on its way to the destination when its worker died; that may be a share."""
    sweep_leftovers(service.settings.destination)


def _make_room(service: Service, now: datetime, disk_bytes: int) -> None:
    """Remove media that was kept for long enough, and more while it holds too much of the disk.

    Then copies go first: what was recorded here is nowhere else, and to forget a segment that is
    the same file as a recording makes no room by itself.
    """
    data, old = service.settings.data, now - service.settings.keep_segments
    share = disk_bytes * service.settings.keep_segments_share // 100
    for is_copy in (True, False):
        sizes = _segment_sizes(data)
        too_many = sum(size for size, _ in sizes.values()) + recorded_bytes(service) - share
        if too_many <= 0 and not is_copy:
            break  # of what is old, nothing is left
        may_go = {path: size for path, (size, links) in sizes.items() if (links == 1) == is_copy}
        forget = partial(_forget_segments, now=now, old=old, sizes=may_go, too_many=too_many)
        for path in writing(service.engine, forget):
            _remove(data / path)
            _remove(sidecar_path(data / path))
            too_many -= may_go.get(path, 0) if is_copy else 0
    remove_recordings(service, now, too_many, waiting_uploads(service))


def _is_of_this_database(service: Service) -> bool:
    """Return whether the data folder belongs to this database.

    To an empty database, which a mistyped address gives, everything in there would be unknown.
    """
    mine = KeyValueStore(service.engine).get_or_set(_IDENTITY, uuid.uuid4().hex)
    note = service.settings.data / _IDENTITY
    try:
        if not note.exists():
            with work_folder(note.parent) as work:  # half a note would forbid everything for good
                (work / _IDENTITY).write_text(f"{mine}\n")
                publish(work / _IDENTITY, note)
        owner = note.read_text().strip()
    except OSError as error:
        raise translate_os_error(error, note.parent) from error
    if owner != mine:
        log.error(
            "%s belongs to another database: nothing is removed from it. Correct"
            " SQLALCHEMY_DATABASE_URI or MERGER_DATA; if they are right, remove %s",
            note.parent, note,
        )  # fmt: skip
    return owner == mine


def _forget_renditions(session: Session, before: datetime) -> None:
    """Forget where the renditions of records lie that ended long ago.

    Not of those that failed: theirs, where there are any, are ready and wait to be delivered.
    """
    for rendition in session.scalars(
        select(Rendition)
        .join(Record)
        .where(
            Rendition.path.is_not(None),
            Record.status.in_(("delivered", "cancelled")),
            Record.updated_at < before,
        )
    ):
        rendition.path = None


def _segment_sizes(data: Path) -> dict[str, tuple[int, int]]:
    """Return how many bytes each collected file holds, and how many names it has.

    By its path below the data folder.
    """
    sizes = {}
    for path in data_folder.segments_folder(data).glob("*/[!.]*"):
        with suppress(FileNotFoundError):
            status = path.stat()
            sizes[str(path.relative_to(data))] = status.st_size, status.st_nlink
    return sizes


def _forget_segments(
    session: Session, now: datetime, old: datetime, sizes: Mapping[str, int], too_many: int
) -> list[str]:
    """Forget segments that no record needs, the oldest first; return where their files lie.

    Args:
        old: those that were collected before are forgotten.
        sizes: of those that may be forgotten sooner.
        too_many: bytes; as long as there are any, segments are forgotten sooner.
    """
    forgotten = []
    for segment, room in session.execute(
        select(Segment, Source.room_id)
        .join(Source)
        .join(Room)
        .order_by(Segment.collected_at, Segment.id)
    ):
        if segment.collected_at >= old:
            if too_many <= 0:
                break
            if segment.path not in sizes:
                continue
        needed = session.scalar(
            select(Record.id)
            .where(
                Record.room_id == room,
                Record.end_at > segment.start_at,
                Record.start_at < (segment.end_at or segment.start_at + LONGEST_RECORD),
                needs_media(now, old),
            )
            .limit(1)
        )
        if needed is None:
            forgotten.append(segment.path)
            session.delete(segment)
            too_many -= sizes.get(segment.path, 0)
    return forgotten


def _sweep_records(service: Service, now: datetime) -> None:
    """Remove what failed attempts have left, and all of records that are gone."""
    folders = sorted(data_folder.records_folder(service.settings.data).glob("*"))
    with reading(service.engine) as session:
        records = set(session.scalars(select(Record.id)))
    for folder in folders:
        if not folder.name.isdecimal():
            continue
        if int(folder.name) not in records:
            shutil.rmtree(folder, ignore_errors=True)
            continue
        sweep_leftovers(folder)
        if not any(folder.glob(data_folder.ATTEMPTS)):
            continue  # all that is left is its plan
        attempt, needed = _needed_of(service, int(folder.name))
        for videos in folder.glob(data_folder.ATTEMPTS):
            if videos in needed:
                continue
            number = videos.name.partition("-")[2]
            is_past = number.isdecimal() and int(number) <= attempt
            # A worker that takes the record up this very moment uses a higher number.
            if is_past or _is_old(videos, now):
                shutil.rmtree(videos, ignore_errors=True)


def _needed_of(service: Service, record: int) -> tuple[int, set[Path]]:
    """Return the last attempt at a record, and the folders of attempts that are needed."""
    with reading(service.engine) as session:
        row = session.execute(
            select(Record.status, Record.attempt).where(Record.id == record)
        ).one_or_none()
        paths = session.scalars(
            select(Rendition.path).where(Rendition.record_id == record, Rendition.path.is_not(None))
        )
        needed = {(service.settings.data / path).parent for path in paths if path}
    if row is None:  # deleted
        return sys.maxsize, needed
    status, attempt = row
    if status == "running":
        needed.add(data_folder.attempt_folder(service.settings.data, record, attempt))
    return attempt, needed


def _sweep_segments(service: Service, now: datetime) -> None:
    """Remove collected files that no row knows, once they are old enough not to be new."""
    data = service.settings.data
    with reading(service.engine) as session:
        known = {data / path for path in session.scalars(select(Segment.path))}
        for media in session.scalars(
            select(Record.media).where(
                needs_media(now, now - service.settings.keep_segments),
                Record.media.is_not(None),
            )
        ):  # of which a newer one has come meanwhile
            known |= {data / kept.path for kept in kept_segments(media)}
    known |= {sidecar_path(path) for path in known}
    for path in data_folder.segments_folder(data).glob("*/[!.]*"):
        if path in known or not path.is_file():
            continue
        if _is_old(path, now):
            log.info("removed %s, which no record knows", path)
            _remove(path)


def _sweep_pictures(service: Service) -> None:
    """Remove the last pictures of sources that no longer exist."""
    pictures = list(thumbnails.thumbnails_folder(service.settings).glob("*.jpg"))
    # Read after that: one that was added meanwhile is known.
    with reading(service.engine) as session:
        ids = session.scalars(select(Source.id)).all()
    known = {thumbnails.picture_path(service.settings, source) for source in ids}
    for path in pictures:
        if path not in known:
            _remove(path)


def _is_old(path: Path, now: datetime) -> bool:
    """Return whether something that no row knows is too old to be of this very moment."""
    try:
        changed = datetime.fromtimestamp(path.stat().st_ctime, now.tzinfo)
    except FileNotFoundError:
        return False
    return now - changed > _UNKNOWN_FOR


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s cannot be removed: %s", path, error.strerror)

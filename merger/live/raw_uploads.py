"""Uploads what cameras sent, as it was recorded, and all views of meetings, for rooms set up so.

Each file goes once: it has a row, `pending`, before anything is sent, and is `uploaded` when it is
there. After a crash in between the destination finds what has arrived. A sidecar goes before its
media, as everywhere. Until then the media is not removed here.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from filelock import FileLock, Timeout
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from merger.db.engine import reading, writing
from merger.errors import MergerError, Refused, Temporary
from merger.failpoints import failpoint
from merger.i18n import Message
from merger.live.recordings import list_recordings
from merger.media.sidecar import sidecar_path
from merger.ports.destination import RawDestination
from merger.ports.recorder import HasViews
from merger.service import Service
from merger.storage.copying import never_cancelled, sha256_of
from merger.storage.files import translate_write_errors
from merger.timeline.zones import zone_named
from models import Room, Segment, Source, Upload

log = logging.getLogger(__name__)

# The housekeeping has more to do, and is ended after an hour.
_BEGINS_FOR_S = 1200.0
_SETTLED = ("uploaded", "refused")


@dataclass(frozen=True)
class _File:
    """A file to be uploaded: media, or its sidecar. media: the path of the media in any case.

    sha256: None where it is not known yet. name: what it is to be called.
    """

    path: Path
    media: Path
    source: int
    room: str
    day: date
    start: datetime
    sha256: str | None
    name: str


def upload_raw_segments(service: Service, now: datetime) -> None:
    """Upload what is complete and has not been uploaded yet, the oldest first.

    A failure with one file is a line of the log, and none of the others waits for it.
    """
    if not service.raw_destinations or not _is_wanted(service.engine):
        return  # no room is set up so
    begun_s, logged = time.monotonic(), set[Message]()
    with _lock(service.settings.data) as is_ours:
        if not is_ours:
            return  # another daemon of this data folder is at it
        for destination, file in _due_files(service):
            if time.monotonic() - begun_s > _BEGINS_FOR_S:
                break
            try:
                _upload(service.engine, destination, file, now)
            except MergerError as error:
                if error.message not in logged:  # of a share that is away, it is the same each time
                    log.warning("%s is not uploaded yet: %s", file.path.name, error.message)
                logged.add(error.message)


def waiting_uploads(service: Service) -> set[Path]:
    """Return the media that is still to be uploaded."""
    return {file.media for _, file in _due_files(service)}


def _due_files(service: Service) -> list[tuple[RawDestination, _File]]:
    both = (*_list_files(service), *_list_views(service))
    files = sorted(both, key=lambda file: file.start)
    due: list[tuple[RawDestination, _File]] = []
    for destination in service.raw_destinations:
        settled = _settled_names(service.engine, destination.name, files)
        due += [(destination, file) for file in files if (file.source, file.name) not in settled]
    return due


def _list_files(service: Service) -> Iterator[_File]:
    """Yield all that is complete of rooms that are set up so: each sidecar, then its media."""
    sources = _raw_sources(service.engine) if service.raw_destinations else {}
    if not sources:
        return
    for recording in list_recordings(service.settings.recorded):
        number = recording.source
        if number is None or number not in sources:
            continue
        room, zone = sources[number]
        start = recording.span.start
        for path, sha256 in (
            (sidecar_path(recording.path), None),
            (recording.path, recording.sha256),
        ):
            day = start.astimezone(zone).date()
            yield _File(path, recording.path, number, room, day, start, sha256, path.name)


def _is_wanted(engine: Engine) -> bool:
    with reading(engine) as session:
        wanted = select(Room.id).where(Room.uploads_raw | Room.archives)
        return session.scalar(wanted.limit(1)) is not None


def _list_views(service: Service) -> Iterator[_File]:
    """Yield all views that were collected of rooms that archive them: each sidecar, then a view."""
    if not service.raw_destinations:
        return
    with reading(service.engine) as session:
        rows = session.execute(
            select(Segment, Source.kind, Room.name, Room.zone)
            .join(Source, Source.id == Segment.source_id)
            .join(Room, Room.id == Source.room_id)
            .where(Room.archives, Segment.path.is_not(None))
        ).all()
    for segment, kind, room, zone in rows:
        recorder = service.recorder_of(kind)
        media = service.settings.data / (segment.path or "")
        if not isinstance(recorder, HasViews) or not media.is_file():
            continue
        local = segment.start_at.astimezone(zone_named(zone))
        mark = hashlib.sha256(segment.origin.encode()).hexdigest()[:6]
        stem = f"{local:%Y-%m-%d_%H-%M-%S}_{recorder.view_of(segment.origin)}_{mark}"
        final = Path(f"{stem}{media.suffix}")
        for path, name in ((sidecar_path(media), sidecar_path(final).name), (media, final.name)):
            if path.is_file():
                yield _File(
                    path, media, segment.source_id, room, local.date(), segment.start_at, None, name
                )


def _raw_sources(engine: Engine) -> dict[int, tuple[str, ZoneInfo]]:
    """Return the rooms whose segments are uploaded, with their zones, by number of source."""
    found = {}
    with reading(engine) as session:
        rows = session.execute(
            select(Source.id, Room.name, Room.zone).join(Room.sources).where(Room.uploads_raw)
        ).all()
    for number, room, zone in rows:
        try:
            found[number] = room, zone_named(zone)
        except Refused:
            continue  # `app.py check` says so
    return found


def _settled_names(
    engine: Engine, destination: str, files: Iterable[_File]
) -> set[tuple[int, str]]:
    """Return the files that need nothing any more, by source and name."""
    names: dict[int, list[str]] = {}
    for file in files:
        names.setdefault(file.source, []).append(file.name)
    found = set()
    with reading(engine) as session:
        for source, of_source in names.items():
            settled = session.scalars(
                select(Upload.name).where(
                    Upload.source_id == source,
                    Upload.destination == destination,
                    Upload.name.in_(of_source),
                    Upload.status.in_(_SETTLED),
                )
            )
            found |= {(source, name) for name in settled}
    return found


def _upload(engine: Engine, destination: RawDestination, file: _File, now: datetime) -> None:
    """Upload one file. Raises Temporary or Broken, after which it is tried again."""
    row = _Row(engine, file.source, destination.name, file.name)
    state = row.reserve()
    failpoint("raw.reserved")
    try:
        sha256 = file.sha256 or _hash(file.path)
        try:
            link = destination.put(
                file.path, file.room, file.day, file.name, sha256, state, row.keep
            )
        except Temporary as error:
            if error.code == "copy" and _hash(file.path) != sha256:
                key = "live.not_as_in_sidecar"
                raise Refused("upload", key, file=str(file.path)) from error
            raise
    except Refused as error:
        log.error("%s is not uploaded: %s", file.path.name, error.message)
        row.update(status="refused", error_message=error.message)
        return
    except MergerError as error:
        row.update(error_message=error.message)
        raise
    failpoint("raw.sent")
    row.update(status="uploaded", sha256=sha256, link=link, uploaded_at=now, error_message=None)
    failpoint("raw.written")


@dataclass(frozen=True)
class _Row:
    """The row of a file at a destination."""

    engine: Engine
    source: int
    destination: str
    name: str

    def reserve(self) -> Mapping[str, Any]:
        """Write down that the file is going there; return what the destination needs to go on."""

        def write(session: Session) -> Mapping[str, Any]:
            row = self._of(session)
            if row is None:
                row = Upload(
                    source_id=self.source, destination=self.destination, name=self.name, state={},
                    status="pending",
                )  # fmt: skip
                session.add(row)
            return dict(row.state)

        return writing(self.engine, write)

    def keep(self, state: Mapping[str, Any]) -> None:
        """Write down what the destination needs to go on after a crash."""
        self.update(state=dict(state))

    def update(self, **values: Any) -> None:
        """Change the row, if it is still there: the source may be gone."""

        def write(session: Session) -> None:
            row = self._of(session)
            if row is not None:
                for name, value in values.items():
                    setattr(row, name, value)

        writing(self.engine, write)

    def _of(self, session: Session) -> Upload | None:
        return session.scalars(
            select(Upload).where(
                Upload.source_id == self.source,
                Upload.destination == self.destination,
                Upload.name == self.name,
            )
        ).one_or_none()


def _hash(path: Path) -> str:
    with translate_write_errors(path.parent):
        return sha256_of(path, never_cancelled)


@contextmanager
def _lock(data: Path) -> Iterator[bool]:
    """Hold the lock of the uploads of a data folder; yield whether it was free."""
    lock = FileLock(data / "uploads.lock", blocking=False)
    with translate_write_errors(data):
        try:
            lock.acquire()
        except Timeout:
            is_free = False
        else:
            is_free = True
    try:
        yield is_free
    finally:
        lock.release()

"""Uploading what cameras sent, as it was recorded, for rooms that want that.

Each file goes once: it has a row, `pending`, before anything is sent, and is `uploaded` when it is
there. After a crash in between the destination finds what has arrived. A sidecar goes before its
media, as everywhere. Until then the media is not removed here.
"""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from merger.db.engine import reading, writing
from merger.errors import MergerError, Refused, Temporary
from merger.failpoints import failpoint
from merger.i18n import Message
from merger.live.recordings import list_recordings
from merger.media.sidecar import sidecar_path
from merger.ports.destination import RawDestination
from merger.service import Service
from merger.storage.copying import never_cancelled, sha256_of
from merger.storage.files import translate_write_errors
from merger.timeline.zones import zone_named
from models import Room, Source, Upload

log = logging.getLogger(__name__)

# Whoever keeps house has more to do, and is ended after an hour.
_BEGINS_FOR_S = 1200.0
_SETTLED = ("uploaded", "refused")


@dataclass(frozen=True)
class _File:
    """A file to be uploaded: media, or its sidecar. media: the path of the media in any case.

    sha256: None where nobody has said it.
    """

    path: Path
    media: Path
    source: int
    room: str
    day: date
    start: datetime
    sha256: str | None


def upload_raw_segments(service: Service, now: datetime) -> None:
    """Upload what is complete and has not been uploaded yet, the oldest first.

    What goes wrong with one file is a line of the log, and none of the others waits for it.
    """
    if not service.raw_destinations or not _sources(service.engine):
        return  # no room wants that
    begun_s, said = time.monotonic(), set[Message]()
    with _alone(service.settings.data) as is_alone:
        if not is_alone:
            return  # another daemon of this data folder is at it
        for destination, file in _due(service):
            if time.monotonic() - begun_s > _BEGINS_FOR_S:
                break
            try:
                _upload(service.engine, destination, file, now)
            except MergerError as error:
                if error.message not in said:  # of a share that is away, it is the same each time
                    log.warning("%s is not uploaded yet: %s", file.path.name, error.message)
                said.add(error.message)


def waiting_uploads(service: Service) -> set[Path]:
    """Return the media that is to be uploaded, and has not been yet."""
    return {file.media for _, file in _due(service)}


def _due(service: Service) -> list[tuple[RawDestination, _File]]:
    files = sorted(_files(service), key=lambda file: file.start)
    found: list[tuple[RawDestination, _File]] = []
    for destination in service.raw_destinations:
        settled = _settled(service.engine, destination.name, files)
        found += [
            (destination, file) for file in files if (file.source, file.path.name) not in settled
        ]
    return found


def _files(service: Service) -> Iterator[_File]:
    """Yield all that is complete of rooms that want it: each sidecar, then its media."""
    known = _sources(service.engine) if service.raw_destinations else {}
    if not known:
        return
    for recording in list_recordings(service.settings.recorded):
        number = recording.source
        if number is None or number not in known:
            continue
        room, zone = known[number]
        start = recording.span.start
        for path, sha256 in (
            (sidecar_path(recording.path), None),
            (recording.path, recording.sha256),
        ):
            day = start.astimezone(zone).date()
            yield _File(path, recording.path, number, room, day, start, sha256)


def _sources(engine: Engine) -> dict[int, tuple[str, ZoneInfo]]:
    """Return rooms that have their segments uploaded, and their zones, by number of source."""
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


def _settled(engine: Engine, destination: str, files: Iterable[_File]) -> set[tuple[int, str]]:
    """Return which files there is nothing to be done about, by source and name."""
    names: dict[int, list[str]] = {}
    for file in files:
        names.setdefault(file.source, []).append(file.path.name)
    found = set()
    with reading(engine) as session:
        for source, wanted in names.items():
            known = session.scalars(
                select(Upload.name).where(
                    Upload.source_id == source,
                    Upload.destination == destination,
                    Upload.name.in_(wanted),
                    Upload.status.in_(_SETTLED),
                )
            )
            found |= {(source, name) for name in known}
    return found


def _upload(engine: Engine, destination: RawDestination, file: _File, now: datetime) -> None:
    """Upload one file. Raises Temporary or Broken, after which it is tried again."""
    change = _Row(engine, file.source, destination.name, file.path.name)
    state = change.reserved()
    failpoint("raw.reserved")
    try:
        sha256 = file.sha256 or _hash(file.path)
        try:
            link = destination.put(
                file.path, file.room, file.day, file.path.name, sha256, state, change.keep
            )
        except Temporary as error:
            if error.code == "copy" and _hash(file.path) != sha256:
                key = "live.not_as_in_sidecar"
                raise Refused("upload", key, file=str(file.path)) from error
            raise
    except Refused as error:
        log.error("%s is not uploaded: %s", file.path.name, error.message)
        change.to(status="refused", error_message=error.message)
        return
    except MergerError as error:
        change.to(error_message=error.message)
        raise
    failpoint("raw.sent")
    change.to(status="uploaded", sha256=sha256, link=link, uploaded_at=now, error_message=None)
    failpoint("raw.written")


@dataclass(frozen=True)
class _Row:
    """The row of a file at a destination."""

    engine: Engine
    source: int
    destination: str
    name: str

    def reserved(self) -> Mapping[str, Any]:
        """Write down that the file is going there; return what the destination has kept."""

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
        self.to(state=dict(state))

    def to(self, **values: Any) -> None:
        """Change the row, where it is still there: the source may be gone."""

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
def _alone(data: Path) -> Iterator[bool]:
    """Hold the lock of the uploads of a data folder; yield whether it was free."""
    with translate_write_errors(data):
        file = (data / "uploads.lock").open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True

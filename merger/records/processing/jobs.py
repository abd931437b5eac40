"""What a record asks for, as its row and its room have it; nothing of it has been checked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from models import Occurrence, Record, RecordMedia, Series, Source


@dataclass(frozen=True)
class SourceRow:
    """A source of a room, as it is configured."""

    id: int
    name: str
    role: str
    kind: str
    address: str
    credentials: str | None


@dataclass(frozen=True)
class Job:
    """All that a worker needs to know of a record.

    Attributes:
        tries: failures in a row.
        media: what it is made of, as far as that was collected.
        users: mail addresses, the owner's first; without those who are still to confirm.
        drive_folder: of the series that the record is of, or of the room.
        archives: whether all views of what was recorded are kept.
        delivers_captions: whether the captions of its video are delivered, too.
        calendar_id, event_id: of the event that it was requested for.
        decide: when the right-hand side switches.
        both_after_s: after so long that a slide stands, the board is shown with it while somebody
            writes; None: never.
        is_outdated: what was delivered does not show the latest texts yet, or file name.
    """

    record: int
    room_id: int | None
    room: str | None
    zone: str
    start: datetime
    end: datetime
    name: str
    layout: str
    profile: str
    chunk_s: int
    sound_source: str | None
    sources: tuple[SourceRow, ...]
    stage: str
    tries: int
    version: int
    delivered_version: int | None
    media: RecordMedia
    users: tuple[str, ...] = ()
    drive_folder: str | None = None
    delivers_captions: bool = False
    archives: bool = False
    calendar_id: str | None = None
    event_id: str | None = None
    course_code: str | None = None
    description: str = ""
    is_outdated: bool = False
    decide: str = "instant"
    both_after_s: int | None = None

    @property
    def shown_texts(self) -> tuple[str, str, str | None]:
        """What destinations show of it, and announcements."""
        return self.name, self.description, self.course_code


def job_from_row(session: Session, row: Record) -> Job:
    """Return what is to be done for the record of a row."""
    room = row.room
    sources: tuple[SourceRow, ...] = ()
    if room is not None:
        rows = session.scalars(
            select(Source)
            .where(Source.room_id == room.id)
            .options(undefer(Source.credentials))
            .order_by(Source.id)
        )
        sources = tuple(
            SourceRow(s.id, s.name, s.role, s.kind, s.address, s.credentials) for s in rows
        )
    return Job(
        record=row.id,
        room_id=row.room_id,
        room=room.name if room else None,
        zone=row.zone,
        start=row.start_at,
        end=row.end_at,
        name=row.event_name,
        layout=row.layout,
        profile=row.profile,
        chunk_s=room.chunk_s if room else 1800,
        decide=room.decide if room else "instant",
        both_after_s=room.both_after_s if room and room.shows_both else None,
        sound_source=room.sound_source if room else None,
        sources=sources,
        stage=row.stage,
        tries=row.tries,
        version=row.version,
        delivered_version=row.delivered_version,
        media=row.media or {},
        users=tuple(entry.user.email for entry in row.users if entry.user.is_confirmed),
        drive_folder=_folder_of_series(session, row) or (room.drive_folder if room else None),
        delivers_captions=room.papers if room else False,
        archives=room.archives if room else False,
        calendar_id=row.event_link.calendar_id if row.event_link else None,
        event_id=row.event_link.event_id if row.event_link else None,
        course_code=row.course_code,
        description=row.description or "",
        is_outdated=row.is_outdated,
    )


def _folder_of_series(session: Session, row: Record) -> str | None:
    """Return the folder in Drive of the series that a record is of, of several the first's."""
    wanted = (
        select(Series.drive_folder)
        .join(Occurrence, Occurrence.series_id == Series.id)
        .where(Occurrence.record_id == row.id, Series.drive_folder.is_not(None))
        .order_by(Occurrence.id)
    )
    return session.scalar(wanted.limit(1))

"""For how many days the disks suffice: by what was written lately, or by what is requested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, func, select
from sqlalchemy.orm import Session

from merger.config import Settings
from merger.db.engine import reading
from merger.i18n import Message
from merger.storage.disk_space import Disk
from models import Record, Rendition, Segment

FEW_DAYS = 3
_LOOKED_BACK, _AHEAD = timedelta(days=14), timedelta(days=FEW_DAYS)
_DAY = timedelta(days=1)
_PLENTY = 365  # days
# Of an hour of a lecture: media of three sources and the videos; and the videos alone.
_DATA_BYTES_PER_HOUR, _OUTPUT_BYTES_PER_HOUR = 5e9, 1.5e9


@dataclass(frozen=True)
class Pace:
    """How many bytes a day fills, by what the disk is for.

    is_measured: over the last two weeks; else it is estimated from what is requested.
    """

    per_day: Mapping[str, float]
    is_measured: bool


def read_pace(engine: Engine, settings: Settings, now: datetime) -> Pace:
    """Return how fast lectures fill the disks; the cache keeps itself within its own limit."""
    since = now - _LOOKED_BACK
    with reading(engine) as session:
        videos, first_video = session.execute(
            select(func.sum(Rendition.size_bytes), func.min(Rendition.made_at))
            .join(Record, Record.id == Rendition.record_id)
            # Of which there is an index: what was made lately belongs to what changed lately.
            .where(Record.updated_at >= since, Rendition.made_at >= since)
        ).one()
        media, first_media = session.execute(
            select(func.sum(Segment.size_bytes), func.min(Segment.collected_at)).where(
                Segment.collected_at >= since
            )
        ).one()
        begun = min([at for at in (first_video, first_media) if at is not None], default=None)
        if begun is None:
            hours = _requested_hours(session, now) / FEW_DAYS
            return Pace(
                {"data": hours * _DATA_BYTES_PER_HOUR, "output": hours * _OUTPUT_BYTES_PER_HOUR},
                is_measured=False,
            )
        removed = _to_be_removed(session, settings, now)
    days = max((now - begun) / _DAY, 1.0)
    data = (float(videos or 0) + float(media or 0)) / days - removed / FEW_DAYS
    return Pace({"data": max(data, 0.0), "output": float(videos or 0) / days}, is_measured=True)


def days_left(disks: Mapping[str, Disk | Message], pace: Pace) -> dict[str, float]:
    """Return for how many days each disk suffices; those that nothing fills are left out. Pure."""
    known = {name: disk for name, disk in disks.items() if isinstance(disk, Disk)}
    per_day: dict[int, float] = {}  # what is on one disk fills it together
    for name, disk in known.items():
        per_day[disk.number] = per_day.get(disk.number, 0.0) + pace.per_day.get(name, 0.0)
    return {
        name: disk.room / per_day[disk.number]
        for name, disk in known.items()
        if per_day[disk.number] > 0 and name in pace.per_day
    }


def shown_days(days: float) -> int:
    """Return a number of days for people. Pure."""
    return max(1, int(days))


def is_plenty(days: float) -> bool:
    """Return whether a disk suffices for so long that the number of days says nothing. Pure."""
    return days >= _PLENTY


def _to_be_removed(session: Session, settings: Settings, now: datetime) -> float:
    """Return how many bytes housekeeping will remove within the days that are looked ahead."""
    soon = now + _AHEAD
    removed = _total(
        session, Segment.size_bytes, Segment.collected_at < soon - settings.keep_segments
    )
    if settings.keep_videos:
        expires = Rendition.made_at < soon - settings.keep_videos
        removed += _total(session, Rendition.size_bytes, expires & Rendition.path.is_not(None))
    return removed


def _total(session: Session, size: Any, condition: ColumnElement[bool]) -> float:
    return float(session.scalar(select(func.sum(size)).where(condition)) or 0)


def _requested_hours(session: Session, now: datetime) -> float:
    rows = session.execute(
        select(Record.start_at, Record.end_at).where(
            Record.status == "queued", Record.start_at >= now, Record.start_at < now + _AHEAD
        )
    )
    return sum((end - start) / timedelta(hours=1) for start, end in rows)

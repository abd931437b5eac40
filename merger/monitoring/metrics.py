"""The state of the service in numbers and words, for those who watch it.

They name no lecture, person, folder or host, and rooms only where they are about its sources.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select

from merger.config import Settings
from merger.db import schema
from merger.db.engine import reading
from merger.errors import MergerError
from merger.i18n import Message
from merger.live import source_status
from merger.live.source_status import Flow
from merger.monitoring import destinations, heartbeats
from merger.storage.disk_space import Disk, disk_of
from models import STATUSES, Notification, Record, Room, Source

_OK, _UNKNOWN = Message("monitoring.ok"), Message("monitoring.unknown")
# A daemon gives a sign at its passes. Several may be missed while the database is busy.
_SILENT_PASSES = 3
_SILENT_FOR = timedelta(minutes=1)
_LAST_ENCODES, _NEWEST = 10, 200  # of those that changed last
# What ended well is nearly everything, and counted in an index alone.
_NOT_DELIVERED = tuple(status for status in STATUSES if status != "delivered")
_NOT_SENT = ("pending", "sending", "unknown", "failed")
_DISK_ANSWERS_WITHIN_S = 2.0


@dataclass(frozen=True)
class Vitals:
    """What the database says.

    due: how many records wait for a worker. oldest_due_s: how long the one that waits longest has
    been due. silence_s: how long ago a daemon gave its last sign of life, infinite where none ever
    did. speed: seconds of video that a second of encoding produces; None: none yet.
    """

    records: Mapping[tuple[str, str], int]  # by status and stage; delivered ones are in the last
    failures: Mapping[str, int]  # by code
    messages: Mapping[tuple[str, str], int]  # by channel and status, but for those that were sent
    due: int
    oldest_due_s: float
    silence_s: float
    speed: float | None

    def count(self, status: str) -> int:
        """Return how many records have a status."""
        return sum(n for (of, _), n in self.records.items() if of == status)


@dataclass(frozen=True)
class Readings:
    """All numbers of the service at an instant: `/metrics` gives them, the operator's page shows.

    flows: of sources that are to be recorded now, by room and source. disks: by what they are for.
    """

    at: datetime
    vitals: Vitals
    flows: Mapping[tuple[str, str], Flow]
    disks: Mapping[str, Disk | Message]


def read_all(engine: Engine, settings: Settings, looks: Disks, now: datetime) -> Readings:
    """Return all numbers of the service."""
    return Readings(
        now,
        read_vitals(engine, now),
        read_source_counts(engine, settings, now),
        disks(looks, settings),
    )


def read_vitals(engine: Engine, now: datetime) -> Vitals:
    """Return what the database says."""
    with reading(engine) as session:
        by_status = session.execute(
            select(Record.status, func.count()).group_by(Record.status)
        ).all()
        by_stage = session.execute(
            select(Record.status, Record.stage, func.count())
            .where(Record.status.in_(_NOT_DELIVERED))
            .group_by(Record.status, Record.stage)
        ).all()
        failures = session.execute(
            select(Record.error_code, func.count())
            .where(Record.status == "failed")
            .group_by(Record.error_code)
        ).all()
        messages = session.execute(
            select(Notification.channel, Notification.status, func.count())
            .where(Notification.status.in_(_NOT_SENT))
            .group_by(Notification.channel, Notification.status)
        ).all()
        due, oldest = session.execute(
            select(func.count(), func.min(Record.run_after)).where(
                Record.status == "queued", Record.run_after <= now
            )
        ).one()
        newest = (
            select(Record.id)
            .order_by(Record.updated_at.desc(), Record.id.desc())
            .limit(_NEWEST)
            .subquery()
        )
        reports = session.scalars(
            select(Record.report)
            .join(newest, newest.c.id == Record.id)
            .where(Record.status == "delivered", Record.report.is_not(None))
            .order_by(Record.updated_at.desc(), Record.id.desc())
            .limit(_LAST_ENCODES)
        ).all()
    records = {(status, stage): count for status, stage, count in by_stage}
    records |= {(s, "deliver"): count for s, count in by_status if s == "delivered"}
    return Vitals(
        records=records,
        failures={code or "unknown": count for code, count in failures},
        messages={(channel, status): count for channel, status, count in messages},
        due=due,
        oldest_due_s=_since(oldest, now) if oldest else 0.0,
        silence_s=_since(heartbeats.last_heartbeat(engine), now),
        speed=speed([json.loads(text) for text in reports if text]),
    )


def count_sent(engine: Engine) -> dict[str, int]:
    """Return how many notifications were sent, by channel; it reads all of them."""
    with reading(engine) as session:
        rows = session.execute(
            select(Notification.channel, func.count())
            .where(Notification.status == "sent")
            .group_by(Notification.channel)
        )
        return {str(channel): int(count) for channel, count in rows}


def read_source_counts(
    engine: Engine, settings: Settings, now: datetime
) -> dict[tuple[str, str], Flow]:
    """Return the flow of media of each source that is to be recorded now, by room and source."""
    flows = source_status.list_flows(settings, now)
    with reading(engine) as session:
        rows = session.execute(
            select(Source.id, Room.name, Source.name).join(Room).where(Source.id.in_(flows))
        ).all()
    return {(room, source): flows[number] for number, room, source in rows}


def speed(reports: Sequence[Mapping[str, Any]]) -> float | None:
    """Return how many seconds of video a second of encoding produced, over some reports. Pure."""
    media_s = spent_s = 0.0
    for report in reports:
        encode_s = report.get("timings", {}).get("encode", 0.0)
        lengths = [r["duration_s"] for r in report["renditions"] if r["kind"] == "merge"]
        if encode_s and lengths:
            media_s, spent_s = media_s + lengths[0], spent_s + encode_s
    return media_s / spent_s if spent_s else None


def _since(instant: datetime | None, now: datetime) -> float:
    # Clocks of two machines may differ a little: nothing happens in the future.
    return math.inf if instant is None else max(0.0, (now - instant).total_seconds())


class Disks:
    """Looks at disks without waiting for one that hangs, as a network share may for ever."""

    def __init__(self) -> None:
        self._looks: dict[Path, _Look] = {}

    def of(self, folder: Path, is_ours: bool) -> Disk | Message:
        """Return the disk of a folder, or what is wrong. is_ours: it is created where missing."""
        look = self._looks.get(folder)
        if look is None or not look.is_alive():
            look = self._looks[folder] = _Look(folder, is_ours)
            look.start()
        look.join(_DISK_ANSWERS_WITHIN_S)
        return look.found


class _Look(threading.Thread):
    """A look at a disk, which may never end."""

    def __init__(self, folder: Path, is_ours: bool) -> None:
        super().__init__(name="disk", daemon=True)
        self._folder, self._is_ours = folder, is_ours
        self.found: Disk | Message = Message("monitoring.silent")

    def run(self) -> None:
        try:
            is_there = self._is_ours or self._folder.is_dir()
            self.found = disk_of(self._folder) if is_there else Message("monitoring.not_mounted")
        except (MergerError, OSError):
            self.found = Message("monitoring.disk_unreadable")


def disks(looks: Disks, settings: Settings) -> dict[str, Disk | Message]:
    """Return the disks that need free space, by what they are for."""
    return {
        "data": looks.of(settings.data, is_ours=True),
        "cache": looks.of(settings.cache, is_ours=True),
        "output": looks.of(settings.destination, is_ours=settings.output is None),
    }


def readiness(
    engine: Engine, settings: Settings, found: Mapping[str, Disk | Message], now: datetime
) -> dict[str, Message]:
    """Return whether recordings can be requested and processed: ok or what is wrong, by what."""
    checks = {"database": _OK, "tables": _OK, "daemon": _UNKNOWN}
    try:
        schema.require_current(engine)
        checks["daemon"] = _daemon(settings, _since(heartbeats.last_heartbeat(engine), now))
        tried = destinations.results(engine, now)
        checks |= destinations.checks_of([result for result in tried if not result.is_remote])
    except MergerError as error:
        if error.code == "schema":
            checks["tables"] = Message("monitoring.other_tables")
        else:
            checks |= {"database": Message("monitoring.silent"), "tables": _UNKNOWN}
    for name, disk in found.items():
        checks[f"{name}_disk"] = _disk(disk)
    return checks


def is_ready(checks: Mapping[str, Message]) -> bool:
    return all(message == _OK for message in checks.values())


def _daemon(settings: Settings, silence_s: float) -> Message:
    if silence_s <= max(_SILENT_PASSES * settings.poll, _SILENT_FOR).total_seconds():
        return _OK
    if silence_s == math.inf:
        return Message("monitoring.no_daemon")
    return Message("monitoring.daemon_silent", seconds=round(silence_s))


def _disk(disk: Disk | Message) -> Message:
    if isinstance(disk, Message):
        return disk
    return _OK if disk.room else Message("monitoring.disk_full")

"""What an operator wants to see of the service at a glance: the numbers, and what is behind them.

Each question is asked of an index, or of few rows: the page asks every few seconds.
"""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload, selectinload

from merger.db import schema
from merger.db.engine import reading
from merger.errors import MergerError
from merger.i18n import Message
from merger.monitoring import destinations, heartbeats, integrity, metrics, space
from merger.monitoring.destinations import Result
from merger.monitoring.heartbeats import Heartbeat
from merger.monitoring.integrity import Verified
from merger.monitoring.metrics import Disks, Readings
from merger.records import outbox
from merger.records.views import summaries
from merger.render import ffmpeg
from merger.series.timetables.source_state import findings_of_sources
from merger.service import Service
from models import Record, RecordUser, Room, User

_WEEK = timedelta(days=7)
_MOST_RUNNING = 50
_MOST_LINKS = 5  # of one reason
_NEWEST_FAILED = 200  # in which the links are found
_OK = Message("monitoring.ok")


@dataclass(frozen=True)
class Running:
    """A record at work. speed: seconds of video that a second of work has produced so far."""

    record: Mapping[str, Any]
    worker: str
    claimed_at: datetime
    speed: float | None


@dataclass(frozen=True)
class FailedRecord:
    """A record that failed lately."""

    id: int
    name: str
    room: str
    at: datetime
    why: Message | None


@dataclass(frozen=True)
class Failures:
    """Records that failed in the last week for one reason. latest: the last few of them."""

    code: str
    count: int
    latest: Sequence[FailedRecord]


@dataclass(frozen=True)
class Problem:
    """Something that somebody should look at. what: a word. name: of the thing, if it has one."""

    what: str
    message: Message
    name: str = ""


@dataclass(frozen=True)
class Overview:
    """The service at an instant.

    days_left: of disks, by what they are for. channels: of notifications, that are set up.
    verified: the last time that everything was read; None: never.
    """

    readings: Readings
    problems: Sequence[Problem]
    running: Sequence[Running]
    failures: Sequence[Failures]
    days_left: Mapping[str, float]
    destinations: Sequence[Result]
    heartbeats: Sequence[Heartbeat]
    channels: Sequence[str]
    verified: Verified | None
    versions: Mapping[str, str]


def read_overview(service: Service, looks: Disks, now: datetime) -> Overview:
    """Return how the service is. Raises MergerError where the database is away."""
    engine, settings = service.engine, service.settings
    readings = metrics.read_all(engine, settings, looks, now)
    days_left = space.days_left(readings.disks, space.read_pace(engine, settings, now))
    found = destinations.results(engine, now)
    with reading(engine) as session:
        running, failures = _running(session), _failures(session, now - _WEEK)
    checks = metrics.readiness(engine, settings, readings.disks, now)
    return Overview(
        readings=readings,
        problems=[
            *_problems(checks, found, readings, days_left),
            *(
                Problem("timetable", why, source)
                for source, _, why in findings_of_sources(engine, settings)
                if why is not None
            ),
        ],
        running=running,
        failures=failures,
        days_left=days_left,
        destinations=found,
        heartbeats=heartbeats.list_heartbeats(engine),
        channels=outbox.channels(settings),
        verified=integrity.last_result(engine),
        versions={
            "python": platform.python_version(),
            "ffmpeg": _ffmpeg_version(settings.ffmpeg),
            "database": _database_version(service),
            "tables": schema.revision(engine),
        },
    )


def speed_of(record: Record) -> float | None:
    """Return how many seconds of video a second of work has produced; None while nobody knows."""
    if record.stage != "encode" or record.claimed_at is None or not record.progress:
        return None
    spent = record.updated_at - record.claimed_at
    length = record.end_at - record.start_at
    return record.progress * length / spent if spent > timedelta(seconds=1) else None


def _running(session: Session) -> list[Running]:
    rows = session.scalars(
        select(Record)
        .where(Record.status == "running")
        .order_by(Record.claimed_at, Record.id)
        .limit(_MOST_RUNNING)
        .options(
            joinedload(Record.room),
            selectinload(Record.users).joinedload(RecordUser.user).joinedload(User.confirmation),
        )
    ).all()
    return [
        Running(summary, row.claimed_by or "", row.claimed_at, speed_of(row))
        for row, summary in zip(rows, summaries(session, rows), strict=True)
        if row.claimed_at is not None
    ]


def _failures(session: Session, since: datetime) -> list[Failures]:
    """Return why records failed, the most frequent reason first."""
    lately = (Record.status == "failed", Record.updated_at >= since)
    counts = session.execute(
        select(Record.error_code, func.count()).where(*lately).group_by(Record.error_code)
    ).all()
    newest = session.execute(
        select(
            Record.error_code,
            Record.id,
            Record.event_name,
            Room.name,
            Record.updated_at,
            Record.error_message,
        )
        .outerjoin(Room, Room.id == Record.room_id)
        .where(*lately)
        .order_by(Record.updated_at.desc(), Record.id.desc())
        .limit(_NEWEST_FAILED)
    )
    latest: defaultdict[str | None, list[FailedRecord]] = defaultdict(list)
    for code, number, name, room, at, why in newest:
        if len(latest[code]) < _MOST_LINKS:
            latest[code].append(FailedRecord(number, name, room or "", at, why))
    found = [Failures(code or "unknown", count, latest[code]) for code, count in counts]
    return sorted(found, key=lambda failures: (-failures.count, failures.code))


def _problems(
    checks: Mapping[str, Message],
    found: Sequence[Result],
    readings: Readings,
    days_left: Mapping[str, float],
) -> list[Problem]:
    """Return what somebody should look at. Pure."""
    of_destinations = destinations.checks_of(found)
    problems = [
        Problem(what, message)
        for what, message in checks.items()
        if message != _OK and what not in of_destinations
    ]
    problems += [
        Problem("destination", result.message, result.destination)
        for result in found
        if not result.is_ok
    ]
    problems += [
        Problem(f"{name}_disk", Message("monitoring.days_left", count=space.shown_days(days)))
        for name, days in days_left.items()
        if days < space.FEW_DAYS and checks.get(f"{name}_disk") == _OK
    ]
    problems += [
        Problem("source", Message("monitoring.sends_nothing"), f"{room}, {source}")
        for (room, source), flow in readings.flows.items()
        if flow.how != "coming"
    ]
    return problems


@lru_cache(maxsize=4)  # it starts a program, and stays what it is until the service starts again
def _ffmpeg_version(path: str) -> str:
    try:
        return ffmpeg.find_tool(path or None).version
    except MergerError:
        return "?"


def _database_version(service: Service) -> str:
    dialect = service.engine.dialect
    version = ".".join(str(part) for part in dialect.server_version_info or ())
    is_mariadb = getattr(dialect, "is_mariadb", False)
    name = {"sqlite": "SQLite", "mysql": "MariaDB" if is_mariadb else "MySQL"}[dialect.name]
    return f"{name} {version}"

"""What the newest recording of a room says of its sources: of pictures that stand, of bad sound."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, func, or_, select

from merger.db.engine import reading
from merger.i18n import Message
from merger.timeline.report import warnings_of
from models import Record

_OF_SOURCES = (
    "timeline.frozen_camera", "timeline.frozen_screen", "timeline.hum", "timeline.clipped",
)  # fmt: skip


@dataclass(frozen=True)
class SourceWarning:
    """A warning of a record about one of its sources. start: of the record."""

    record: int
    start: datetime
    why: Message


def source_warnings(
    engine: Engine, rooms: Iterable[Mapping[str, Any]]
) -> dict[int, list[SourceWarning]]:
    """Return what is wrong with sources of some rooms, by their ids, as their last video shows."""
    listed = list(rooms)
    reports = _last_reports(engine, [room["id"] for room in listed])
    found: defaultdict[int, list[SourceWarning]] = defaultdict(list)
    for room in listed:
        if room["id"] not in reports:
            continue
        record, start, report = reports[room["id"]]
        for why in warnings_of(json.loads(report)):
            for source in room["sources"]:
                if _is_about(why, source["name"]):
                    found[source["id"]].append(SourceWarning(record, start, why))
    return dict(found)


def _is_about(why: Message, source: str) -> bool:
    """Return whether a warning is about a source: one with several roles is NAME/ROLE, too."""
    about = str(why.params.get("source", "")).partition("/")[0]
    return why.key in _OF_SOURCES and about == source


def _last_reports(engine: Engine, rooms: Sequence[int]) -> dict[int, tuple[int, datetime, str]]:
    """Return the newest delivered record of each room, where its report says such a thing."""
    delivered = (Record.room_id.in_(rooms), Record.status == "delivered")
    newest = (
        select(Record.room_id, func.max(Record.start_at).label("start_at"))
        .where(*delivered)
        .group_by(Record.room_id)
        .subquery()
    )
    rows = (
        select(Record.room_id, Record.id, Record.start_at, Record.report)
        .join(newest, (Record.room_id == newest.c.room_id) & (Record.start_at == newest.c.start_at))
        .where(*delivered, or_(*(Record.report.contains(key) for key in _OF_SOURCES)))
        .order_by(Record.id)
    )
    with reading(engine) as session:
        return {
            room: (record, start, report)
            for room, record, start, report in session.execute(rows)
            if room is not None and report is not None
        }

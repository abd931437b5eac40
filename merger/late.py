"""Media that comes after a merge with gaps: the record is made again, as a new version."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from merger import outcomes, versions
from merger.database import reading, writing
from merger.due import is_stable
from merger.errors import MergerError
from merger.queue import requeue, tell
from merger.sources import Found, Item
from merger.task import Service, Task, checked
from models import Record

log = logging.getLogger(__name__)


def look_for_late(service: Service, now: datetime) -> list[int]:
    """Queue delivered records again whose missing media has come; return which those were."""
    with reading(service.engine) as session:
        rows = session.scalars(
            select(Record)
            .where(Record.status.in_(("delivered", "failed")), Record.watched_until > now)
            .order_by(Record.id)
        )
        jobs = [outcomes.job_of(session, row) for row in rows]
    again = []
    for job in jobs:
        try:
            if _again(service, checked(service, job), now):
                again.append(job.record)
        except MergerError as error:
            log.info("record %s: no late media now: %s", job.record, error.message)
    return again


def _again(service: Service, task: Task, now: datetime) -> bool:
    found = {
        source.name: recorder.find(seen, task.request.span, now)
        for source, seen, recorder in task.sources
    }
    report = outcomes.report(service.engine, task.job.record)
    gaps = report.get("gaps", [])
    shown = task.request.sources.shown
    new = {
        # Of what is only heard, no gap is told: any media of it may be what is missing.
        name: missed(one, task.job.media, gaps if name in shown and report else None, name)
        for name, one in found.items()
    }
    if not any(new.values()):
        return False
    key = _key(found)
    settle = max(recorder.settle for _, _, recorder in task.sources)
    complete = not any(one.more_expected for one in found.values())
    names = ", ".join(name for name, items in new.items() if items)
    record, version = task.job.record, task.job.version

    def write(session: Session) -> bool:
        row = session.get(Record, record, with_for_update=True)
        if row is None or row.version != version or row.watched_until is None:
            return False
        if row.status not in ("delivered", "failed"):
            return False
        late = (row.media or {}).get("late", {})
        if late.get("made") == key:
            return False  # made with it already, and that failed
        since = datetime.fromisoformat(late["since"]) if late.get("key") == key else now
        if not complete and not is_stable(now - since, settle):
            seen_first = {"key": key, "since": since.isoformat()}
            row.media = {**(row.media or {}), "late": {**late, **seen_first}}
            return False
        if row.status == "delivered":
            versions.begin(session, row)
        row.media = {**(row.media or {}), "late": {"made": key}}
        requeue(row, now, now)
        tell(session, record, row.attempt, now, "late", f"media of {names} came late: made again")
        return True

    return writing(service.engine, write)


def missed(
    found: Found,
    media: Mapping[str, Any],
    gaps: Sequence[Mapping[str, str]] | None,
    source: str,
) -> list[Item]:
    """Return the items that a record was made without, and that lie where it has gaps. Pure.

    gaps: None where any item counts.
    """
    used = {(origin, mark) for origin, mark, *_ in media.get("items", {}).get(source, ())}
    spans = [
        (datetime.fromisoformat(gap["start"]), datetime.fromisoformat(gap["end"]))
        for gap in gaps or ()
        if gap["source"] == source
    ]
    return [
        item
        for item in found.items
        if item.settled
        and (item.origin, item.fingerprint) not in used
        and (
            gaps is None
            or any(
                item.start < end and (item.end is None or item.end > start) for start, end in spans
            )
        )
    ]


def _key(found: Mapping[str, Found]) -> str:
    text = json.dumps(
        {name: [(i.origin, i.fingerprint) for i in one.items] for name, one in found.items()},
        sort_keys=True,
    )
    return hashlib.sha256(text.encode()).hexdigest()

"""Media that comes after a merge with gaps: the record is made again, as a new version."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from merger.backoff import backoff
from merger.db.engine import reading, writing
from merger.errors import MergerError
from merger.i18n import Message
from merger.ports.recorder import Found, Item
from merger.records import versions
from merger.records.lookup import find_equal
from merger.records.processing import stage_results
from merger.records.processing.jobs import job_from_row
from merger.records.processing.queue import add_history, requeue
from merger.records.rules.due import WATCHED, is_stable
from merger.records.rules.retry import TRIES_BY_CODE
from merger.service import Service
from merger.worker.task import Task, resolve_task
from models import LateMedia, Record, RecordMedia

log = logging.getLogger(__name__)

_AWAY = Found((), more_expected=True)
_FIRST_PAUSE = timedelta(hours=1)
_PASSES = frozenset({*TRIES_BY_CODE, "no_media"})  # of what could not be reached, or collected


def find_late_media(service: Service, now: datetime) -> list[int]:
    """Queue delivered records again whose missing media has come; return which those were."""
    with reading(service.engine) as session:
        rows = session.scalars(
            select(Record)
            .where(Record.status.in_(("delivered", "failed")), Record.watched_until > now)
            .order_by(Record.id)
        )
        jobs = [job_from_row(session, row) for row in rows]
    queued = []
    for job in jobs:
        try:
            if _queue_again(service, resolve_task(service, job), now):
                queued.append(job.record)
        except MergerError as error:
            log.info("record %s: no late media now: %s", job.record, error.message)
    return queued


def _queue_again(service: Service, task: Task, now: datetime) -> bool:
    """Queue a record again if its missing media has come; return whether it was."""
    found = _find(task, now)
    new = _new_media(service, task, found)
    if not any(new.values()):
        return False
    key, missing = (_key(items) for items in ({n: f.items for n, f in found.items()}, new))
    settle = max(recorder.settle for _, _, recorder in task.sources)
    is_complete = not any(there.more_expected for there in found.values())
    record, version, room = task.job.record, task.job.version, task.job.room_id or 0

    def write(session: Session) -> bool:
        row = session.get(Record, record, with_for_update=True)
        if row is None or row.version != version or row.watched_until is None:
            return False
        if row.status not in ("delivered", "failed"):
            return False
        late = (row.media or {}).get("late", {})
        times = late.get("times", 1) if late.get("made") == missing else 0
        if times and not _is_for_another_try(row, late, times, now):
            return False
        since = datetime.fromisoformat(late["since"]) if late.get("key") == key else now
        if not is_complete and not times and not is_stable(now - since, settle):
            seen_first: LateMedia = {**late, "key": key, "since": since.isoformat()}
            row.media = {**(row.media or {}), "late": seen_first}
            return False
        if row.status == "failed" and find_equal(session, row, room, task.request.span) is not None:
            return False  # somebody has requested it anew: one video is enough
        if row.status == "delivered":
            versions.begin_version(session, row)
        sources = [name for name, items in new.items() if items]
        row.media = {
            **(row.media or {}),
            "late": {
                "made": missing, "times": times + 1, "at": now.isoformat(),
                "version": row.version, "of": sources,
            },
        }  # fmt: skip
        requeue(row, now, now)
        message = Message("history.late", sources=tuple(sources))
        add_history(session, record, row.attempt, now, "late", message)
        return True

    return writing(service.engine, write)


def _new_media(service: Service, task: Task, found: Mapping[str, Found]) -> dict[str, list[Item]]:
    """Return the media of each source that a record was made without, and that it lacks."""
    report = stage_results.load_report(service.engine, task.job.record)
    gaps, shown = report.get("gaps", []), task.request.sources.pictures
    return {
        # Of what is only heard, the report has no gap: any media of it may be what is missing.
        name: missing_sources(
            there, task.job.media, gaps if name in shown and report else None, name
        )
        for name, there in found.items()
    }


def _find(task: Task, now: datetime) -> dict[str, Found]:
    """Return what there is of each source. Raises where none can be reached.

    Of one that cannot there is nothing new, and more may come; the others do not wait for it.
    """
    found: dict[str, Found] = {}
    trouble: MergerError | None = None
    for source, port, recorder in task.sources:
        try:
            found[source.name] = recorder.find(port, task.request.span, now)
        except MergerError as error:
            trouble = error
    if trouble is not None and not found:
        raise trouble
    return {source.name: found.get(source.name, _AWAY) for source, _, _ in task.sources}


def _is_for_another_try(row: Record, late: LateMedia, times: int, now: datetime) -> bool:
    """Return whether a record is made again for media for which it was made before.

    That is so where the media could not be collected then, and nothing else went wrong: after an
    hour, then two, four: what can never be collected would give people videos without end.
    """
    if "at" not in late:
        return False
    was_delivered = (row.delivered_version or 0) >= late["version"]
    if not was_delivered and row.error_code not in _PASSES:
        return False
    return now - datetime.fromisoformat(late["at"]) >= backoff(times, _FIRST_PAUSE, WATCHED)


def missing_sources(
    found: Found,
    media: RecordMedia,
    gaps: Sequence[Mapping[str, str]] | None,
    source: str,
) -> list[Item]:
    """Return the items that a record was made without, and that lie where it has gaps. Pure.

    Args:
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


def _key(items: Mapping[str, Sequence[Item]]) -> str:
    """Return a name for some items of sources, as they are. Pure."""
    marks = {name: [(i.origin, i.fingerprint) for i in some] for name, some in items.items()}
    text = json.dumps(marks, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()

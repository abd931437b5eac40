"""The stage deliver: finished videos go to their destinations, and are announced."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from merger.delivery import ledger
from merger.delivery.announce import announce, links_of
from merger.delivery.deliver import deliver
from merger.errors import Temporary
from merger.failpoints import failpoint
from merger.ports.announcer import Announcement
from merger.ports.destination import Placement, Upload
from merger.records import stage_results
from merger.records.due import WATCHED
from merger.storage import paths
from merger.storage.copying import sha256_of
from merger.storage.files import translate_write_errors
from merger.timeline.filenames import ENDINGS, result_stem
from merger.worker.work import Work

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """The videos of a version, the merge last, and what is told of it."""

    uploads: Sequence[Upload]
    report: Mapping[str, Any]


def load_finished(work: Work) -> Finished | None:
    """Return the videos that an earlier attempt has made; None where that is to be done.

    They may have waited for days: what is no longer what was made is made again, from its parts.
    """
    finished = _load(work) if work.task.job.stage == "deliver" else None
    for upload in finished.uploads if finished else ():
        with translate_write_errors(upload.path.parent):
            if sha256_of(upload.path, work.lease.check) != upload.sha256:
                log.warning(
                    "%s is no longer what was made: it is made again. Check the disk of the data"
                    " folder (MERGER_DATA)", upload.path,
                )  # fmt: skip
                return None
    return finished


def require_finished(work: Work) -> Finished:
    """Return the videos that were just made. Raises Temporary where they are not there any more."""
    finished = _load(work)
    if finished is None:
        folder = paths.record_folder(work.service.settings.data, work.lease.record)
        raise Temporary("renditions", "worker.videos_vanished", folder=str(folder))
    return finished


def _load(work: Work) -> Finished | None:
    job, request = work.task.job, work.task.request
    renditions, report = stage_results.load_finished(work.lease, job.version)
    stem = result_stem(request.name, request.room, request.span, request.zone)
    day = request.span.start.astimezone(request.zone).date()
    placement = Placement(request.room, job.drive_folder, day, job.users)
    uploads = []
    # The merge last: once it is there, everything is.
    for rendition in sorted(renditions, key=lambda r: r.kind == "merge"):
        path = work.service.settings.data / (rendition.path or "")
        if not path.is_file() or path.stat().st_size != rendition.size_bytes:
            return None
        uploads.append(
            Upload(
                rendition.version, rendition.kind, stem + ENDINGS[rendition.kind], path,
                rendition.size_bytes, rendition.sha256, placement,
            )
        )  # fmt: skip
    return Finished(uploads, report) if uploads else None


def deliver_everywhere(work: Work, finished: Finished) -> None:
    """Bring the videos of a record to all destinations, announce them, and end the record."""
    lease, destinations = work.lease, work.service.destinations
    for n, destination in enumerate(destinations):
        lease.progress = n / len(destinations)
        # A destination may ask the database, too: which folder of its own is whose.
        lease.retry_while_unreachable(partial(deliver, lease, destination, finished.uploads))
    _announce(work)
    until, report = work.task.due + WATCHED, finished.report
    has_gaps = report.get("gaps") or work.task.job.media.get("incomplete")
    watched = until if has_gaps and until > work.service.now() else None
    failpoint("deliver.all")
    ledger.complete_record(lease, watched, len(report.get("warnings", [])))
    failpoint("completed")


def _announce(work: Work) -> None:
    job, request, lease = work.task.job, work.task.request, work.lease
    names = [destination.name for destination in work.service.destinations]
    announcement = Announcement(
        job.record, job.version, request.name, request.room, request.span.start, request.span.end,
        request.zone, links_of(lease, names), job.calendar_id, job.event_id, job.course_code,
    )  # fmt: skip
    lease.retry_while_unreachable(
        partial(announce, lease, work.service.announcers, announcement, job.tries)
    )

"""The stage deliver: finished videos go to their destinations, and are announced."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from merger.delivery import ledger
from merger.delivery.announce import announce, links_of
from merger.delivery.deliver import deliver, rename
from merger.errors import Temporary
from merger.failpoints import failpoint
from merger.ports.announcer import Announcement
from merger.ports.destination import Placement, Upload
from merger.records.processing import stage_results
from merger.records.processing.jobs import Job
from merger.records.processing.leases import Lease
from merger.records.rules.due import WATCHED
from merger.records.versions import is_half_replaced
from merger.service import Service
from merger.storage import paths
from merger.storage.copying import sha256_of
from merger.storage.files import translate_write_errors
from merger.timeline.clock import Span
from merger.timeline.files.filenames import ENDINGS, VIDEOS, result_stem
from merger.timeline.report import Rendition
from merger.timeline.zones import zone_named
from merger.worker.work import Work
from models import Record

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """The videos of a version and their captions, the merge last, and what is told of it.

    Their names are of the data folder: what they are called elsewhere is decided when they go.
    """

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
    renditions, report = stage_results.load_finished(work.lease, work.task.job.version)
    placement = _placement(work)
    uploads = []
    # The merge last: once it is there, everything is.
    for rendition in sorted(renditions, key=lambda r: r.kind == "merge"):
        path = work.service.settings.data / (rendition.path or "")
        if not path.is_file() or path.stat().st_size != rendition.size_bytes:
            return None
        uploads.append(
            Upload(
                rendition.version, rendition.kind, path.name, path, rendition.size_bytes,
                rendition.sha256, placement,
            )
        )  # fmt: skip
    return Finished(uploads, report) if uploads else None


def deliver_everywhere(work: Work, finished: Finished) -> None:
    """Bring the videos of a record to all destinations, announce them, and end the record.

    Captions go with them where the room says so; what was there of them before goes where not.
    """
    lease, destinations, job = work.lease, work.service.destinations, work.task.job
    names = _file_names(job)  # people may have changed it while the videos were being made
    uploads = [
        replace(upload, name=names[upload.kind], description=job.description)
        for upload in finished.uploads
        if upload.kind in VIDEOS or job.delivers_captions
    ]
    for n, destination in enumerate(destinations):
        lease.progress = n / len(destinations)
        # A destination may ask the database, too: which folder of its own is whose.
        lease.retry_while_unreachable(partial(deliver, lease, destination, uploads))
    _announce(work.service, lease, job)
    until, report = work.task.due + WATCHED, finished.report
    has_gaps = report.get("gaps") or job.media.get("incomplete")
    watched = until if has_gaps and until > work.service.now() else None
    failpoint("deliver.all")
    ledger.complete_record(lease, watched, len(report.get("warnings", [])), job)
    failpoint("completed")


def captions_to_deliver(work: Work, captions: Sequence[Rendition]) -> list[Upload]:
    """Return captions of the version that was delivered as they go to destinations."""
    job, names = work.task.job, _file_names(work.task.job)
    return [
        Upload(
            job.version, one.kind, names[one.kind], one.path, one.size_bytes, one.sha256,
            _placement(work), description=job.description,
        )
        for one in captions
    ]  # fmt: skip


def _placement(work: Work) -> Placement:
    job, request = work.task.job, work.task.request
    day = request.span.start.astimezone(request.zone).date()
    return Placement(request.room, job.drive_folder, day, job.users)


def is_only_outdated(lease: Lease, job: Job) -> bool:
    """Return whether what was delivered of a record is whole, and only shows what was before."""
    return (
        job.is_outdated
        and job.version == job.delivered_version
        and not lease.read(
            lambda session: is_half_replaced(session, session.get_one(Record, job.record))
        )
    )


def update_everywhere(service: Service, lease: Lease, job: Job) -> None:
    """Give what was delivered of a record its latest name and texts, and end the record."""
    names = _file_names(job)
    for destination in service.destinations:
        lease.retry_while_unreachable(partial(rename, lease, destination, names, job.description))
    _announce(service, lease, job)
    failpoint("rename.all")
    ledger.complete_update(lease, job)


def _file_names(job: Job) -> dict[str, str]:
    """Return what the videos of a record are to be called, by kind."""
    stem = result_stem(job.name, job.room or "", Span(job.start, job.end), zone_named(job.zone))
    return {kind: stem + ending for kind, ending in ENDINGS.items()}


def _announce(service: Service, lease: Lease, job: Job) -> None:
    names = [destination.name for destination in service.destinations]
    announcement = Announcement(
        job.record, job.version, job.name, job.room or "", job.start, job.end,
        zone_named(job.zone), links_of(lease, names), job.calendar_id, job.event_id,
        job.course_code, job.description,
    )  # fmt: skip
    lease.retry_while_unreachable(
        partial(announce, lease, service.announcers, announcement, job.tries)
    )

"""What was said, and came after a record was delivered: captions of the video that there is."""

from __future__ import annotations

from dataclasses import replace

from merger.delivery import ledger
from merger.delivery.deliver import deliver_more
from merger.i18n import Message
from merger.records.processing import stage_results
from merger.records.processing.jobs import Job
from merger.records.processing.leases import Lease
from merger.service import Service
from merger.storage import paths
from merger.storage.files import make_folder, publish, work_folder
from merger.timeline.report import Rendition
from merger.worker.captions import write_captions
from merger.worker.collect import transcripts_of_sources
from merger.worker.deliver import captions_to_deliver
from merger.worker.task import resolve_task
from merger.worker.work import Work


def bring_late_captions(service: Service, lease: Lease, job: Job) -> None:
    """Collect what there is to read of a record now, and give its video captions of that.

    Whoever is interrupted does it again: the row says so until the record ends (`ledger`).

    Raises:
        MergerError: a source, or a destination, is away.
    """
    task = resolve_task(service, job)
    found = [one for _, load in transcripts_of_sources(service, lease, task) for one in load()]
    work = Work(service, lease, task)
    work.load(stage_results.save_transcripts(lease, found))
    settings = service.settings
    make_folder(settings.cache, "the cache folder (MERGER_CACHE)")
    with work_folder(settings.cache) as out:
        captions = _publish(work, write_captions(work, out))
    stage_results.save_captions(lease, settings.data, captions)
    if captions:
        ledger.add_note(lease, Message("history.late_captions"))
    for destination in service.destinations if job.delivers_captions else ():
        deliver_more(lease, destination, captions_to_deliver(work, captions))


def _publish(work: Work, captions: list[Rendition]) -> list[Rendition]:
    """Give captions names of this attempt alone."""
    folder = paths.attempt_folder(work.service.settings.data, work.lease.record, work.lease.attempt)
    published = []
    for caption in captions:
        work.lease.confirm()
        folder.mkdir(parents=True, exist_ok=True)
        final = folder / f"{caption.kind}{caption.path.suffix}"
        publish(caption.path, final)
        published.append(replace(caption, path=final))
    return published

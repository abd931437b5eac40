"""What was collected for a record, placed on the wall clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from merger.failpoints import failpoint
from merger.i18n import Message
from merger.worker.task import drop_empty_screen
from merger.worker.work import Work

if TYPE_CHECKING:
    from merger.media.library import Library
    from merger.worker.collect import CollectedMedia


def open_library(work: Work, collected: CollectedMedia) -> Library:
    """Return what was collected for a record, and keep a last picture of each source.

    A screen that is another source, too, and turned out to have nothing is no longer requested.

    Raises:
        NoMedia: nothing of it is of the record's span.
    """
    from merger.analysis import thumbnails
    from merger.render.renderer import require_media

    failpoint("collected")
    work.task = drop_empty_screen(work.task, {file.source for file in collected.files})
    library = _place(work, collected)
    require_media(work.task.request, library, work.service.settings)
    ids = {source.name: source.id for source, _, _ in work.task.sources}
    thumbnails.save_last_thumbnails(work.service.settings, ids, library)
    return library


def _place(work: Work, collected: CollectedMedia) -> Library:
    from merger.media.library import Candidate, Library, read_files
    from merger.media.sidecar import read_sidecar

    library = Library()
    candidates = []
    for file in collected.files:
        path = work.service.settings.data / file.path
        sidecar, complaint = read_sidecar(path)
        if complaint:
            library.warnings.append(
                Message("media.sidecar_not_used", file=file.origin, why=complaint)
            )
        start = sidecar.start or file.start
        candidates.append(Candidate(path, file.source, start, sidecar, file.origin))
    read_files(
        candidates, work.task.request.span, library,
        lambda done, total: work.lease.check(), repairs=work.repairs, are_ours=True,
    )  # fmt: skip
    sources = {file.source for file in collected.files}
    missing = [
        Message("worker.no_media_of_source", source=name)
        for name in work.task.request.sources.names
        if name not in sources
    ]
    library.warnings += [*missing, *collected.warnings]
    return library

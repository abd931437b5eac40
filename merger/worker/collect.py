"""The stage collect: what a record is made of is found, and brought into the data folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from merger.errors import Cancelled, MergerError, Temporary
from merger.failpoints import failpoint
from merger.i18n import Message
from merger.media.library import Candidate, Library, read_files, read_sidecar
from merger.ports.recorder import Collected, Found, HasTranscripts
from merger.records import stage_results
from merger.records.due import LOOK_AGAIN, PATIENCE, wait_until
from merger.records.queue import Claim
from merger.records.retry import waits_for_room
from merger.records.stage_results import KeptSegment, SourceRow
from merger.service import Service
from merger.storage import paths
from merger.storage.files import make_folder
from merger.worker.lease import Heart
from merger.worker.task import Task
from models import STAGES

# After so many failures in a row to reach one source, the others are merged without it.
_TRIES_OF_SOURCE = 5
_OURS = "the data folder (MERGER_DATA)"


class NotYet(Exception):
    """Media of the record may still appear."""

    def __init__(self, until: datetime, why: Message) -> None:
        super().__init__(why)
        self.until, self.why = until, why


@dataclass(frozen=True)
class CollectedMedia:
    """What a record is made of. warnings: in words, about what is missing."""

    files: tuple[KeptSegment, ...]
    warnings: tuple[str, ...]


def collected_before(service: Service, task: Task) -> CollectedMedia | None:
    """Return what an earlier attempt has collected for a record; None where that is to be done."""
    if STAGES.index(task.job.stage) <= STAGES.index("collect"):
        return None
    there = _brought(task.job.media)
    known, wanted = {one.source for one in there.files}, set(task.request.sources.names)
    if known - wanted and wanted - known:
        return None  # sources of the room were replaced, or have other names now
    whole = all((service.settings.data / one.path).is_file() for one in there.files)
    return there if there.files and whole else None


def collect_media(service: Service, held: Claim, heart: Heart, task: Task) -> CollectedMedia:
    """Collect what there is for a record, and write it down.

    Raises NotYet where more is to come, and Temporary for what may pass, such as a share that is
    away.
    """
    data, span = service.settings.data, task.request.span
    found, warnings = _found(service, heart, task)
    until = wait_until(found.values(), service.now(), task.due)
    if until is not None:
        names = [name for name, one in found.items() if one.more_expected]
        at = until.astimezone(task.request.zone)
        raise NotYet(
            until,
            Message("history.waits", sources=tuple(names), until=f"{at:%Y-%m-%d %H:%M}"),
        )
    collected: dict[str, list[Collected]] = {}
    for n, (source, seen, recorder) in enumerate(task.sources):
        if source.name not in found:
            continue
        heart.progress = n / len(task.sources)
        into = paths.source_folder(data, source.id)
        make_folder(into, _OURS)
        try:
            brought = recorder.collect(seen, span, into, service.now(), heart.should_stop)
        except Cancelled:
            raise
        except MergerError as error:
            others = (one for name, one in found.items() if name != source.name)
            if waits_for_room(error) or not any(one.items for one in others):
                raise
            warnings.append(_without(source, error, task))
            del found[source.name]  # more of it may come
            continue
        collected[source.name] = brought
        failpoint("collect.brought")
        warnings += _left_out(source, found[source.name], brought, task, service.now())
    ids = {source.name: source.id for source, _, _ in task.sources}
    papers, complaints = _papers(service, heart, task)
    warnings += complaints
    incomplete = [name for name in ids if name not in found or found[name].more_expected]
    heart.insist(
        lambda: stage_results.save_segments(
            service.engine, held, data, collected, ids, incomplete, service.now(), papers, warnings
        )
    )
    failpoint("collect.written")
    return _brought(heart.insist(lambda: stage_results.load_job(service.engine, held.record)).media)


def _brought(media: Mapping[str, Any]) -> CollectedMedia:
    return CollectedMedia(
        tuple(stage_results.kept_segments(media)), tuple(media.get("warnings", ()))
    )


def _found(service: Service, heart: Heart, task: Task) -> tuple[dict[str, Found], list[str]]:
    """Return what there is of each source that can be reached, and warnings about the others."""
    found: dict[str, Found] = {}
    warnings: list[str] = []
    refused: MergerError | None = None
    for source, seen, recorder in task.sources:
        heart.check()
        try:
            found[source.name] = recorder.find(seen, task.request.span, service.now())
        except Cancelled:
            raise
        except MergerError as error:
            warnings.append(_without(source, error, task))
            refused = refused if isinstance(error, Temporary) else error
            continue
        warnings += [f"{source.name}: {note}" for note in found[source.name].notes]
    is_last = wait_until(found.values(), service.now(), task.due) is None
    if refused and is_last and not any(one.items for one in found.values()):
        raise refused  # there is nothing else to make the record of
    if not found:
        raise Temporary("sources", "; ".join(warnings))
    return found, warnings


def _papers(
    service: Service, heart: Heart, task: Task
) -> tuple[dict[str, Sequence[str]], list[str]]:
    """Bring what there is to read beside the media, by source; without it, a video is made, too."""
    found: dict[str, Sequence[str]] = {}
    warnings: list[str] = []
    into = paths.transcripts_of(service.settings.data, task.job.record)
    for source, seen, recorder in task.sources:
        if not isinstance(recorder, HasTranscripts) or source not in task.job.sources:
            continue
        make_folder(into, _OURS)
        try:
            found[source.name] = recorder.collect_transcripts(
                seen, task.request.span, into, heart.should_stop
            )
        except Cancelled:
            raise
        except MergerError as error:
            warnings.append(f"{source.name}: what was written is not there: {error.message}")
    return found, warnings


def _left_out(
    source: SourceRow, found: Found, collected: Sequence[Collected], task: Task, now: datetime
) -> list[str]:
    """Return warnings about files that are there and could not be brought, if they may not come."""
    brought = {one.item.origin for one in collected}
    left = [item.origin for item in found.items if item.settled and item.origin not in brought]
    if left and now < task.due + PATIENCE:
        raise NotYet(
            now + LOOK_AGAIN,
            Message("history.cannot_collect_yet", files=tuple(left), source=source.name),
        )
    return [f"{origin} of {source.name} could not be brought" for origin in left]


def _without(source: SourceRow, error: MergerError, task: Task) -> str:
    """Return a warning that a source is done without. Raises the error while there is patience.

    There is none with what will not pass by itself, such as a password that was changed: others
    have their media, and when somebody has put it right, the record is made again with all.
    """
    late = task.job.media.get("late", {})
    is_why = late.get("version") == task.job.version and source.name in late.get("of", ())
    if isinstance(error, Temporary) and (is_why or task.job.tries < _TRIES_OF_SOURCE):
        raise error
    return f"source {source.name!r} could not be reached: {error.message}"


def place_collected(service: Service, heart: Heart, task: Task, brought: CollectedMedia) -> Library:
    """Return what was brought, placed on the wall clock."""
    library = Library()
    candidates = []
    for one in brought.files:
        path = service.settings.data / one.path
        sidecar, complaint = read_sidecar(path)
        if complaint:
            library.warnings.append(f"{one.origin}: {complaint}; its start is taken from its name")
        start = sidecar.start or one.start
        candidates.append(Candidate(path, one.source, start, sidecar, one.origin))
    read_files(
        candidates, task.request.span, library, lambda done, total: heart.check(), are_ours=True
    )
    for name in task.request.sources.names:
        if not any(one.source == name for one in brought.files):
            library.warnings.append(f"source {name!r} has no media for this record")
    library.warnings += brought.warnings
    return library

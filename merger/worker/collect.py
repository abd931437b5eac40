"""The stage collect: what a record is made of is found, and copied into the data folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from merger.errors import Cancelled, MergerError, Temporary
from merger.failpoints import failpoint
from merger.i18n import Message, from_json, sentences, verbatim
from merger.ports.recorder import Collected, Found, HasTranscripts, HasViews
from merger.records.processing import stage_results
from merger.records.processing.jobs import SourceRow
from merger.records.processing.leases import Lease
from merger.records.processing.stage_results import KeptSegment
from merger.records.rules.due import LOOK_AGAIN, PATIENCE, wait_until
from merger.records.rules.retry import waits_for_room
from merger.service import Service
from merger.storage import paths
from merger.storage.files import make_folder
from merger.timeline.captions import Transcript
from merger.worker.library import open_library
from merger.worker.task import Task
from merger.worker.work import Work
from models import STAGES, RecordMedia

if TYPE_CHECKING:
    from merger.media.library import Library

# After so many failures in a row to reach one source, the others are merged without it.
_TRIES_OF_SOURCE = 5
_OURS = "MERGER_DATA"


class NotYet(Exception):
    """Media of the record may still appear."""

    def __init__(self, until: datetime, why: Message) -> None:
        super().__init__(why)
        self.until, self.why = until, why


@dataclass(frozen=True)
class CollectedMedia:
    """What a record is made of. warnings: about what is missing."""

    files: tuple[KeptSegment, ...]
    warnings: tuple[Message, ...]


def collect(work: Work, _: None) -> Library:
    """Collect what there is for a record, and return it placed on the wall clock."""
    return open_library(work, collect_media(work.service, work.lease, work.task))


def load_collected(work: Work) -> Library | None:
    """Return what an earlier attempt has collected, placed; None where that is to be done."""
    collected = collected_before(work.service, work.task)
    return None if collected is None else open_library(work, collected)


def collected_before(service: Service, task: Task) -> CollectedMedia | None:
    """Return what an earlier attempt has collected for a record; None where that is to be done."""
    if STAGES.index(task.job.stage) <= STAGES.index("collect"):
        return None
    collected = _collected_media(task.job.media)
    sources, requested = {file.source for file in collected.files}, set(task.request.sources.names)
    if sources - requested and requested - sources:
        return None  # sources of the room were replaced, or have other names now
    is_whole = all((service.settings.data / file.path).is_file() for file in collected.files)
    return collected if collected.files and is_whole else None


def collect_media(service: Service, lease: Lease, task: Task) -> CollectedMedia:
    """Collect what there is for a record, and write it down.

    Raises:
        NotYet: more is to come.
        Temporary: what may pass, such as a share that is away.
    """
    data, span = service.settings.data, task.request.span
    found, warnings = _find(service, lease, task)
    _check_complete(service, task, found)
    collected: dict[str, Sequence[Collected]] = {}
    for n, (source, port, recorder) in enumerate(task.sources):
        if source.name not in found:
            continue
        lease.progress = n / len(task.sources)
        into = paths.source_folder(data, source.id)
        make_folder(into, _OURS)
        try:
            files = recorder.collect(port, span, into, service.now(), lease.should_stop)
        except Cancelled:
            raise
        except MergerError as error:
            others = (there for name, there in found.items() if name != source.name)
            if waits_for_room(error) or not any(there.items for there in others):
                raise
            warnings.append(_warning_without(source, error, task))
            del found[source.name]  # more of it may come
            continue
        collected[source.name] = files
        failpoint("collect.brought")
        warnings += _missing_files(source, found[source.name], files, task, service.now())
    if task.job.archives:
        warnings += _collect_views(service, lease, task)
    transcripts, complaints = _collect_transcripts(service, lease, task)
    ids = {source.name: source.id for source, _, _ in task.sources}
    media = stage_results.save_segments(
        lease, data, collected, ids, task.job.media,
        incomplete=[name for name in ids if name not in found or found[name].more_expected],
        transcripts=transcripts, warnings=[*warnings, *complaints],
    )  # fmt: skip
    failpoint("collect.written")
    return _collected_media(media)


def _collected_media(media: RecordMedia) -> CollectedMedia:
    """Return what a record is made of, from its row; old rows hold sentences as warnings."""
    warnings = tuple(from_json(stored) for stored in media.get("warnings", ()))
    return CollectedMedia(tuple(stage_results.kept_segments(media)), warnings)


def _find(service: Service, lease: Lease, task: Task) -> tuple[dict[str, Found], list[Message]]:
    """Return what there is of each source that can be reached, and warnings about the others."""
    found: dict[str, Found] = {}
    warnings: list[Message] = []
    refusal: MergerError | None = None
    for source, port, recorder in task.sources:
        lease.check()
        try:
            there = recorder.find(port, task.request.span, service.now())
        except Cancelled:
            raise
        except MergerError as error:
            warnings.append(_warning_without(source, error, task))
            refusal = refusal if isinstance(error, Temporary) else error
            continue
        found[source.name] = there
        warnings += [
            Message("worker.about_source", source=source.name, note=as_message(note))
            for note in there.notes
        ]
    is_last = wait_until(found.values(), service.now(), task.due) is None
    if refusal and is_last and not any(there.items for there in found.values()):
        raise refusal  # there is nothing else to make the record of
    if not found:
        raise Temporary("sources", sentences(warnings))
    return found, warnings


def _check_complete(service: Service, task: Task, found: Mapping[str, Found]) -> None:
    """Raise NotYet where more media is to be waited for."""
    until = wait_until(found.values(), service.now(), task.due)
    if until is None:
        return
    names = tuple(name for name, there in found.items() if there.more_expected)
    at = f"{until.astimezone(task.request.zone):%Y-%m-%d %H:%M}"
    raise NotYet(until, Message("history.waits", sources=names, until=at))


def _collect_views(service: Service, lease: Lease, task: Task) -> list[Message]:
    """Collect all views of what was recorded, for the archive; return warnings.

    Without them, a video is made all the same. They are uploaded by `merger.live.raw_uploads`.
    """
    warnings: list[Message] = []
    for source, port, recorder in task.sources:
        if not isinstance(recorder, HasViews) or source not in task.job.sources:
            continue
        into = paths.source_folder(service.settings.data, source.id)
        try:
            files = recorder.collect_views(port, task.request.span, into, lease.should_stop)
        except Cancelled:
            raise
        except MergerError as error:
            warnings.append(Message("worker.no_views", source=source.name, why=error.message))
        else:
            stage_results.save_views(lease, service.settings.data, source.id, files)
    return warnings


def _collect_transcripts(
    service: Service, lease: Lease, task: Task
) -> tuple[list[Transcript], list[Message]]:
    """Collect what there is to read beside the media; return it, and warnings.

    Without it, a video is made all the same.
    """
    there: list[Transcript] = []
    warnings: list[Message] = []
    for source, load in transcripts_of_sources(service, lease, task):
        try:
            there += load()
        except Cancelled:
            raise
        except MergerError as error:
            warnings.append(Message("worker.no_transcripts", source=source.name, why=error.message))
    return there, warnings


def transcripts_of_sources(
    service: Service, lease: Lease, task: Task
) -> Iterator[tuple[SourceRow, Callable[[], list[Transcript]]]]:
    """Yield the sources that have something to read, each with what collects that."""
    into = paths.transcripts_of(service.settings.data, task.job.record)
    for source, port, recorder in task.sources:
        if isinstance(recorder, HasTranscripts) and source in task.job.sources:
            make_folder(into, _OURS)
            span, stop = task.request.span, lease.should_stop
            yield source, partial(recorder.collect_transcripts, port, span, into, stop)


def _missing_files(
    source: SourceRow, found: Found, collected: Sequence[Collected], task: Task, now: datetime
) -> list[Message]:
    """Return warnings about files that are there and could not be collected.

    Raises NotYet while they may still come.
    """
    origins = {file.item.origin for file in collected}
    missing = [item.origin for item in found.items if item.settled and item.origin not in origins]
    if missing and now < task.due + PATIENCE:
        why = Message("history.cannot_collect_yet", files=tuple(missing), source=source.name)
        raise NotYet(now + LOOK_AGAIN, why)
    return [Message("worker.not_collected", file=origin, source=source.name) for origin in missing]


def _warning_without(source: SourceRow, error: MergerError, task: Task) -> Message:
    """Return a warning that a source is done without. Raises the error while there is patience.

    There is none with what will not pass by itself, such as a password that was changed: others
    have their media, and when somebody has put it right, the record is made again with all.
    """
    late = task.job.media.get("late", {})
    is_why = late.get("version") == task.job.version and source.name in late.get("of", ())
    if isinstance(error, Temporary) and (is_why or task.job.tries < _TRIES_OF_SOURCE):
        raise error
    return Message("worker.source_unreachable", source=source.name, why=error.message)


def as_message(text: Message | str) -> Message:
    """Return what a recorder or a library tells as a message."""
    return text if isinstance(text, Message) else verbatim(text)

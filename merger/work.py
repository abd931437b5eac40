"""One record from claim to end: collect, analyse, plan, encode, deliver.

Each stage writes its outcome down before the next begins (`outcomes`, `ledger`), so that another
worker can go on from there. Every write carries the fence (`queue.fenced`).
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from merger import ffmpeg, ledger, logs, outcomes, pictures, queue
from merger.announcing import News, announce, links
from merger.config import Settings
from merger.deciding import analysed
from merger.delivery import Parcel, Shelf, deliver
from merger.due import LOOK_AGAIN, PATIENCE, WATCHED, wait_until
from merger.errors import Broken, Cancelled, MergerError, NoMedia, Temporary
from merger.failpoints import reached
from merger.heart import Heart, beating
from merger.library import Candidate, Library, read_files, read_sidecar
from merger.making import made, usable
from merger.names import ENDINGS, result_stem
from merger.outcomes import Job, Kept, SourceRow
from merger.plan import EditPlan
from merger.progress import Silent
from merger.queue import Claim, LeaseLost
from merger.report import MergeResult, Rendition, plan_document, result_document
from merger.retry import again_at, waits_for_room
from merger.sources import Collected, Found, KeepsPapers
from merger.storage import make_folder, publish, translated, work_folder
from merger.surroundings import Surroundings, Watch
from merger.task import Service, Task, checked, without_empty
from models import STAGES

log = logging.getLogger(__name__)

# After so many failures in a row to reach one source, the others are merged without it.
_TRIES_OF_SOURCE = 5


class NotYet(Exception):
    """Media of the record may still appear."""

    def __init__(self, until: datetime, why: str) -> None:
        super().__init__(why)
        self.until = until


def work(service: Service, held: Claim, stopping: Callable[[], bool]) -> str:
    """Work on a claimed record until it ends or waits; return in one word what became of it."""
    heart = Heart(service.engine, held, service.now, service.settings.lease, stopping, _end_process)
    with beating(heart):
        try:
            outcome = _worked(service, held, heart)
        except LeaseLost:
            outcome = "lost"
        except MergerError as error:  # the database, and we are to stop: the lease will end
            log.warning("record %s is left as it is: %s", held.record, error.message)
            outcome = "left"
    log.info("record %s: %s", held.record, outcome)
    return outcome


def _end_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _worked(service: Service, held: Claim, heart: Heart) -> str:
    engine, now = service.engine, service.now
    task: Task | None = None
    try:
        job = heart.insist(lambda: outcomes.job(engine, held.record))
        task = checked(service, job)
        _stages(service, held, heart, task)
        return "delivered"
    except NotYet as waiting:
        until, why = waiting.until, str(waiting)
        heart.insist(lambda: queue.wait(engine, held, now(), until, why))
        return "waiting"
    except Cancelled:
        heart.check_lost()
        if heart.cancel_asked:
            heart.insist(lambda: queue.cancelled(engine, held, now()))
            return "cancelled"
        queue.hand_back(engine, held, now(), "handed back: the service is being stopped")
        return "handed back"
    except MergerError as error:
        return _failed(service, held, heart, task, error)
    except LeaseLost:
        raise
    except OSError as error:
        return _failed(service, held, heart, task, translated(error, service.settings.data))
    except MemoryError:
        short = Temporary("memory", "there was not enough memory")
        return _failed(service, held, heart, task, short)
    except Exception as error:  # the one place: a record never takes the service down with it
        log.exception("record %s: a mistake in this program", held.record)
        message = f"a mistake in this program: {type(error).__name__}: {error}; see its log"
        return _failed(service, held, heart, task, Broken("internal", message))


def _failed(
    service: Service, held: Claim, heart: Heart, task: Task | None, error: MergerError
) -> str:
    heart.check_lost()
    if waits_for_room(error):
        error = Temporary(error.code, f"{error.message}: the record goes on by itself")
    at = None
    if task is not None:
        # As they are now: a stage that was reached meanwhile has failed never yet.
        tries = heart.insist(lambda: outcomes.job(service.engine, held.record)).tries
        at = again_at(error, tries + 1, service.now(), task.due, task.request.zone, random.random())
    if at is None:
        level = logging.ERROR if isinstance(error, Broken) else logging.WARNING
        log.log(level, "record %s failed: %s", held.record, error.message)
        watched = task.due + WATCHED if task and isinstance(error, NoMedia) else None
        heart.insist(lambda: queue.fail(service.engine, held, service.now(), error, watched))
        return "failed"
    log.warning("record %s is put off until %s: %s", held.record, at.isoformat(), error.message)
    heart.insist(lambda: queue.put_off(service.engine, held, service.now(), at, error))
    return "put off"


def _stages(service: Service, held: Claim, heart: Heart, task: Task) -> None:
    ready = _renditions(service, heart, task) if task.job.stage == "deliver" else []
    if not ready:
        kept = _kept(service, task)
        warnings: list[str] = []
        if kept is None:
            kept, warnings = _collect(service, held, heart, task)
        reached("collected")
        _make(service, held, heart, task, kept, warnings)
        ready = _renditions(service, heart, task)
        if not ready:
            where = _folder(service.settings, task.job)
            raise Temporary("renditions", f"finished videos have vanished from {where}")
    _deliver(service, held, heart, task, ready)


def _enter(service: Service, held: Claim, heart: Heart, stage: str) -> None:
    heart.insist(lambda: queue.enter(service.engine, held, stage, service.now()))
    logs.about(stage=stage)
    reached(f"{stage}.entered")


def _kept(service: Service, task: Task) -> list[Kept] | None:
    """Return the files that were collected for a record before, or None to collect them."""
    if STAGES.index(task.job.stage) <= STAGES.index("collect"):
        return None
    kept = outcomes.kept_segments(task.job.media)
    there = all((service.settings.data / one.path).is_file() for one in kept)
    return kept if kept and there else None


def _collect(
    service: Service, held: Claim, heart: Heart, task: Task
) -> tuple[list[Kept], list[str]]:
    data, span = service.settings.data, task.request.span
    _enter(service, held, heart, "collect")
    found: dict[str, Found] = {}
    warnings: list[str] = []
    for source, seen, recorder in task.sources:
        heart.check()
        try:
            found[source.name] = recorder.find(seen, span, service.now())
        except Temporary as error:
            warnings.append(_without(source, error, task))
            continue
        warnings += [f"{source.name}: {note}" for note in found[source.name].notes]
    if not found:
        raise Temporary("sources", "; ".join(warnings))
    until = wait_until(found.values(), service.now(), task.due)
    if until is not None:
        names = [name for name, one in found.items() if one.more_expected]
        at = until.astimezone(task.request.zone)
        raise NotYet(until, f"waits for media of {', '.join(names)} until {at:%Y-%m-%d %H:%M}")
    collected: dict[str, list[Collected]] = {}
    for n, (source, seen, recorder) in enumerate(task.sources):
        if source.name not in found:
            continue
        heart.progress = n / len(task.sources)
        into = data / "segments" / str(source.id)
        make_folder(into, "the data folder (MERGER_DATA)")
        try:
            collected[source.name] = recorder.collect(
                seen, span, into, service.now(), heart.should_stop
            )
        except Temporary as error:
            if waits_for_room(error):
                raise
            warnings.append(_without(source, error, task))
            continue
        reached("collect.brought")
        warnings += _left_out(
            source, found[source.name], collected[source.name], task, service.now()
        )
    ids = {source.name: source.id for source, _, _ in task.sources}
    papers = _papers(service, heart, task, warnings)
    incomplete = [name for name in ids if name not in found or found[name].more_expected]
    heart.insist(
        lambda: outcomes.keep_segments(
            service.engine, held, data, collected, ids, incomplete, service.now(), papers
        )
    )
    reached("collect.written")
    media = heart.insist(lambda: outcomes.job(service.engine, held.record)).media
    return outcomes.kept_segments(media), warnings


def _papers(
    service: Service, heart: Heart, task: Task, warnings: list[str]
) -> dict[str, list[str]]:
    """Bring what there is to read beside the media, by source; without it, a video is made, too."""
    found: dict[str, list[str]] = {}
    into = _folder(service.settings, task.job) / "papers"
    for source, seen, recorder in task.sources:
        if not isinstance(recorder, KeepsPapers) or source not in task.job.sources:
            continue
        make_folder(into, "the data folder (MERGER_DATA)")
        try:
            found[source.name] = recorder.papers(seen, task.request.span, into, heart.should_stop)
        except Cancelled:
            raise
        except MergerError as error:
            warnings.append(f"{source.name}: what was written is not there: {error.message}")
    return found


def _left_out(
    source: SourceRow, found: Found, collected: Sequence[Collected], task: Task, now: datetime
) -> list[str]:
    """Return warnings about files that are there and could not be brought, if they may not come."""
    brought = {one.item.origin for one in collected}
    left = [item.origin for item in found.items if item.settled and item.origin not in brought]
    if left and now < task.due + PATIENCE:
        raise NotYet(now + LOOK_AGAIN, f"{', '.join(left)} of {source.name} cannot be brought yet")
    return [f"{origin} of {source.name} could not be brought" for origin in left]


def _without(source: SourceRow, error: Temporary, task: Task) -> str:
    """Return a warning that a source is done without. Raises the error while there is patience."""
    if task.job.tries < _TRIES_OF_SOURCE:
        raise error
    return f"source {source.name!r} could not be reached: {error.message}"


def _placed(service: Service, heart: Heart, task: Task, kept: Sequence[Kept]) -> Library:
    library = Library()
    candidates = []
    for one in kept:
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
        if not any(one.source == name for one in kept):
            library.warnings.append(f"source {name!r} has no media for this record")
    return library


class _StageTeller(Silent):
    """Writes down which stage a record is in, and how far."""

    def __init__(self, service: Service, held: Claim, heart: Heart) -> None:
        self._service, self._held, self._heart = service, held, heart
        self._entered: set[str] = set()

    def stage(self, name: str) -> None:
        if name in STAGES and name not in self._entered:
            self._entered.add(name)
            self._heart.progress = 0.0
            _enter(self._service, self._held, self._heart, name)

    def progress(self, done: float, total: float, *, media: bool = False) -> None:
        self._heart.progress = done / total if total else 0.0


def _make(
    service: Service,
    held: Claim,
    heart: Heart,
    task: Task,
    kept: Sequence[Kept],
    warnings: Sequence[str],
) -> None:
    settings, engine = service.settings, service.engine
    task = without_empty(task, {one.source for one in kept})
    library = _placed(service, heart, task, kept)
    library.warnings += warnings
    usable(task.request, library, "what was collected")
    ids = {source.name: source.id for source, _, _ in task.sources}
    pictures.keep_last(settings, ids, library)
    tool = ffmpeg.find(settings.ffmpeg or None)
    folder = _folder(settings, task.job)
    make_folder(folder, "the data folder (MERGER_DATA)")
    make_folder(settings.cache, "the cache folder (MERGER_CACHE)")
    watch = Watch(_StageTeller(service, held, heart))
    with work_folder(settings.cache) as cached, work_folder(folder) as out:
        around = Surroundings(settings, tool, watch, heart.should_stop, cached)
        with watch.stage("analyse"):
            seen = analysed(around, task.request, library)
            heart.insist(lambda: outcomes.keep_chunks(engine, held, seen))
        reached("analyse.written")

        def on_plan(plan: EditPlan) -> None:
            document = out / "plan.json"
            document.write_text(json.dumps(plan_document(plan), ensure_ascii=False, indent=1))
            heart.confirm()  # its name is that of every attempt
            publish(document, folder / "plan.json")
            reached("plan.written")

        result = made(around, task.request, library, seen, out, on_plan)
        reached("encode.joined")
        _keep(service, held, heart, task, result, folder / f"attempt-{held.attempt}")
    reached("encode.written")
    around.cache.shrink()


def _folder(settings: Settings, job: Job) -> Path:
    return settings.data / "records" / str(job.record)


def _keep(
    service: Service, held: Claim, heart: Heart, task: Task, result: MergeResult, folder: Path
) -> None:
    """Give the renditions names of this attempt alone: no other can write over them."""
    published: list[Rendition] = []
    for rendition in result.renditions:
        heart.confirm()
        folder.mkdir(exist_ok=True)
        final = folder / f"{rendition.kind}.mp4"
        publish(rendition.path, final)
        published.append(replace(rendition, path=final))
        reached("encode.published")
    report = result_document(replace(result, renditions=published), task.request.zone)
    heart.insist(
        lambda: outcomes.keep_renditions(
            service.engine, held, service.settings.data, published, report, service.now()
        )
    )


def _renditions(service: Service, heart: Heart, task: Task) -> list[Parcel]:
    """Return the finished renditions of the version that is being made, if all are there."""
    job = task.job
    kept = heart.insist(lambda: outcomes.kept_renditions(service.engine, job.record, job.version))
    request = task.request
    stem = result_stem(request.name, request.room, request.span, request.zone)
    day = request.span.start.astimezone(request.zone).date()
    shelf = Shelf(request.room, job.drive_folder, day, job.users)
    parcels = []
    # The merge last: once it is there, everything is.
    for one in sorted(kept, key=lambda r: r.kind == "merge"):
        path = service.settings.data / (one.path or "")
        if not path.is_file() or path.stat().st_size != one.size_bytes:
            return []
        parcels.append(
            Parcel(job.record, one.version, one.kind, stem + ENDINGS[one.kind], path,
                   one.size_bytes, one.sha256, shelf)
        )  # fmt: skip
    return parcels


def _deliver(
    service: Service, held: Claim, heart: Heart, task: Task, parcels: Sequence[Parcel]
) -> None:
    engine, now = service.engine, service.now
    _enter(service, held, heart, "deliver")
    for n, destination in enumerate(service.destinations):
        heart.progress = n / len(service.destinations)
        heart.insist(
            lambda to=destination: deliver(
                engine, held, to, parcels, now, heart.check, heart.confirm
            )  # type: ignore[misc]
        )
    _announce(service, held, heart, task)
    report: dict[str, Any] = heart.insist(lambda: outcomes.report(engine, held.record))
    media = heart.insist(lambda: outcomes.job(engine, held.record).media)
    until = task.due + WATCHED
    lacks = report.get("gaps") or media.get("incomplete")
    watched = until if lacks and until > now() else None
    reached("deliver.all")
    heart.insist(
        lambda: ledger.complete(engine, held, now(), watched, len(report.get("warnings", [])))
    )
    reached("completed")


def _announce(service: Service, held: Claim, heart: Heart, task: Task) -> None:
    engine, job, span = service.engine, task.job, task.request.span
    names = [destination.name for destination in service.destinations]
    tries = heart.insist(lambda: outcomes.job(engine, held.record)).tries
    news = News(
        job.record, job.version, task.request.name, task.request.room, span.start, span.end,
        task.request.zone, heart.insist(lambda: links(engine, job.record, names)),
        job.calendar_id, job.event_id, job.course_code,
    )  # fmt: skip
    heart.insist(
        lambda: announce(
            engine, held, service.announcers, news, tries, service.now, heart.check,
            heart.confirm,
        )
    )  # fmt: skip

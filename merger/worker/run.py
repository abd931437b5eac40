"""One record from claim to end: collect, analyse, plan, encode, deliver.

Each stage writes its outcome down before the next begins (`outcomes`, `ledger`), so that another
worker can go on from there. Every write carries the fence (`queue.with_fence`).
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from merger import logs
from merger.analysis import thumbnails
from merger.delivery import ledger
from merger.delivery.announce import announce, links_of
from merger.delivery.deliver import deliver
from merger.errors import Broken, Cancelled, MergerError, NoMedia, Temporary
from merger.failpoints import failpoint
from merger.i18n import Message
from merger.ports.announcer import Announcement
from merger.ports.destination import Placement, Upload
from merger.records import queue, stage_results
from merger.records.due import WATCHED
from merger.records.queue import Claim, LeaseLost
from merger.records.retry import again_at, waits_for_room
from merger.render import ffmpeg
from merger.render.context import RenderContext, Watch
from merger.render.presence import analyse_presence
from merger.render.progress import Silent
from merger.render.renderer import render, require_media
from merger.service import Service
from merger.storage import paths
from merger.storage.files import make_folder, publish, translate_os_error, work_folder
from merger.timeline.filenames import ENDINGS, result_stem
from merger.timeline.plan import EditPlan
from merger.timeline.report import MergeResult, Rendition, plan_document, result_document
from merger.timeline.zones import zone_named
from merger.worker import collect
from merger.worker.collect import CollectedMedia
from merger.worker.lease import Heart, beating
from merger.worker.task import Task, drop_empty_screen, resolve_task
from models import STAGES

log = logging.getLogger(__name__)


def run_record(service: Service, held: Claim, stopping: Callable[[], bool]) -> str:
    """Work on a claimed record until it ends or waits; return in one word what became of it."""
    heart = Heart(
        service.engine, held, service.now, service.settings.lease, stopping,
        partial(_give_up, service, held),
    )  # fmt: skip
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


def _give_up(service: Service, held: Claim, why: str) -> None:
    """Put off a record whose work hangs, and end this process."""
    try:
        _put_off_hanging(service, held, why)
    except (MergerError, LeaseLost) as error:  # the lease will end, with the same effect
        log.warning("record %s is left as it is: %s", held.record, error)
    finally:
        os.kill(os.getpid(), signal.SIGKILL)


def _put_off_hanging(service: Service, held: Claim, why: str) -> None:
    error = Temporary("hangs", f"{why}; most likely a share hangs: mount it again")
    job, now = stage_results.load_job(service.engine, held.record), service.now()
    at = again_at(error, job.tries + 1, now, now, zone_named(job.zone), random.random())
    if at is None:
        queue.fail(service.engine, held, now, error)
    else:
        queue.defer(service.engine, held, now, at, error)


def _worked(service: Service, held: Claim, heart: Heart) -> str:
    engine, now = service.engine, service.now
    task: Task | None = None
    try:
        job = heart.insist(lambda: stage_results.load_job(engine, held.record))
        task = resolve_task(service, job)
        _stages(service, held, heart, task)
        return "delivered"
    except collect.NotYet as waiting:
        until, why = waiting.until, waiting.why
        heart.insist(lambda: queue.wait_for_media(engine, held, now(), until, why))
        return "waiting"
    except Cancelled:
        heart.check_lost()
        if heart.cancel_asked:
            heart.insist(lambda: queue.cancel_running(engine, held, now()))
            return "cancelled"
        queue.hand_back(engine, held, now(), Message("history.handed_back"))
        return "handed back"
    except MergerError as error:
        return _failed(service, held, heart, task, error)
    except LeaseLost:
        raise
    except OSError as error:
        return _failed(service, held, heart, task, translate_os_error(error, service.settings.data))
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
        tries = heart.insist(lambda: stage_results.load_job(service.engine, held.record)).tries
        at = again_at(error, tries + 1, service.now(), task.due, task.request.zone, random.random())
    if at is None:
        level = logging.ERROR if isinstance(error, Broken) else logging.WARNING
        log.log(level, "record %s failed: %s", held.record, error.message)
        watched = task.due + WATCHED if task and isinstance(error, NoMedia) else None
        heart.insist(lambda: queue.fail(service.engine, held, service.now(), error, watched))
        return "failed"
    log.warning("record %s is put off until %s: %s", held.record, at.isoformat(), error.message)
    heart.insist(lambda: queue.defer(service.engine, held, service.now(), at, error))
    return "put off"


def _stages(service: Service, held: Claim, heart: Heart, task: Task) -> None:
    ready = _renditions(service, heart, task) if task.job.stage == "deliver" else []
    if not ready:
        brought = collect.collected_before(service, task)
        if brought is None:
            _enter(service, held, heart, "collect")
            brought = collect.collect_media(service, held, heart, task)
        failpoint("collected")
        _make(service, held, heart, task, brought)
        ready = _renditions(service, heart, task)
        if not ready:
            where = paths.record_folder(service.settings.data, held.record)
            raise Temporary("renditions", f"finished videos have vanished from {where}")
    _deliver(service, held, heart, task, ready)


def _enter(service: Service, held: Claim, heart: Heart, stage: str) -> None:
    heart.insist(lambda: queue.enter_stage(service.engine, held, stage, service.now()))
    logs.set_context(stage=stage)
    failpoint(f"{stage}.entered")


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


def _make(service: Service, held: Claim, heart: Heart, task: Task, brought: CollectedMedia) -> None:
    settings, engine = service.settings, service.engine
    task = drop_empty_screen(task, {one.source for one in brought.files})
    library = collect.place_collected(service, heart, task, brought)
    require_media(task.request, library)
    ids = {source.name: source.id for source, _, _ in task.sources}
    thumbnails.save_last_thumbnails(settings, ids, library)
    tool = ffmpeg.find_tool(settings.ffmpeg or None)
    folder = paths.record_folder(settings.data, held.record)
    make_folder(folder, "MERGER_DATA")
    make_folder(settings.cache, "MERGER_CACHE")
    watch = Watch(_StageTeller(service, held, heart))
    with work_folder(settings.cache) as cached, work_folder(folder) as out:
        around = RenderContext(settings, tool, watch, heart.should_stop, cached)
        with watch.stage("analyse"):
            seen = analyse_presence(around, task.request, library)
            heart.insist(lambda: stage_results.save_chunks(engine, held, seen))
        failpoint("analyse.written")

        def on_plan(plan: EditPlan) -> None:
            document = out / "plan.json"
            document.write_text(json.dumps(plan_document(plan), ensure_ascii=False, indent=1))
            heart.confirm()  # its name is that of every attempt
            publish(document, folder / "plan.json")
            failpoint("plan.written")

        result = render(around, task.request, library, seen, out, on_plan)
        failpoint("encode.joined")
        _keep(service, held, heart, task, result)
    failpoint("encode.written")
    around.cache.shrink()


def _keep(service: Service, held: Claim, heart: Heart, task: Task, result: MergeResult) -> None:
    """Give the renditions names of this attempt alone: no other can write over them."""
    folder = paths.attempt_folder(service.settings.data, held.record, held.attempt)
    published: list[Rendition] = []
    for rendition in result.renditions:
        heart.confirm()
        folder.mkdir(exist_ok=True)
        final = folder / f"{rendition.kind}.mp4"
        publish(rendition.path, final)
        published.append(replace(rendition, path=final))
        failpoint("encode.published")
    report = result_document(replace(result, renditions=published), task.request.zone)
    heart.insist(
        lambda: stage_results.save_renditions(
            service.engine, held, service.settings.data, published, report, service.now()
        )
    )


def _renditions(service: Service, heart: Heart, task: Task) -> list[Upload]:
    """Return the finished renditions of the version that is being made, if all are there."""
    job = task.job
    kept = heart.insist(
        lambda: stage_results.kept_renditions(service.engine, job.record, job.version)
    )
    request = task.request
    stem = result_stem(request.name, request.room, request.span, request.zone)
    day = request.span.start.astimezone(request.zone).date()
    shelf = Placement(request.room, job.drive_folder, day, job.users)
    parcels = []
    # The merge last: once it is there, everything is.
    for one in sorted(kept, key=lambda r: r.kind == "merge"):
        path = service.settings.data / (one.path or "")
        if not path.is_file() or path.stat().st_size != one.size_bytes:
            return []
        parcels.append(
            Upload(one.version, one.kind, stem + ENDINGS[one.kind], path,
                   one.size_bytes, one.sha256, shelf)
        )  # fmt: skip
    return parcels


def _deliver(
    service: Service, held: Claim, heart: Heart, task: Task, parcels: Sequence[Upload]
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
    report: dict[str, Any] = heart.insist(lambda: stage_results.load_report(engine, held.record))
    media = heart.insist(lambda: stage_results.load_job(engine, held.record).media)
    until = task.due + WATCHED
    lacks = report.get("gaps") or media.get("incomplete")
    watched = until if lacks and until > now() else None
    failpoint("deliver.all")
    heart.insist(
        lambda: ledger.complete_record(
            engine, held, now(), watched, len(report.get("warnings", []))
        )
    )
    failpoint("completed")


def _announce(service: Service, held: Claim, heart: Heart, task: Task) -> None:
    engine, job, span = service.engine, task.job, task.request.span
    names = [destination.name for destination in service.destinations]
    tries = heart.insist(lambda: stage_results.load_job(engine, held.record)).tries
    news = Announcement(
        job.record, job.version, task.request.name, task.request.room, span.start, span.end,
        task.request.zone, heart.insist(lambda: links_of(engine, job.record, names)),
        job.calendar_id, job.event_id, job.course_code,
    )  # fmt: skip
    heart.insist(
        lambda: announce(
            engine, held, service.announcers, news, tries, service.now, heart.check,
            heart.confirm,
        )
    )  # fmt: skip

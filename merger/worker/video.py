"""The stages analyse, plan and encode: what was collected becomes finished videos."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from merger.failpoints import failpoint
from merger.records.processing import stage_results
from merger.records.processing.leases import Lease
from merger.records.stills.learning import load_own_cards
from merger.render.progress import Silent
from merger.storage import paths
from merger.storage.files import make_folder, publish, work_folder
from merger.timeline.files.filenames import VIDEOS
from merger.timeline.layout import Corner, corner_named, layout_named, least_hidden_corner
from merger.worker import deliver
from merger.worker.captions import write_captions
from merger.worker.stills import learn_stills
from merger.worker.work import Work

if TYPE_CHECKING:
    from merger.analysis.sampling import Look
    from merger.media.library import Library
    from merger.render.context import RenderContext, Watch
    from merger.render.screen.presence import Presence
    from merger.timeline.plan import EditPlan
    from merger.timeline.report import MergeResult, Rendition
    from merger.timeline.sync.outcome import Sync

_PICTURE_AT = 1 / 3  # of a video: the lecture has begun, and it is not the break


class _Progress(Silent):
    """Has the heartbeat tell how far a stage is."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def progress(self, done: float, total: float, *, media: bool = False) -> None:
        self._lease.progress = done / total if total else 0.0


@dataclass(frozen=True)
class Analysed:
    """Media, and what was decided about it. watch: with the time that it took."""

    library: Library
    presence: Presence
    watch: Watch
    syncs: Sequence[Sync]


def analyse(work: Work, library: Library) -> Analysed:
    """Put sources on one clock, decide when a presentation is shown; write it down."""
    from merger.render.context import Watch
    from merger.render.screen.presence import analyse_presence
    from merger.render.sync.step import synchronise

    watch = Watch(_Progress(work.lease))
    cards = load_own_cards(work.lease)
    request = replace(work.task.request, cards=tuple(cards))
    with _rendering(work, watch) as context, watch.stage("analyse"):
        syncs = synchronise(context, request, library)
        presence = analyse_presence(context, request, library)
        stage_results.save_chunks(work.lease, presence.looks)
        learn_stills(work, presence, cards)
    failpoint("analyse.written")
    return Analysed(library, presence, watch, syncs)


def make_video(work: Work, analysed: Analysed) -> deliver.Finished:
    """Plan and encode the renditions, publish them, and write them down."""
    from merger.render.renderer import render
    from merger.timeline.report import plan_document

    request = work.task.request
    if layout_named(request.layout).inset is not None:
        request = replace(request, corner=_corner_of(work))
    folder = paths.record_folder(work.service.settings.data, work.lease.record)
    with _rendering(work, analysed.watch) as context, work_folder(folder) as out:

        def on_plan(plan: EditPlan) -> None:
            document = out / "plan.json"
            facts = plan_document(plan, analysed.syncs)
            document.write_text(json.dumps(facts, ensure_ascii=False, indent=1))
            work.lease.confirm()  # its name is that of every attempt
            publish(document, folder / "plan.json")
            failpoint("plan.written")
            if work.stage != "encode":  # else it is planned anew around damage
                work.enter("encode")

        result = render(
            context, request, analysed.library, analysed.presence, out, on_plan, analysed.syncs
        )
        failpoint("encode.joined")
        captions = write_captions(work, out, result.plan.chapters)
        _publish(work, result, captions, _has_slides(analysed.presence.looks))
    failpoint("encode.written")
    context.cache.shrink()
    return deliver.require_finished(work)


def _corner_of(work: Work) -> Corner:
    """Return where the speaker lies above the screen: where it was planned first, in any version.

    Other slides, of recordings that end meanwhile, must not have everything encoded again.
    """
    from merger.analysis.ink import ink_of

    planned = work.task.job.media.get("corner")
    if planned is not None:
        return corner_named(planned)
    corner = least_hidden_corner(ink_of(stage_results.earlier_slides(work.lease)))
    stage_results.save_corner(work.lease, corner)
    return corner


@contextmanager
def _rendering(work: Work, watch: Watch) -> Iterator[RenderContext]:
    """Provide what rendering needs of its surroundings."""
    from merger.render import ffmpeg
    from merger.render.context import RenderContext

    settings = work.service.settings
    tool = ffmpeg.find_tool(settings.ffmpeg or None)
    make_folder(
        paths.record_folder(settings.data, work.lease.record), "the data folder (MERGER_DATA)"
    )
    make_folder(settings.cache, "the cache folder (MERGER_CACHE)")
    with work_folder(settings.cache) as cached:
        yield RenderContext(settings, tool, watch, work.lease.should_stop, cached)


def _has_slides(looks: Sequence[Look]) -> bool:
    """Return whether a picture of a slide is kept, which lists show of a record."""
    return any(look.pictures and look.chunk.verdict == "presentation" for look in looks)


def _publish(
    work: Work, result: MergeResult, captions: Sequence[Rendition], has_slides: bool
) -> None:
    """Give the renditions names of this attempt alone: no other can write over them."""
    from merger.timeline.report import result_document

    data, lease = work.service.settings.data, work.lease
    folder = paths.attempt_folder(data, lease.record, lease.attempt)
    published: list[Rendition] = []
    for rendition in (*result.renditions, *captions):
        lease.confirm()
        folder.mkdir(exist_ok=True)
        final = folder / f"{rendition.kind}{rendition.path.suffix}"
        publish(rendition.path, final)
        published.append(replace(rendition, path=final))
        failpoint("encode.published")
    videos = [rendition for rendition in published if rendition.kind in VIDEOS]
    report = result_document(replace(result, renditions=videos), work.task.request.zone)
    if not has_slides and (picture := _picture_of(videos)) is not None:
        report["picture"] = picture
    chapters = result.plan.chapters
    work.load(stage_results.save_renditions(lease, data, published, report, chapters))


def _picture_of(videos: Sequence[Rendition]) -> str | None:
    """Return what lists show of a record without slides: a small JPEG of its video, in base64."""
    from merger.analysis.glance import small_picture
    from merger.isolation import reader

    with suppress(reader.Unreadable, OSError):  # nobody misses a video for its picture
        picture = reader.call(small_picture, videos[0].path, _PICTURE_AT)
        return base64.b64encode(picture).decode() if picture else None
    return None

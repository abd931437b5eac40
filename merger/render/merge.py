"""The command `merge`: read a library, render it, publish the renditions."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from merger.config import Settings
from merger.i18n import Message
from merger.media.library import read_library
from merger.render import ffmpeg
from merger.render.context import MergeRequest, RenderContext, Watch
from merger.render.progress import Reporter
from merger.render.renderer import render, require_media
from merger.render.screen.presence import analyse_presence
from merger.render.sync.step import synchronise
from merger.storage.files import BY_UMASK, make_folder, publish, work_folder
from merger.timeline import profiles
from merger.timeline.captions import chapter_captions
from merger.timeline.files.filenames import ENDINGS, result_stem
from merger.timeline.layout import Size, layout_named
from merger.timeline.plan import EditPlan
from merger.timeline.report import MergeResult, Rendition, plan_document


def merge(
    request: MergeRequest,
    folder: Path,
    output: Path,
    settings: Settings,
    tool: ffmpeg.Tool,
    reporter: Reporter,
    cancelled: Callable[[], bool] = lambda: False,
) -> MergeResult:
    """Render a record from a folder with segments into an output folder.

    Whatever it raises (any of our errors), nothing stands under a final name that was not there
    before, and finished parts are kept for the next try.
    """
    watch = Watch(reporter)
    profiles.profile_named(request.profile)
    layout_named(request.layout)
    make_folder(settings.cache, "MERGER_CACHE")
    with work_folder(settings.cache) as work, ExitStack() as later:
        with watch.stage("collect"):
            library = read_library(
                folder, request.room, request.sources.names, request.span, request.zone,
                lambda done, total: reporter.progress(done, total), work,
            )  # fmt: skip
            require_media(request, library, settings, folder)
            # Warnings, too, before minutes of encoding: a name may have been mistyped.
            for note in (*library.notes, *library.warnings):
                reporter.note(note)
        make_folder(output, "--output", BY_UMASK)
        out = later.enter_context(work_folder(output))
        context = RenderContext(settings, tool, watch, cancelled, work)
        with watch.stage("analyse"):
            syncs = synchronise(context, request, library)
            for sync in syncs:
                reporter.note(sync.message)
            presence = analyse_presence(context, request, library)
        result = render(context, request, library, presence, out, syncs=syncs)
        with watch.stage("publish"):
            _publish(request, result, out, output, settings.language)
    context.cache.shrink()
    return result


def _warn_of_replaced(path: Path, plan: EditPlan) -> list[Message]:
    """Return a warning where a result of another span has the same name (it has no seconds)."""
    try:
        earlier = json.loads(path.read_text())["span"]
        start, end = str(earlier["start"]), str(earlier["end"])
    except (OSError, ValueError, TypeError, KeyError):
        return []
    if earlier == plan_document(plan)["span"]:
        return []
    return [Message("render.replaced", start=start, end=end)]


def _publish(
    request: MergeRequest, result: MergeResult, out: Path, output: Path, language: str
) -> None:
    """Give the results their final names, the merge last: it says that all is there."""
    stem = result_stem(request.name, request.room, request.span, request.zone)
    names = {kind: stem + ending for kind, ending in ENDINGS.items()}
    result.warnings += _warn_of_replaced(output / f"{stem}.plan.json", result.plan)
    document = out / "plan.json"
    document.write_text(
        json.dumps(plan_document(result.plan, result.syncs), ensure_ascii=False, indent=1)
    )
    publish(document, output / f"{stem}.plan.json")
    result.captions = _publish_chapters(result.plan, out, output / names["chapters"], language)
    order = sorted(
        range(len(result.renditions)), key=lambda n: result.renditions[n].kind == "merge"
    )
    for n in order:
        rendition = result.renditions[n]
        final = output / names[rendition.kind]
        publish(rendition.path, final)
        result.renditions[n] = dataclasses.replace(rendition, path=final)
    there = {r.kind for r in (*result.renditions, *result.captions)}
    for kind in {"backup", "chapters"} - there:
        # One of an earlier merge of the same record would be of another video.
        (output / names[kind]).unlink(missing_ok=True)


def _publish_chapters(plan: EditPlan, out: Path, final: Path, language: str) -> list[Rendition]:
    """Write the slides of a video as WebVTT; return the file, if there are any."""
    text = chapter_captions(plan.chapters, plan.span, language)
    if text is None:
        return []
    content = text.encode()
    partial = out / "chapters.vtt"
    partial.write_bytes(content)
    publish(partial, final)
    digest = hashlib.sha256(content).hexdigest()
    return [Rendition("chapters", final, 0, Size(0, 0), "", len(content), digest)]

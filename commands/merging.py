"""`merge`: one video from a folder, without the service."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time

from commands.base import Context, Printed, check_utf8, load_settings, say, span_of
from merger.errors import Invalid
from merger.logs import printable
from merger.timeline.zones import length_from, standing_from, zone_named


def merge(options: argparse.Namespace, context: Context) -> Printed:
    """Merge a lecture."""
    context.zone = zone = zone_named(options.zone)
    context.span = span_of(options, zone)
    check_utf8(options, "room", "name", "library", "output")
    for argument in ("room", "speaker", "screen", "board", "audio"):
        value = getattr(options, argument)
        if value is not None and (not value.strip() or "/" in value or "\0" in value):
            raise Invalid(argument, "commands.not_in_file_name", value=value)
    chunk = length_from(options.chunk or "30m", "chunk")
    after = standing_from(options.both_after, "both_after") if options.both_after else None

    from merger.analysis.cards import read_card
    from merger.render import ffmpeg
    from merger.render import merge as pipeline
    from merger.render.context import MergeRequest
    from merger.render.progress import Terminal
    from merger.timeline.layout import corner_named, layout_named
    from merger.timeline.plan import Sources
    from merger.timeline.profiles import profile_named
    from merger.timeline.report import result_document

    profile_named(options.profile)
    layout_named(options.layout)
    corner = corner_named(options.corner)
    settings = load_settings()
    request = MergeRequest(
        room=options.room,
        span=context.span,
        zone=zone,
        sources=Sources(options.speaker, options.screen, options.board, options.audio),
        name=options.name,
        profile=options.profile,
        layout=options.layout,
        corner=corner,
        chunk=chunk,
        decide="chunk" if options.chunk else "instant",
        both_after=after,
        cards=tuple(read_card(path) for paths in options.card for path in paths),
    )
    reporter = Terminal(sys.stderr, time.monotonic, _terminal_width)
    try:
        tool = ffmpeg.find_tool(settings.ffmpeg or None)
        result = pipeline.merge(
            request, options.library.resolve(), options.output.resolve(), settings, tool,
            reporter, context.stopping,
        )  # fmt: skip
    finally:
        reporter.clear()
    for warning in result.warnings:
        print(printable(say("warning", message=warning)), file=sys.stderr)
    document = result_document(result, zone)
    return document, "\n".join(rendition["path"] for rendition in document["renditions"])


def _terminal_width() -> int:
    return 0 if os.environ.get("TERM") == "dumb" else shutil.get_terminal_size().columns

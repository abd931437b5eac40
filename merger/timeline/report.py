"""A merge as programs see it: the JSON object of `--json`, and the plan stored beside the result.

Pure. Others script against these: fields are added, never renamed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from merger.errors import MergerError
from merger.i18n import Message, from_json, to_json
from merger.timeline.clock import Clip, Segment, Span
from merger.timeline.layout import ALONE, Size
from merger.timeline.plan import EditPlan, Slate, Sources
from merger.timeline.sync.outcome import Sync, sync_document

PLAN_VERSION = 1


@dataclass(frozen=True)
class Rendition:
    """A finished output file."""

    kind: str
    path: Path
    frames: int
    size: Size
    video_codec: str
    size_bytes: int
    sha256: str


@dataclass
class MergeResult:
    """The renditions of a merge, and what their owner should know."""

    plan: EditPlan
    renditions: list[Rendition]
    encoder: str
    warnings: list[Message] = field(default_factory=list)
    reasons: list[list[Message]] = field(default_factory=list)  # by chunk: why it was decided so
    timings: dict[str, float] = field(default_factory=dict)
    syncs: Sequence[Sync] = ()
    captions: Sequence[Rendition] = ()


def result_document(result: MergeResult, zone: ZoneInfo) -> dict[str, Any]:
    """Return the object that describes a result."""
    plan = result.plan
    return {
        "status": "delivered",
        "span": span_document(plan.span, zone),
        "renditions": [
            {
                "kind": r.kind,
                "path": str(r.path),
                "duration_s": float(r.frames / plan.rate),
                "frames": r.frames,
                "width": r.size.width,
                "height": r.size.height,
                "video_codec": r.video_codec,
                "audio_codec": "aac",
                "bytes": r.size_bytes,
                "sha256": r.sha256,
            }
            for r in result.renditions
        ],
        "captions": [
            {"kind": r.kind, "path": str(r.path), "bytes": r.size_bytes, "sha256": r.sha256}
            for r in result.captions
        ],
        "chunks": [
            {
                **span_document(chunk.span, zone),
                "presence": chunk.presence,
                "verdict": chunk.verdict,
                "score": round(float(chunk.score), 4),
                "samples": chunk.samples,
                "reasons": [str(reason) for reason in reasons],
                "reason_messages": [to_json(reason) for reason in reasons],
            }
            for chunk, reasons in zip(plan.chunks, result.reasons, strict=True)
        ],
        "decisions": [
            {
                **span_document(decision.span, zone),
                "right": decision.right,
                "verdict": decision.verdict,
                "reason": str(decision.why),
                "reason_message": to_json(decision.why),
            }
            for decision in plan.decisions
        ],
        "chapters": [
            {**span_document(c.span, zone), "title": c.title, "words": c.words}
            for c in plan.chapters
        ],
        "corner": plan.corner,
        "scenes": scenes_document(plan, zone),
        "sync": [sync_document(sync) for sync in result.syncs],
        "gaps": [{"source": source, **span_document(span, zone)} for source, span in plan.gaps()],
        "warnings": [str(warning) for warning in result.warnings],
        "warning_messages": [to_json(warning) for warning in result.warnings],
        "encoder": result.encoder,
        "timings": {stage: round(seconds, 3) for stage, seconds in result.timings.items()},
    }


def warnings_of(report: Mapping[str, Any]) -> list[Message]:
    """Return the warnings of a stored result document; old ones hold sentences alone."""
    return [from_json(w) for w in report.get("warning_messages", report.get("warnings", ()))]


def warnings_about(plan: EditPlan, zone: ZoneInfo, sources: Sources, layout: str) -> list[Message]:
    """Return what the owner should know about the result. Times are those of the zone."""
    warnings = []
    for source, span in plan.gaps():
        start, end = (f"{at.astimezone(zone):%H:%M:%S}" for at in (span.start, span.end))
        warnings.append(Message("timeline.gap", source=source, start=start, end=end))
    silent = [s.span.length for s in plan.sound if s.segment is None]
    if silent:
        seconds = sum(silent, timedelta()).total_seconds()
        warnings.append(Message("timeline.silence", seconds=round(seconds, 1)))
    has_right_source = sources.screen or sources.board
    if has_right_source and layout != ALONE and not plan.shows_right:
        warnings.append(Message("timeline.speaker_alone"))
    return warnings


def failure_document(
    error: MergerError, text: str, span: Span | None, zone: ZoneInfo | None
) -> dict[str, Any]:
    """Return the object that says why there is no result.

    Args:
        text: the error's message in English, with what the command line adds to it.
    """
    return {
        "status": "failed",
        "error": {"code": error.code, "message": text, **to_json(error.message)},
        "span": span_document(span, zone) if span and zone else None,
        "renditions": [],
        "captions": [],
        "chunks": [],
        "decisions": [],
        "chapters": [],
        "corner": None,
        "scenes": [],
        "sync": [],
        "gaps": [],
        "warnings": [],
        "warning_messages": [],
        "encoder": None,
        "timings": {},
    }


def span_document(span: Span, zone: ZoneInfo) -> dict[str, str]:
    return {"start": _iso(span.start, zone), "end": _iso(span.end, zone)}


def scenes_document(plan: EditPlan, zone: ZoneInfo) -> list[dict[str, Any]]:
    """Return the scenes, with neighbours that look the same (two files of one source) as one."""
    documents = []
    for (layout, left, right, slide), group in groupby(
        plan.scenes, key=lambda s: (s.layout, *map(_view, (s.left, s.right, s.slide)))
    ):
        scenes = list(group)
        end = scenes[-1].end
        end_at = plan.span.end if end == plan.frames else plan.grid.instant(end)
        span = Span(
            plan.grid.instant(scenes[0].first), max(end_at, plan.grid.instant(scenes[0].first))
        )
        documents.append(
            {
                **span_document(span, zone), "layout": layout, "left": left, "right": right,
                "slide": slide,
            }
        )  # fmt: skip
    return documents


def _view(view: Segment | Slate | None) -> str | None:
    if isinstance(view, Segment):
        return view.source
    return "slate" if view else None


def plan_document(plan: EditPlan, syncs: Sequence[Sync] = ()) -> dict[str, Any]:
    """Return a whole plan as plain values: it explains a result and can be compared.

    Args:
        syncs: what was measured of the sources' clocks, and done, before it was made.
    """
    names = _names_of_segments(plan)
    return {
        "version": PLAN_VERSION,
        "span": {"start": _utc(plan.span.start), "end": _utc(plan.span.end)},
        "rate": str(plan.rate),
        "frames": plan.frames,
        "segments": {
            name: {
                "source": segment.source,
                "wall_zero": _utc(segment.clock.wall_zero),
                "file_zero_us": segment.clock.file_zero_us,
                "rate": _fraction(segment.clock.rate),
                "pictures_us": [[s.start_us, s.end_us] for s in segment.pictures],
                "sound_us": [[s.start_us, s.end_us] for s in segment.sound],
            }
            for segment, name in sorted(names.items(), key=lambda item: item[1])
        },
        "tracks": [
            {
                "source": track.source,
                "items": [
                    {
                        "start": _utc(item.span.start),
                        "end": _utc(item.span.end),
                        "file": names[item.segment] if isinstance(item, Clip) else None,
                    }
                    for item in track.items
                ],
            }
            for track in plan.tracks
        ],
        "chunks": [
            {
                "start": _utc(c.span.start), "end": _utc(c.span.end), "presence": c.presence,
                "verdict": c.verdict, "score": _fraction(c.score), "samples": c.samples,
            }
            for c in plan.chunks
        ],
        "decisions": [
            {
                "start": _utc(d.span.start), "end": _utc(d.span.end), "right": d.right,
                "verdict": d.verdict,
            }
            for d in plan.decisions
        ],
        "chapters": [
            {"start": _utc(c.span.start), "end": _utc(c.span.end), "title": c.title}
            for c in plan.chapters
        ],
        "sync": [sync_document(sync) for sync in syncs],
        "corner": plan.corner,
        "scenes": [
            {
                "first": s.first, "end": s.end, "layout": s.layout,
                "left": _plan_view(s.left, names), "right": _plan_view(s.right, names),
                "slide": _plan_view(s.slide, names),
            }
            for s in plan.scenes
        ],
        "sound": [
            {
                "start": _utc(s.span.start), "end": _utc(s.span.end),
                "file": names[s.segment] if s.segment else None,
            }
            for s in plan.sound
        ],
        "parts": [[part.first, part.end] for part in plan.parts],
    }  # fmt: skip


def _names_of_segments(plan: EditPlan) -> dict[Segment, str]:
    """Return the segments of a plan by name: the file; with a number, where a pause cuts it."""
    shown = [clip.segment for track in plan.tracks for clip in track.clips]
    heard = [sound.segment for sound in plan.sound if sound.segment]
    by_file: dict[str, list[Segment]] = {}
    for segment in dict.fromkeys((*shown, *heard)):
        by_file.setdefault(segment.file, []).append(segment)
    names: dict[Segment, str] = {}
    for file, segments in by_file.items():
        segments.sort(key=lambda segment: segment.clock.wall_zero)
        names |= {s: f"{file}#{n}" if n > 1 else file for n, s in enumerate(segments, 1)}
    return names


def _plan_view(view: Segment | Slate | None, names: Mapping[Segment, str]) -> dict[str, str] | None:
    if isinstance(view, Segment):
        return {"file": names[view]}
    return {"slate": view.key} if view else None


def _fraction(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"


def _utc(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def _iso(instant: datetime, zone: ZoneInfo) -> str:
    return instant.astimezone(zone).isoformat()

"""The timeline of a record as a picture: which bars are where. Pure.

Along x everything is in percent of the length, so that the picture is as wide as its page while its
letters keep their size; along y in pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

LANE_PX = 46  # a line of text, a bar, and air
AXIS_PX = 24
_MOST_TICKS = {False: 6, True: 3}  # labels that fit on a phone; with seconds, they are longer
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600)


@dataclass(frozen=True)
class Bar:
    """A part of a lane. x, width: in percent; kind: of drawing; what: a source or a verdict.

    above: the source that lies small above it.
    """

    x: float
    width: float
    kind: str
    what: str
    start: datetime
    end: datetime
    above: str = ""


@dataclass(frozen=True)
class Lane:
    """Bars in a row. kind: source, chunks, left or right; name: of the source. y: in pixels."""

    kind: str
    name: str
    y: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Tick:
    """A mark on the time axis. x: in percent; anchor: which end of its text stands there."""

    x: float
    text: str
    anchor: str


@dataclass(frozen=True)
class Timeline:
    """The whole picture, from start to end. sources: the names in the order of their colours."""

    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    sources: tuple[str, ...]
    height: int
    start: datetime
    end: datetime

    def seconds_at(self, at: datetime) -> float | None:
        """Return how far an instant is into the video; None for one that it does not show."""
        return (at - self.start).total_seconds() if self.start <= at < self.end else None


@dataclass(frozen=True)
class _Axis:
    start: datetime
    end: datetime

    def x(self, at: datetime) -> float:
        return round(100 * ((at - self.start) / (self.end - self.start)), 3)

    def bar(self, kind: str, what: str, start: datetime, end: datetime) -> Bar | None:
        """Return a bar cut to the axis, or None where nothing of it lies there."""
        start, end = max(start, self.start), min(end, self.end)
        if end <= start:
            return None
        x = self.x(start)
        return Bar(x, round(self.x(end) - x, 3), kind, what, start, end)


def timeline(record: Mapping[str, Any], zone: ZoneInfo) -> Timeline | None:
    """Return the picture of a record's details; None as long as there is nothing to show.

    Args:
        record: its details.
        zone: of the clock on the axis.
    """
    scenes, chunks = record["scenes"], record["chunks"]
    if not scenes and not chunks:
        return None
    # A version in progress may have another span than the one before, which is shown.
    shown = scenes or chunks
    axis = _Axis(_at(shown[0]["start"]), _at(shown[-1]["end"]))
    if axis.end <= axis.start:
        return None
    sources = _sources(record)
    rows: list[tuple[str, str, Iterable[Bar | None]]] = []
    if scenes:
        rows += [("source", name, _media(axis, name, record["gaps"])) for name in sources]
    decided = record.get("decisions") or chunks
    rows.append(("chunks", "", (_of(axis, d["verdict"], d["verdict"], d) for d in decided)))
    if scenes:
        rows += [(side, "", _views(axis, side, sources, scenes)) for side in ("left", "right")]
    lanes = tuple(
        Lane(kind, name, n * LANE_PX, tuple(bar for bar in bars if bar))
        for n, (kind, name, bars) in enumerate(rows)
    )
    height = len(lanes) * LANE_PX + AXIS_PX
    return Timeline(lanes, tuple(_ticks(axis, zone)), sources, height, axis.start, axis.end)


def _sources(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the sources whose media was looked for, in order of appearance."""
    seen = list(record.get("sources", ()))
    seen += [scene.get(side) for scene in record["scenes"] for side in ("left", "right", "slide")]
    seen += [gap["source"] for gap in record["gaps"]]
    return tuple(dict.fromkeys(name for name in seen if name and name != "slate"))


def _media(axis: _Axis, source: str, gaps: Sequence[Mapping[str, str]]) -> Iterator[Bar | None]:
    """Yield the media of a source and its gaps, edge to edge."""
    at = axis.start
    for gap in gaps:
        if gap["source"] != source:
            continue
        yield axis.bar("media", source, at, _at(gap["start"]))
        yield _of(axis, "gap", source, gap)
        at = _at(gap["end"])
    yield axis.bar("media", source, at, axis.end)


def _views(
    axis: _Axis, side: str, sources: Sequence[str], scenes: Sequence[Mapping[str, Any]]
) -> Iterator[Bar | None]:
    for scene in scenes:
        view = scene[side]
        if view is None:
            yield _of(axis, "alone" if side == "right" else "no_speaker", "", scene)
        elif view == "slate":
            yield _of(axis, "slate", "", scene)
        else:
            bar = _of(axis, f"source-{sources.index(view) % 4 + 1}", view, scene)
            slide = scene.get("slide") if side == "right" else None
            yield replace(bar, above=slide) if bar and slide else bar


def _of(axis: _Axis, kind: str, what: str, span: Mapping[str, Any]) -> Bar | None:
    return axis.bar(kind, what, _at(span["start"]), _at(span["end"]))


def _ticks(axis: _Axis, zone: ZoneInfo) -> Iterator[Tick]:
    """Yield marks at round times of a zone's clock."""
    length_s = (axis.end - axis.start).total_seconds()
    step_s = next((s for s in _STEPS_S if length_s / s <= _MOST_TICKS[s < 60]), _STEPS_S[-1])
    step = timedelta(seconds=step_s)
    local = axis.start.astimezone(zone)
    at = local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
    at += -((at - axis.start) // step) * step  # the first that is not before the start
    while at <= axis.end:
        x = axis.x(at)
        anchor = "start" if x < 5 else "end" if x > 95 else "middle"
        clock = at.astimezone(zone)
        yield Tick(x, f"{clock:%H:%M}" if step_s >= 60 else f"{clock:%H:%M:%S}", anchor)
        at += step


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)

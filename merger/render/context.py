"""What rendering a video needs: the request, and its surroundings."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from merger.config import Settings
from merger.errors import Cancelled
from merger.render import ffmpeg
from merger.render.progress import Reporter
from merger.render.slots import Budget, budget_of
from merger.storage.cache import Cache
from merger.timeline import profiles
from merger.timeline.clock import Span
from merger.timeline.layout import DEFAULT_CORNER, DEFAULT_LAYOUT, Corner
from merger.timeline.plan import Overrule, Sources
from merger.timeline.screen.decisions import Decide

if TYPE_CHECKING:  # heavy: a request says what is wanted, and looks at no picture
    from merger.analysis.cards import Card


@dataclass(frozen=True)
class MergeRequest:
    """The video that is requested, wherever its media is from and wherever it goes."""

    room: str
    span: Span
    zone: ZoneInfo
    sources: Sources
    name: str = "lecture"
    profile: str = profiles.DEFAULT_PROFILE
    layout: str = DEFAULT_LAYOUT
    corner: Corner = DEFAULT_CORNER  # where a layout has the speaker above the screen
    chunk: timedelta = timedelta(minutes=30)
    decide: Decide = "instant"
    both_after: timedelta | None = None  # of a slide that stands while somebody writes; None: never
    overrules: tuple[Overrule, ...] = ()
    cards: tuple[Card, ...] = ()
    screen_is_known: bool = False  # it has media only while something is shared


class Watch:
    """Measures how long each stage takes, and reports it."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self.timings: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.reporter.stage(name)
        started_s = time.monotonic()
        try:
            yield
        finally:
            self.timings[name] = self.timings.get(name, 0.0) + time.monotonic() - started_s


@dataclass(frozen=True)
class RenderContext:
    """What rendering a video needs of its surroundings."""

    settings: Settings
    tool: ffmpeg.Tool
    watch: Watch
    cancelled: Callable[[], bool]
    work: Path  # a work folder in the cache

    @property
    def cache(self) -> Cache:
        return Cache(self.settings.cache, self.settings.cache_bytes)

    @property
    def budget(self) -> Budget:
        cores = len(os.sched_getaffinity(0))
        lease_s = self.settings.lease.total_seconds()
        return budget_of(self.settings.cache / "slots", self.settings.parallel, cores, lease_s)

    def progress(self, done: float, total: float) -> None:
        """Report how far a stage is. Raises Cancelled where somebody asked to stop."""
        if self.cancelled():
            raise Cancelled("cancelled", "render.stopped")
        self.watch.reporter.progress(done, total)

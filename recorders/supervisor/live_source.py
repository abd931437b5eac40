"""How it is with one live source: the process that records it, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from recorders.rtsp.wire import Job
from recorders.supervisor.processes import Child
from recorders.supervisor.schedule import Assignment

# Told in the history of one record: a camera that comes and goes does so hundreds of times.
MOST_OUTAGES = 20


@dataclass(frozen=True)
class Patience:
    """How long a source may be silent, in seconds. key_s: without a picture to begin with.

    Cameras that save bandwidth send a key frame every ten or twenty seconds.
    """

    open_s: float = 25.0
    media_s: float = 10.0
    key_s: float = 45.0


@dataclass
class LiveSource:
    """One source, and how it is with it. Whatever happens in it, the others go on."""

    wanted: Assignment
    folder: Path
    lock: int
    since: datetime  # it is wanted
    child: Child | None = None
    failures: int = 0
    again_s: float = 0.0
    media_at: datetime | None = None  # captured last
    came_s: float | None = None  # when something new came last
    key_us: int | None = None  # of the last key frame; without one, nothing is recorded yet
    key_s: float = 0.0  # when that was told, or else the first packet
    lost_at: datetime | None = None  # since when there is no media
    concerned: tuple[int, ...] = ()  # records, by that
    complaints: int = 0
    why: str = "it does not answer"
    ended_for: str = ""  # by us
    ended_as: str = ""  # the code of how the last process ended
    lost_by: str = ""  # the code that was told last of why there is no media
    has_sign: bool = False  # that others see
    outages: Counter[int] = field(default_factory=Counter)  # by record
    looked: set[int] = field(default_factory=set)  # records before which it was looked at
    looks: int = 0  # in a row that saw nothing

    @property
    def name(self) -> str:
        source = self.wanted.camera.source
        return f"source {source.name!r} of room {source.room!r}"

    @property
    def heard_until(self) -> datetime:
        """When something was captured last, since it is to be recorded."""
        return max(self.since, self.media_at or self.since)

    def silent_since(self, patience: Patience, now_s: float) -> datetime | None:
        """Return since when nothing comes; None while media comes."""
        is_begun = self.child is not None and self.key_us is not None
        came_s = self.came_s if is_begun else None
        if came_s is not None and now_s - came_s <= patience.media_s:
            return None
        return self.lost_at or self.heard_until

    def counted(self, records: Iterable[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Count an outage of records; return who is told of it, and who that no more are told."""
        told: list[int] = []
        last: list[int] = []
        for record in records:
            if self.outages[record] < MOST_OUTAGES:
                told.append(record)
            elif self.outages[record] == MOST_OUTAGES:
                last.append(record)
            self.outages[record] += 1
        return tuple(told), tuple(last)

    def sends_without_key(self, now_s: float) -> None:
        """Note that something came, and no picture yet that a file can begin with."""
        if self.came_s is None:
            self.key_s = now_s
        self.came_s = now_s

    def begin(self, *, grid_s: int, allow_local: bool) -> None:
        """Start a process that records it, or looks at it. Raises Temporary."""
        source = self.wanted.camera.source
        job = Job(
            url=self.wanted.address.url,
            credentials=source.credentials,
            room=source.room,
            source=source.name,
            zone=source.zone.key,
            folder=str(self.folder),
            grid_s=grid_s,
            allow_local=allow_local,
            look=not self.wanted.is_recorded,
        )
        self.child = Child(job)
        self.came_s = self.key_us = None
        self.complaints, self.ended_for, self.ended_as = 0, "", ""

    def silence(self, patience: Patience, now_s: float) -> str | None:
        """Return why a process is to be ended, judged by what it brings."""
        assert self.child is not None
        if self.came_s is None:
            return "it does not answer" if now_s - self.child.begun_s > patience.open_s else None
        if now_s - self.came_s > patience.media_s:
            return "it sends nothing more"
        if now_s - self.key_s > patience.key_s:
            return "it sends no key frame"
        return None

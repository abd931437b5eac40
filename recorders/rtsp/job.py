"""What a process that records one source is told, over its standard input."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Job:
    """What is to be recorded, and where to.

    look: only whether there is a picture. grid_s: the files are cut at multiples of it since the
    room's midnight.
    """

    url: str
    credentials: str | None = field(repr=False)
    room: str
    source: str
    zone: str
    folder: str
    grid_s: int = 1800
    allow_local: bool = False
    look: bool = False

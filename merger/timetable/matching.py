"""Which lecture a recording is of. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from merger.i18n import Message
from merger.timeline.clock import Span

TOLERANCE = timedelta(minutes=30)


@dataclass(frozen=True)
class Candidate:
    """A lecture that a recording may be of.

    key: names it to the caller. span: empty where its length is unknown. name: for people.
    priority: the larger wins, where all else is equal.
    """

    key: str
    span: Span
    course: str
    name: str
    priority: int = 0


@dataclass(frozen=True)
class Match:
    """The lecture that a recording is of. also: those of other courses that fit as well."""

    occurrence: Candidate
    why: Message
    also: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class NoMatch:
    """There is no such lecture. nearest: the one whose start is nearest, if there are any."""

    why: Message
    nearest: Candidate | None = None


def match(candidates: Sequence[Candidate], span: Span, tolerance: timedelta) -> Match | NoMatch:
    """Return the lecture that a recording is of.

    A lecture fits whose start is no farther than a tolerance from that of the recording, or, where
    its length is known, with which the recording shares half of the shorter of the two. The best
    has the largest overlap, then the nearest start, then the priority, then stands first.
    A recording that holds at least half of each of several lectures, one after the other, is of the
    first: nobody stopped it.

    Args:
        candidates: the lectures of the room or meeting, of the days around the recording.
        span: of the recording.
    """
    raise NotImplementedError

"""Who may have what they request, and whose leave it needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from merger.accounts.permissions import Principal
from merger.accounts.room_policy import RoomPolicy, may_request
from merger.timeline.clock import Span

Mode = Literal["ask", "open"]  # whether what is another's, or past, needs leave

# A lecture that began so long ago is not past yet: somebody remembers the request when it begins.
GRACE = timedelta(minutes=30)
# So much before and after somebody's recording is theirs to allow, as its span is never exact.
MARGIN = timedelta(minutes=30)


@dataclass(frozen=True)
class Recording:
    """A recording that overlaps with a request.

    owner: who can allow it; None where only editors can.
    is_open: whoever requests is among its people, or may watch it anyway.
    """

    span: Span
    owner: str | None
    is_open: bool


@dataclass(frozen=True)
class Ruling:
    """What becomes of a request.

    owners: all of whom have to allow it, where it needs leave; with nobody, an editor has to. An
    editor's leave is always enough.
    """

    outcome: Literal["allowed", "forbidden", "needs_leave"]
    owners: tuple[str, ...] = ()


ALLOWED, FORBIDDEN = Ruling("allowed"), Ruling("forbidden")


def decide_by_room(policy: RoomPolicy | None, who: Principal | None, mode: Mode) -> Ruling | None:
    """Return what the room's policy alone decides; None where its recordings matter.

    The arguments are those of `decide`.
    """
    if who is None or who.sees_all:
        return ALLOWED
    if not may_request(policy, who):
        return FORBIDDEN
    return ALLOWED if mode == "open" else None


def decide(
    policy: RoomPolicy | None,
    who: Principal | None,
    span: Span,
    now: datetime,
    recordings: Sequence[Recording],
    mode: Mode,
) -> Ruling:
    """Return whether somebody may have a span of a room, or who has to allow it.

    Args:
        policy: of the room: who may request there.
        who: requests it; None for calendars and the operator.
        recordings: of the room, that overlap with the span.
        mode: whether anybody is asked.
    """
    decision = decide_by_room(policy, who, mode)
    if decision is not None:
        return decision
    # What is in a recording of theirs already is theirs, whoever else has requested it.
    new = list(_without(span, (recording.span for recording in recordings if recording.is_open)))
    others = [
        recording
        for recording in recordings
        if not recording.is_open and any(recording.span.cut_to(part) for part in new)
    ]
    past = past_of_nobody(span, now, (recording.span for recording in recordings))
    if not others and not past:
        return ALLOWED
    owners = {recording.owner for recording in others}
    if None in owners or past > (MARGIN if others else timedelta()):
        return Ruling("needs_leave")
    return Ruling("needs_leave", tuple(sorted(owner for owner in owners if owner)))


def past_of_nobody(span: Span, now: datetime, recorded: Iterable[Span]) -> timedelta:
    """Return how much of a span is past and in no recording."""
    if span.start >= now - GRACE:
        return timedelta()
    past = Span(span.start, min(span.end, now))
    return sum((left.length for left in _without(past, recorded)), timedelta())


def _without(span: Span, others: Iterable[Span]) -> Iterator[Span]:
    """Yield what is left of a span without others."""
    at = span.start
    for other in sorted(others, key=lambda one: one.start):
        if other.start > at:
            yield Span(at, min(other.start, span.end))
        at = max(at, other.end)
        if at >= span.end:
            return
    yield Span(at, span.end)

"""Which lecture a recording is of. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from merger.i18n import Message, sentences
from merger.timeline.clock import Span

TOLERANCE = timedelta(minutes=30)
_MINUTE = timedelta(minutes=1)


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
    A recording that holds at least half of several lectures, one after the other, is of the first
    if that is the nearest: nobody stopped it.

    Args:
        candidates: the lectures of the room or meeting, of the days around the recording.
        span: of the recording.
    """
    fitting = [lecture for lecture in candidates if _fits(lecture, span, tolerance)]
    if not fitting:
        nearest = min(candidates, key=lambda lecture: _distance(lecture, span), default=None)
        return NoMatch(_why_not(nearest, span), nearest)
    best = max(fitting, key=lambda lecture: _rank(lecture, span))
    # Nobody stopped it after the first lecture, so that it holds more of another.
    held = sorted(
        (lecture for lecture in fitting if _holds(span, lecture)), key=lambda lecture: lecture.span
    )
    first = next((lecture for lecture in held if _goes_before(lecture, best, span)), best)
    later = [lecture for lecture in held if lecture.span.start >= first.span.end]
    also = [
        lecture
        for lecture in fitting
        if _rank(lecture, span) == _rank(first, span) and lecture.course != first.course
    ]
    return Match(first, _why(first, span, later, also), tuple(also))


def _fits(lecture: Candidate, span: Span, tolerance: timedelta) -> bool:
    if _distance(lecture, span) <= tolerance:
        return True
    shorter = min(lecture.span.length, span.length)
    return bool(shorter) and lecture.span.cut_to(span).length * 2 >= shorter


def _rank(lecture: Candidate, span: Span) -> tuple[timedelta, timedelta, int]:
    return lecture.span.cut_to(span).length, -_distance(lecture, span), lecture.priority


def _distance(lecture: Candidate, span: Span) -> timedelta:
    return abs(lecture.span.start - span.start)


def _holds(span: Span, lecture: Candidate) -> bool:
    """Return whether at least half of a lecture is in a recording."""
    return bool(lecture.span) and lecture.span.cut_to(span).length * 2 >= lecture.span.length


def _goes_before(lecture: Candidate, best: Candidate, span: Span) -> bool:
    """Return whether a lecture is over before the best begins, and starts nearer to a recording."""
    is_over = lecture.span.end <= best.span.start
    return is_over and _distance(lecture, span) <= _distance(best, span)


def _why(
    lecture: Candidate, span: Span, later: Sequence[Candidate], also: Sequence[Candidate]
) -> Message:
    parts = [_start_of(lecture, span)]
    if later:
        parts.append(Message("timetable.match.goes_on", names=_names(later)))
    if also:
        parts.append(Message("timetable.match.also", names=_names(also)))
    return sentences(parts)


def _start_of(lecture: Candidate, span: Span) -> Message:
    minutes = _distance(lecture, span) // _MINUTE
    if not minutes:
        return Message("timetable.match.at_start", name=lecture.name)
    if span.start < lecture.span.start:
        return Message("timetable.match.before", name=lecture.name, count=minutes)
    return Message("timetable.match.after", name=lecture.name, count=minutes)


def _why_not(nearest: Candidate | None, span: Span) -> Message:
    if nearest is None:
        return Message("timetable.match.none")
    minutes = _distance(nearest, span) // _MINUTE
    if span.start < nearest.span.start:
        return Message("timetable.match.too_early", name=nearest.name, count=minutes)
    return Message("timetable.match.too_late", name=nearest.name, count=minutes)


def _names(several: Sequence[Candidate]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(lecture.name for lecture in several))

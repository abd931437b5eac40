"""The wall clock: spans, the output frame grid, segments, and tracks of clips and gaps.

Pure. Instants are aware UTC datetimes, lengths are timedeltas in whole microseconds, file time is a
whole number of microseconds, rates are Fractions. See docs/design/time.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from merger.errors import Invalid

MICROSECOND = timedelta(microseconds=1)
LONGEST_RECORD = timedelta(hours=24)
FARTHEST_AHEAD = timedelta(days=366)


@dataclass(frozen=True, order=True)
class Span:
    """A stretch of wall-clock time, half-open [start, end), aware UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.utcoffset() is None or self.end.utcoffset() is None:
            raise ValueError("a span needs aware instants")
        if self.end < self.start:
            raise ValueError(f"a span cannot end before it starts: {self.start} {self.end}")

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    def __bool__(self) -> bool:
        return self.end > self.start

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def cut_to(self, other: Span) -> Span:
        """Return what both spans share; empty, at the nearer edge, where they share nothing."""
        start = min(max(self.start, other.start), other.end)
        return Span(start, max(start, min(self.end, other.end)))


def microseconds(length: timedelta) -> int:
    """Return a length as a whole number of microseconds."""
    return length // MICROSECOND


@dataclass(frozen=True)
class FrameGrid:
    """The instants of the output frames: frame n shows the instant start + n / rate."""

    start: datetime
    rate: Fraction

    def instant(self, frame: int) -> datetime:
        """Return the instant that a frame shows, rounded to the microsecond."""
        return self.start + timedelta(microseconds=round(frame * 1_000_000 / self.rate))

    def first_at(self, instant: datetime) -> int:
        """Return the first frame that shows a certain instant, or one after it."""
        frame = math.ceil(microseconds(instant - self.start) * self.rate / 1_000_000)
        # Instants are rounded to the microsecond: up, for some frames of rates like 30000/1001.
        return frame - 1 if self.instant(frame - 1) >= instant else frame

    def nearest(self, instant: datetime) -> int:
        """Return the frame whose instant is nearest to a certain one."""
        return round(microseconds(instant - self.start) * self.rate / 1_000_000)


def frame_count(span: Span, rate: Fraction) -> int:
    """Return how many frames a span lasts, to the nearest; at least one."""
    return max(1, FrameGrid(span.start, rate).nearest(span.end))


@dataclass(frozen=True)
class ClockMap:
    """Where a file's own clock stands on the wall clock: linear, with the measured drift.

    wall = wall_zero + (file_us - file_zero_us) * rate, with `rate` wall seconds per file second.
    """

    wall_zero: datetime
    file_zero_us: int
    rate: Fraction = Fraction(1)

    def wall(self, file_us: int) -> datetime:
        return self.wall_zero + timedelta(
            microseconds=round((file_us - self.file_zero_us) * self.rate)
        )

    def file_us(self, wall: datetime) -> int:
        return self.file_zero_us + round(microseconds(wall - self.wall_zero) / self.rate)


@dataclass(frozen=True)
class Stretch:
    """A part of a file with media in it and no pause, in file time, half-open, microseconds."""

    start_us: int
    end_us: int

    def __contains__(self, at_us: int) -> bool:
        return self.start_us <= at_us < self.end_us


def merge_stretches(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Return stretches in order and without overlap."""
    merged: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda s: s.start_us):
        if merged and stretch.start_us <= merged[-1].end_us:
            before = merged.pop()
            stretch = Stretch(before.start_us, max(before.end_us, stretch.end_us))
        merged.append(stretch)
    return merged


def cut_stretches(stretches: Iterable[Stretch], window: Stretch) -> tuple[Stretch, ...]:
    """Return what of stretches lies in a window."""
    cut = (
        Stretch(max(s.start_us, window.start_us), min(s.end_us, window.end_us)) for s in stretches
    )
    return tuple(stretch for stretch in cut if stretch.start_us < stretch.end_us)


@dataclass(frozen=True)
class Segment:
    """One media file of one source, or what lies between two pauses in it, on the wall clock.

    `file` names the file to whoever reads it (a key, here an absolute path); `pictures` and
    `sound` are where the file really has media, in file time, in order and without overlap.
    """

    source: str
    file: str
    clock: ClockMap
    pictures: tuple[Stretch, ...]
    sound: tuple[Stretch, ...]
    # How long each picture is shown, in file time; 0 where the last one is missing.
    frame_us: int = 0
    # How much of a gap before or behind it says nothing, because its name is no more exact.
    leeway: timedelta = timedelta(0)

    def spans(self, stretches: Iterable[Stretch]) -> list[Span]:
        """Return stretches of this file on the wall clock."""
        return [Span(self.clock.wall(s.start_us), self.clock.wall(s.end_us)) for s in stretches]


@dataclass(frozen=True)
class Clip:
    """A piece of a segment on the timeline."""

    span: Span
    segment: Segment


@dataclass(frozen=True)
class Gap:
    """A stretch of a track without media: an item, not an absence."""

    span: Span


@dataclass(frozen=True)
class Track:
    """One source over the whole record: clips and gaps, edge to edge."""

    source: str
    items: tuple[Clip | Gap, ...]

    @property
    def clips(self) -> list[Clip]:
        return [item for item in self.items if isinstance(item, Clip)]

    @property
    def gaps(self) -> list[Gap]:
        return [item for item in self.items if isinstance(item, Gap)]


def _by_time(clip: Clip) -> tuple[datetime, datetime, str]:
    return clip.span.start, clip.span.end, clip.segment.file


def build_track(source: str, span: Span, clips: Iterable[Clip]) -> Track:
    """Lay clips edge to edge over a span, with gaps where there is nothing.

    Where clips overlap, the earlier one goes on until its end: both show the same instant, and
    every cut is a chance to see one.
    """
    items: list[Clip | Gap] = []
    at = span.start
    for clip in sorted(clips, key=_by_time):
        here = clip.span.cut_to(Span(at, span.end))
        if not here:
            continue
        if here.start > at:
            items.append(Gap(Span(at, here.start)))
        items.append(Clip(here, clip.segment))
        at = here.end
    if at < span.end or not items:
        items.append(Gap(Span(at, span.end)))
    return Track(source, tuple(items))


def picture_track(
    source: str, span: Span, segments: Sequence[Segment], frame: timedelta | None = None
) -> Track:
    """Return the pictures of one source over a span.

    Args:
        frame: the length of an output frame, where the last picture of a file is to stand over the
            moment until the next file begins.
    """
    clips = [
        Clip(s, seg) for seg in segments if seg.source == source for s in seg.spans(seg.pictures)
    ]
    if frame is not None:
        clips = _bridge_joints(clips, lambda clip, after: _standing_time(clip, after, frame))
    return build_track(source, span, clips)


def _bridge_joints(clips: Iterable[Clip], longest: Callable[[Clip, Clip], timedelta]) -> list[Clip]:
    """Let a file go on until the next one where no more than a moment is between them.

    Recorders lose some milliseconds when they begin a new file; a frame of the output that falls
    into them would flash a slate.

    Args:
        longest: how long a clip may go on until another.
    """
    bridged: list[Clip] = []
    last = 0  # the index of the clip that ends last, so far
    for clip in sorted(clips, key=_by_time):
        if bridged:
            before, start = bridged[last], clip.span.start
            if before.span.end < start <= before.span.end + longest(before, clip):
                bridged[last] = replace(before, span=Span(before.span.start, start))
        bridged.append(clip)
        if clip.span.end > bridged[last].span.end:
            last = len(bridged) - 1
    return bridged


def _standing_time(clip: Clip, after: Clip, frame: timedelta) -> timedelta:
    """Return for how long the last picture of a clip may stand: not before a pause or damage."""
    segment = clip.segment
    ends = segment.clock.wall(segment.pictures[-1].end_us)
    if not segment.frame_us or clip.span.end != ends:
        return timedelta(0)
    own = timedelta(microseconds=round(segment.frame_us * segment.clock.rate))
    return max(frame, own, _leeway(clip, after))


def sound_track(source: str, span: Span, segments: Sequence[Segment]) -> Track:
    """Return the sound of one source over a span."""
    clips = (Clip(s, seg) for seg in segments if seg.source == source for s in seg.spans(seg.sound))
    return build_track(source, span, _bridge_joints(clips, _silent_time))


def _silent_time(clip: Clip, after: Clip) -> timedelta:
    """Return for how long nothing else is heard between two clips, though neither has sound."""
    segment = clip.segment
    if clip.span.end != segment.clock.wall(segment.sound[-1].end_us):
        return timedelta(0)
    return _leeway(clip, after)


def _leeway(clip: Clip, after: Clip) -> timedelta:
    """Return the longest gap between two clips of which the names of their files say nothing."""
    return max(clip.segment.leeway, after.segment.leeway) - MICROSECOND


def without_spans(stretches: Sequence[Stretch], holes: Sequence[Stretch]) -> tuple[Stretch, ...]:
    """Return stretches with holes cut out of them, in order."""
    left = list(stretches)
    for hole in holes:
        cut: list[Stretch] = []
        for s in left:
            if hole.end_us <= s.start_us or hole.start_us >= s.end_us:
                cut.append(s)
                continue
            if s.start_us < hole.start_us:
                cut.append(Stretch(s.start_us, hole.start_us))
            if hole.end_us < s.end_us:
                cut.append(Stretch(hole.end_us, s.end_us))
        left = cut
    return tuple(left)


def is_plausible(instant: datetime) -> bool:
    """Return whether media can be of an instant, with room for arithmetic on either side."""
    return 1970 <= instant.year <= 9000


def record_span(start: datetime, end: datetime, now: datetime | None = None) -> Span:
    """Return the span of a record.

    Args:
        now: where the span must not be far ahead.

    Raises:
        Invalid: `start` or `end` cannot be meant.
    """
    for field, instant, key in (
        ("start", start, "timeline.start_year"),
        ("end", end, "timeline.end_year"),
    ):
        if not is_plausible(instant):
            raise Invalid(field, key, year=instant.year)
    if end <= start:
        raise Invalid(
            "end", "timeline.ends_before_start", start=start.isoformat(), end=end.isoformat()
        )
    if end - start > LONGEST_RECORD:
        raise Invalid("end", "timeline.too_long")
    if now is not None and start > now + FARTHEST_AHEAD:
        raise Invalid("start", "timeline.too_far_ahead")
    return Span(start, end)


def utc(instant: datetime) -> datetime:
    """Return the same instant in UTC. Raises ValueError for a naive one."""
    if instant.utcoffset() is None:
        raise ValueError(f"not an aware instant: {instant}")
    return instant.astimezone(UTC)

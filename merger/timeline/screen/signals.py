"""What the screen shows over a whole record: kinds of picture with their spans; pure.

Files are watched in windows of their own time; here their marks become spans of wall clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from merger.i18n import Message
from merger.timeline.clock import Clip, Span, Track
from merger.timeline.plan import Verdict

Kind = Verdict

# Of a file's own time. A window can be watched as soon as it is there, and is watched once, whoever
# needs a part of it.
WINDOW_US = 600_000_000


@dataclass(frozen=True)
class Mark:
    """What a picture of a file shows from a time on."""

    at_us: int
    kind: Kind
    reason: Message


@dataclass(frozen=True)
class Picture:
    """A copy (JPEG) of what is shown at a time."""

    at_us: int
    kind: Kind
    jpeg: bytes


@dataclass(frozen=True)
class Change:
    """A picture became another. is_build: only by what was added, such as the next bullet point."""

    at_us: int
    is_build: bool = False


@dataclass(frozen=True)
class Observation:
    """What watching a window of a file has shown. Times are file time, and all is in order.

    Attributes:
        marks: each holds until the next.
        changes: of pictures, but for those of a film.
        looks_us: of the pictures that were classified, or were alike to such.
        pictures: small ones, for people.
        slides: larger ones, with words that can be read: the last of each picture that stood.
    """

    marks: tuple[Mark, ...]
    changes: tuple[Change, ...] = ()
    looks_us: tuple[int, ...] = ()
    pictures: tuple[Picture, ...] = ()
    slides: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Shown:
    """What the screen shows in a span, and why we think so."""

    span: Span
    kind: Kind
    reason: Message


@dataclass(frozen=True)
class ShownPicture:
    """A copy (JPEG) of what is shown at an instant."""

    at: datetime
    kind: Kind
    jpeg: bytes


@dataclass(frozen=True)
class ScreenSignal:
    """What the screen shows over a record.

    Attributes:
        shown: tile the record.
        changes: when the picture became another, in order.
        builds: those of them that only added something.
        looks: when pictures were classified, in order.
        pictures: some of them, small, in order.
        slides: one at least of each that stood, larger, in order.
    """

    shown: tuple[Shown, ...]
    changes: tuple[datetime, ...] = ()
    builds: frozenset[datetime] = frozenset()
    looks: tuple[datetime, ...] = ()
    pictures: tuple[ShownPicture, ...] = ()
    slides: tuple[ShownPicture, ...] = ()


NO_MEDIA = Message("analysis.no_media")


def windows_of(clip: Clip) -> range:
    """Return the numbers of the windows of its file that a clip needs."""
    clock = clip.segment.clock
    first_us, end_us = clock.file_us(clip.span.start), clock.file_us(clip.span.end)
    return range(first_us // WINDOW_US, max(first_us, end_us - 1) // WINDOW_US + 1)


Observations = Mapping[tuple[str, int], Observation]  # by file and number of its window


def screen_signal(track: Track, observations: Observations) -> ScreenSignal:
    """Return what a screen shows at every instant of a track."""
    shown: list[Shown] = []
    changes: list[tuple[datetime, bool]] = []
    looks: list[datetime] = []
    pictures: list[ShownPicture] = []
    slides: list[ShownPicture] = []
    for item in track.items:
        if not isinstance(item, Clip):
            shown.append(Shown(item.span, "missing", NO_MEDIA))
            continue
        seen = [
            observations[item.segment.file, n]
            for n in windows_of(item)
            if (item.segment.file, n) in observations
        ]
        shown += _shown_in(item, [mark for window in seen for mark in window.marks])
        wall = item.segment.clock.wall
        for window in seen:
            changes += [
                (at, change.is_build)
                for change in window.changes
                if (at := wall(change.at_us)) in item.span
            ]
            looks += [at for us in window.looks_us if (at := wall(us)) in item.span]
            pictures += _pictures_in(item, window.pictures)
            slides += _pictures_in(item, window.slides)
    return ScreenSignal(
        tuple(join_alike(shown)),
        changes=tuple(sorted(at for at, _ in changes)),
        builds=frozenset(at for at, is_build in changes if is_build),
        looks=tuple(sorted(looks)),
        pictures=tuple(sorted(pictures, key=lambda picture: picture.at)),
        slides=tuple(sorted(slides, key=lambda picture: picture.at)),
    )


def _pictures_in(clip: Clip, pictures: Sequence[Picture]) -> list[ShownPicture]:
    wall = clip.segment.clock.wall
    return [
        ShownPicture(at, picture.kind, picture.jpeg)
        for picture in pictures
        if (at := wall(picture.at_us)) in clip.span
    ]


def _shown_in(clip: Clip, marks: Sequence[Mark]) -> list[Shown]:
    if not marks:  # nothing of it could be decoded
        return [Shown(clip.span, "missing", NO_MEDIA)]
    wall = clip.segment.clock.wall
    shown = []
    for n, mark in enumerate(marks):
        # What is before the first picture that could be decoded is shown as that.
        start = wall(mark.at_us) if n else clip.span.start
        end = wall(marks[n + 1].at_us) if n + 1 < len(marks) else clip.span.end
        here = Span(start, max(start, end)).cut_to(clip.span)
        if here:
            shown.append(Shown(here, mark.kind, mark.reason))
    return shown


def join_alike(shown: Sequence[Shown]) -> list[Shown]:
    """Join neighbours of one kind; the reason of the longest one stands for all."""
    joined: list[Shown] = []
    longest = None
    for here in shown:
        if joined and joined[-1].kind == here.kind:
            before = joined.pop()
            assert longest is not None
            if here.span.length > longest.span.length:
                longest = here
            here = Shown(Span(before.span.start, here.span.end), here.kind, longest.reason)
        else:
            longest = here
        joined.append(here)
    return joined


def cut_shown(shown: Sequence[Shown], span: Span) -> list[Shown]:
    """Return what of spans lies within one."""
    return [replace(here, span=cut) for here in shown if (cut := here.span.cut_to(span))]

"""The edit plan: which piece of which file is on screen, and heard, at every instant.

Pure: segments and signals in, plain values out. Frames are counted on the output frame grid, whose
zero is the start of the record.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import islice, pairwise
from typing import Literal

from merger.i18n import Message
from merger.timeline.clock import (
    FrameGrid,
    Gap,
    Segment,
    Span,
    Track,
    frame_count,
    microseconds,
    picture_track,
    sound_track,
)
from merger.timeline.layout import ALONE, DEFAULT_CORNER, LAYOUTS, Corner

Verdict = Literal[
    "presentation", "no_signal", "blank", "bars", "noise", "standby", "desktop", "lock",
    "screensaver", "missing",
]  # fmt: skip
# What stands on the right-hand side: both is the board with the slide small above it, the speaker
# means nothing, and the speaker alone.
Right = Literal["screen", "board", "both", "speaker"]
SlateKey = Literal["no_speaker", "no_screen", "no_board", "nothing"]

PART_US = 120_000_000  # parts end at multiples of this, of wall clock
SHORTEST_PART = timedelta(seconds=1)
# In a part. Each scene may open two files, and each open decoder of 1080p takes some 15 MB.
MOST_SCENES = 12
# Sound that would be heard for less than this is not worth two cross-fades.
SHORTEST_SOUND = timedelta(milliseconds=250)


@dataclass(frozen=True)
class Sources:
    """The names of a record's sources by role."""

    speaker: str
    screen: str | None = None
    board: str | None = None
    audio: str | None = None

    @property
    def by_sound(self) -> tuple[str, ...]:
        """The sources in the order in which their sound is preferred."""
        return tuple(
            dict.fromkeys(s for s in (self.audio, self.speaker, self.screen, self.board) if s)
        )

    @property
    def pictures(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(s for s in (self.speaker, self.screen, self.board) if s))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.pictures, *self.by_sound)))


@dataclass(frozen=True)
class Chunk:
    """One cell of the chunk grid and what the screen showed in it."""

    span: Span
    presence: bool
    verdict: Verdict
    score: Fraction  # share of presentation among the samples that had a picture, 0..1
    samples: int


@dataclass(frozen=True)
class Decision:
    """What is to stand on the right-hand side in a span, and why.

    verdict: what the screen shows.
    """

    span: Span
    right: Right
    verdict: Verdict
    why: Message


@dataclass(frozen=True)
class Overrule:
    """What an editor wants on the right-hand side in a span, whatever the screen shows."""

    span: Span
    right: Right


@dataclass(frozen=True)
class Chapter:
    """A slide while it is shown: its heading and all its words, as far as they could be read."""

    span: Span
    title: str = ""
    words: str = ""
    picture: bytes = field(default=b"", repr=False)  # JPEG, small; empty where none was kept


@dataclass(frozen=True)
class Slate:
    """A picture that we draw where there is no media."""

    key: SlateKey


@dataclass(frozen=True)
class Scene:
    """Frames [first, end) with one layout and one view on each side.

    None on a side: the layout leaves it out.

    Attributes:
        slide: the screen, small above the board on the right-hand side.
    """

    first: int
    end: int
    layout: str
    left: Segment | Slate | None
    right: Segment | Slate | None
    slide: Segment | None = None


@dataclass(frozen=True)
class Sound:
    """What is heard in a span: a segment's sound, or silence."""

    span: Span
    segment: Segment | None


@dataclass(frozen=True)
class Part:
    """Frames [first, end) that are encoded as one file."""

    first: int
    end: int


@dataclass(frozen=True)
class EditPlan:
    """All tracks, and what holds when, for one record.

    Attributes:
        decisions: what was to stand on the right-hand side.
        corner: where the speaker lies above the screen; None in layouts without that.
        chapters: the slides that were shown.
    """

    span: Span
    rate: Fraction
    frames: int
    tracks: tuple[Track, ...]
    chunks: tuple[Chunk, ...]
    scenes: tuple[Scene, ...]
    sound: tuple[Sound, ...]
    parts: tuple[Part, ...]
    decisions: tuple[Decision, ...] = ()
    corner: Corner | None = None
    chapters: tuple[Chapter, ...] = ()

    @property
    def grid(self) -> FrameGrid:
        return FrameGrid(self.span.start, self.rate)

    @property
    def has_right_side(self) -> bool:
        """Whether anything, be it a slate, stands on the right-hand side at any instant."""
        return any(scene.right is not None for scene in self.scenes)

    @property
    def shows_right(self) -> bool:
        """Whether a right-hand source is on screen at any instant."""
        return any(isinstance(scene.right, Segment) for scene in self.scenes)

    def gaps(self) -> list[tuple[str, Span]]:
        """Return what each source lacks, longer than one output frame."""
        shortest = timedelta(microseconds=round(1_000_000 / self.rate))
        return [
            (track.source, item.span)
            for track in self.tracks
            for item in track.gaps
            if item.span.length > shortest
        ]


def plan_edit(
    span: Span,
    rate: Fraction,
    layout: str,
    sources: Sources,
    segments: Sequence[Segment],
    chunks: Sequence[Chunk],
    decisions: Sequence[Decision],
    corner: Corner = DEFAULT_CORNER,
    chapters: Sequence[Chapter] = (),
) -> EditPlan:
    """Decide what is seen and heard at every instant of a span.

    The scenes, the sound and the parts of the result tile it.

    Args:
        chunks: tile the span.
        decisions: tile it, too.
        corner: for a layout in which the speaker lies above the screen.
        chapters: the slides that are shown, in order.
    """
    frame = timedelta(microseconds=round(1_000_000 / rate))
    tracks = {name: picture_track(name, span, segments, frame) for name in sources.pictures}
    frames = frame_count(span, rate)
    grid = FrameGrid(span.start, rate)
    lanes = {name: _to_frames(track, grid, frames) for name, track in tracks.items()}
    scenes = _scenes(grid, frames, layout, sources, lanes, chunks, decisions)
    return EditPlan(
        span=span,
        rate=rate,
        frames=frames,
        tracks=tuple(tracks.values()),
        chunks=tuple(chunks),
        scenes=tuple(scenes),
        sound=tuple(plan_sound(span, sources, segments)),
        parts=tuple(plan_parts(grid, frames, [scene.first for scene in scenes])),
        decisions=tuple(decisions),
        corner=corner if LAYOUTS[layout].inset else None,
        chapters=tuple(chapters),
    )


_Frames = list[tuple[int, int, Segment | None]]


def _to_frames(track: Track, grid: FrameGrid, frames: int) -> _Frames:
    """Return a track in frames: each frame shows what is on at its instant."""
    frames_shown: _Frames = []
    for item in track.items:
        first = min(frames, max(0, grid.first_at(item.span.start)))
        end = min(frames, max(0, grid.first_at(item.span.end)))
        if item is track.items[-1]:
            end = frames
        if first < end:
            frames_shown.append((first, end, None if isinstance(item, Gap) else item.segment))
    return frames_shown


def _scenes(
    grid: FrameGrid,
    frames: int,
    layout: str,
    sources: Sources,
    lanes: Mapping[str, _Frames],
    chunks: Sequence[Chunk],
    decisions: Sequence[Decision],
) -> list[Scene]:
    cells = _cells(grid, frames, [chunk.span for chunk in chunks])
    decided = _cells(grid, frames, [decision.span for decision in decisions])
    edges = {0, frames}
    edges.update(edge for first, end in (*cells, *decided) for edge in (first, end))
    edges.update(edge for lane in lanes.values() for first, end, _ in lane for edge in (first, end))
    scenes: list[Scene] = []
    for first, end in pairwise(sorted(edges)):
        begins, ends = cells[_cell_at(cells, first)]
        right = decisions[_cell_at(decided, first)].right
        shown = {name: _shown_at(lane, first) for name, lane in lanes.items()}
        board = lanes[sources.board] if sources.board is not None else []
        scene = Scene(
            first,
            end,
            layout,
            shown[sources.speaker] or Slate("no_speaker"),
            *_right_views(layout, sources, shown, right, _has_media(board, begins, ends)),
        )
        without_speaker = LAYOUTS[layout].without_speaker
        if scene.right is None:
            scene = replace(scene, layout=ALONE)
        elif without_speaker is not None and isinstance(scene.left, Slate):
            scene = replace(scene, layout=without_speaker, left=None)
        if scenes and replace(scenes[-1], first=first, end=end) == scene:
            scene = replace(scene, first=scenes.pop().first)
        scenes.append(scene)
    return scenes


def _cells(grid: FrameGrid, frames: int, spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Return spans that tile the record as frames [first, end)."""
    cells = [
        (max(0, grid.first_at(span.start)), min(frames, grid.first_at(span.end))) for span in spans
    ]
    return [*cells[:-1], (cells[-1][0], frames)] if cells else []


def _cell_at(cells: Sequence[tuple[int, int]], frame: int) -> int:
    return bisect_right(cells, frame, key=lambda cell: cell[0]) - 1


def _shown_at(lane: _Frames, frame: int) -> Segment | None:
    n = bisect_right(lane, frame, key=lambda item: item[0]) - 1
    return lane[n][2] if n >= 0 and frame < lane[n][1] else None


def _has_media(lane: _Frames, first: int, end: int) -> bool:
    n = max(0, bisect_right(lane, first, key=lambda item: item[0]) - 1)
    for begins, ends, segment in islice(lane, n, None):
        if begins >= end:
            return False
        if segment is not None and ends > first:
            return True
    return False


def _right_views(
    layout: str,
    sources: Sources,
    shown: Mapping[str, Segment | None],
    right: Right,
    has_board: bool,
) -> tuple[Segment | Slate | None, Segment | None]:
    """Return the right-hand view, and the slide above it where both are to be seen.

    That is the screen where it is to be, else the board, else none. Of both, what has no media is
    left out.

    Args:
        has_board: whether the board has media anywhere in the chunk.
    """
    if layout == ALONE or right == "speaker":
        return None, None
    board = shown[sources.board] if sources.board else None
    screen = shown[sources.screen] if sources.screen else None
    if right == "both" and board and screen:
        return board, screen
    if right in ("screen", "both") and sources.screen:
        return screen or board or Slate("no_screen"), None
    if has_board:
        return board or Slate("no_board"), None
    return None, None


def plan_sound(span: Span, sources: Sources, segments: Sequence[Segment]) -> list[Sound]:
    """Choose at every instant the sound of the first source, by preference, that has any."""
    tracks = [sound_track(name, span, segments) for name in sources.by_sound]
    edges = {span.start, span.end}
    edges.update(
        edge for t in tracks for clip in t.clips for edge in (clip.span.start, clip.span.end)
    )
    chosen: list[Sound] = []
    for start, end in pairwise(sorted(edges)):
        segment = next(
            (clip.segment for t in tracks for clip in t.clips if start in clip.span), None
        )
        _append_sound(chosen, Sound(Span(start, end), segment))
    return _drop_blips(chosen)


def _append_sound(chosen: list[Sound], sound: Sound) -> None:
    if chosen and chosen[-1].segment == sound.segment:
        sound = Sound(Span(chosen.pop().span.start, sound.span.end), sound.segment)
    chosen.append(sound)


def _drop_blips(chosen: Iterable[Sound]) -> list[Sound]:
    """Let the sound before a very short one go on (it is silent where it has nothing)."""
    sounds: list[Sound] = []
    for sound in chosen:
        if sounds and sound.span.length < SHORTEST_SOUND:
            sound = replace(sound, segment=sounds[-1].segment)
        _append_sound(sounds, sound)
    if len(sounds) > 1 and sounds[0].span.length < SHORTEST_SOUND:
        start = sounds.pop(0).span.start
        sounds[0] = Sound(Span(start, sounds[0].span.end), sounds[0].segment)
    return sounds


def plan_parts(grid: FrameGrid, frames: int, cuts: Sequence[int] = ()) -> list[Part]:
    """Cut a record into parts that end at multiples of two minutes of wall clock.

    The multiples are of the Unix epoch, so a record that starts at another instant shares all
    parts but the first with this one. A part under a second is joined to its neighbour. Where many
    scenes begin, the two minutes are halved, and so on.

    Args:
        cuts: the first frames of the scenes.
    """
    shortest = max(1, round(grid.rate * SHORTEST_PART.seconds))
    epoch = datetime.fromtimestamp(0, grid.start.tzinfo)
    start_us = microseconds(grid.start - epoch)

    def frame(us: int) -> int:
        return min(frames, grid.first_at(epoch + timedelta(microseconds=us)))

    def ends(begin_us: int, length_us: int) -> Iterator[int]:
        inside = bisect_right(cuts, frame(begin_us + length_us)) - bisect_right(
            cuts, frame(begin_us)
        )
        if inside > MOST_SCENES and length_us // 2 >= 2 * microseconds(SHORTEST_PART):
            yield from ends(begin_us, length_us // 2)
            yield from ends(begin_us + length_us // 2, length_us - length_us // 2)
        else:
            yield frame(begin_us + length_us)

    parts = [0]
    at_us = start_us // PART_US * PART_US
    while parts[-1] < frames and frame(at_us) < frames:
        for end in ends(at_us, PART_US):
            if end - parts[-1] >= shortest and frames - end >= shortest:
                parts.append(end)
        at_us += PART_US
    return [Part(first, end) for first, end in pairwise([*parts, frames])]

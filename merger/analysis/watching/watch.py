"""A stretch of a file, watched: what it shows from when on, to the frame; runs in a reader.

Key frames are cheap to decode: they are looked at every two seconds. Between two of them something
is decoded only where packets or the two pictures say that something happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from av.video.frame import VideoFrame

from merger.analysis.cards import Card, shipped_cards
from merger.analysis.classify import Sample, classify, read_few
from merger.analysis.decoding import Plane, decode_from, planes, sample_targets
from merger.analysis.jpeg import encode_jpeg
from merger.analysis.targets import Target
from merger.analysis.watching.activity import (
    Burst,
    bursts_between,
    extra_keys,
    find_bursts,
    is_film,
    largest_share,
)
from merger.analysis.watching.savers import find_savers, find_spot
from merger.analysis.watching.thumbs import (
    SAME,
    Thumb,
    difference,
    is_changed,
    only_adds,
    thumb_of,
)
from merger.analysis.words.memory import at_most, read_nothing, remember
from merger.analysis.words.reading import Line
from merger.i18n import Message
from merger.timeline.clock import Stretch
from merger.timeline.layout import Size
from merger.timeline.media import MediaFile
from merger.timeline.screen.signals import Change, Mark, Observation, Picture

_EVERY_US = 2_000_000  # key frames are looked at
# Pictures of ten minutes whose words are read, for 0.3 s of a processor each: what has few words,
# and shows others all the time, is doubtful, and a presentation.
_MOST_READ = 20
_KNOWN = 12  # pictures that were classified last: a screen returns to them
_MOVING_EVERY_US = 500_000  # something that moves is classified
_ONE_CHANGE_US = 150_000  # pictures that become others one so soon after the other, as in a fade
# Where two looks are alike and no picture between them takes this share of a key frame, it was the
# pointer: a slide that was there and is gone again takes more.
_POINTER = 0.1
# What is hidden between two looks that are nearer would be too short for a switch.
_HIDDEN_US = 4_000_000
_AFTER = 2  # pictures after a burst are decoded, too: encoders sharpen what they sent at first
_LARGEST_PICTURE = Size(192, 108)
_PICTURE_EVERY_US = 100_000_000  # for people, besides those of new pictures
_MOST_PICTURES = 40  # of a window
_SLIDE = Size(1280, 720)  # in which words of a slide can be read
_MOST_SLIDES = 200  # of a window: three seconds each


@dataclass(frozen=True)
class _Look:
    """A key frame that was looked at. index: its number among the pictures of the file."""

    index: int
    at_us: int
    thumb: Thumb
    sample: Sample
    is_extra: bool


@dataclass
class _Watch:
    """What is known while a stretch is watched."""

    file: MediaFile
    cards: Sequence[Card]
    read: Callable[[Plane], list[Line]]
    known: list[tuple[Thumb, Sample]] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    looks_us: list[int] = field(default_factory=list)
    slides: list[Picture] = field(default_factory=list)

    def classify(self, at_us: int, frame: VideoFrame, thumb: Thumb) -> Sample:
        """Return what a picture shows; one like those that were classified last is as they are."""
        self.looks_us.append(at_us)
        for before, sample in reversed(self.known[-_KNOWN:]):
            if difference(before, thumb) <= SAME:
                return sample
        sample = classify(*planes(frame), self.cards, self.read)
        self.known.append((thumb, sample))
        return sample

    def mark(self, at_us: int, sample: Sample) -> None:
        self.marks.append(Mark(at_us, sample.verdict, sample.reason))

    def keep_slide(self, at_us: int, sample: Sample, frame: VideoFrame) -> None:
        """Keep a picture that stands, with words that can be read."""
        if sample.verdict == "presentation" and len(self.slides) < _MOST_SLIDES:
            assert self.file.video is not None
            jpeg = encode_jpeg(frame, self.file.video, _SLIDE)
            self.slides.append(Picture(at_us, sample.verdict, jpeg))


def prepare() -> None:
    """Draw the cards once, for all forks of a reader."""
    cv2.setNumThreads(1)  # a fork would wait for the threads of OpenCV, which are not in it
    shipped_cards()


def watch(
    file: MediaFile, stretch: Stretch, own_cards: Sequence[Card], *, reads: bool = True
) -> Observation:
    """Return what a stretch of a file shows; what was before it counts as far as it goes on.

    Args:
        own_cards: the user's "no signal" cards, beside those that ship.
        reads: whether words are evidence, too.
    """
    assert file.video is not None
    read = remember(at_most(_MOST_READ, read_few)) if reads else read_nothing
    state = _Watch(file, (*shipped_cards(), *own_cards), read)
    bursts = find_bursts(file)
    pictures: list[Picture] = []
    looks: list[_Look] = []
    before: VideoFrame | None = None
    for look, frame in _look_at_keys(state, stretch):
        is_new = not looks or is_changed(looks[-1].thumb, look.thumb)
        if is_new and before is not None:
            state.keep_slide(looks[-1].at_us, looks[-1].sample, before)
        before = frame
        is_late = not pictures or look.at_us - pictures[-1].at_us >= _PICTURE_EVERY_US
        if (is_new or is_late) and len(pictures) < _MOST_PICTURES and look.at_us < stretch.end_us:
            jpeg = encode_jpeg(frame, file.video, _LARGEST_PICTURE)
            pictures.append(Picture(look.at_us, look.sample.verdict, jpeg))
        looks.append(look)
    if before is not None:
        state.keep_slide(looks[-1].at_us, looks[-1].sample, before)
    savers = find_savers([k.at_us for k in looks], [find_spot(k.thumb) for k in looks])
    looks = _with_savers(looks, savers)
    for n, look in enumerate(looks):
        state.mark(look.at_us, look.sample)
        after = looks[n + 1] if n + 1 < len(looks) else None
        _look_between(state, bursts, look, after, stretch)
    return _cut(state, pictures, stretch)


def _look_at_keys(state: _Watch, stretch: Stretch) -> Iterator[tuple[_Look, VideoFrame]]:
    """Look at key frames: the last before a stretch, some in it, and the first after it."""
    file = state.file
    extra = extra_keys(file)
    targets = [
        Target(str(file.path), key, int(file.right_us[key])) for key in _pick_keys(file, stretch)
    ] or [Target(str(file.path), 0, stretch.start_us)]
    for target, frame in sample_targets(file, targets):
        thumb = thumb_of(frame)
        index = int(np.searchsorted(file.picture_us, target.at_us))
        sample = state.classify(target.at_us, frame, thumb)
        yield _Look(index, target.at_us, thumb, sample, target.key in extra), frame


def _pick_keys(file: MediaFile, stretch: Stretch) -> list[int]:
    """Return the numbers of the key frames to look at."""
    extra = extra_keys(file)
    times_us = file.right_us.tolist()
    picked: list[int] = []
    before = file.key_before(stretch.start_us)
    for key in range(before or 0, len(times_us)):
        is_due = not picked or times_us[key] - times_us[picked[-1]] >= _EVERY_US - _slack(file)
        if is_due or key in extra or times_us[key] >= stretch.end_us:
            picked.append(key)
        if times_us[key] >= stretch.end_us:
            break
    return picked


def _slack(file: MediaFile) -> int:
    """Return half a frame: key frames two seconds apart are so to within that."""
    return file.video.frame_us // 2 if file.video else 0


def _with_savers(looks: list[_Look], savers: Sequence[tuple[int, int]]) -> list[_Look]:
    saver = Sample("screensaver", Message("analysis.wanders"))
    for first, last in savers:
        for n in range(first, last + 1):
            k = looks[n]
            looks[n] = _Look(k.index, k.at_us, k.thumb, saver, k.is_extra)
    return looks


def _look_between(
    state: _Watch, bursts: Sequence[Burst], look: _Look, after: _Look | None, stretch: Stretch
) -> None:
    """Find what happened between two looks, and when."""
    file = state.file
    end = after.index if after else int(np.searchsorted(file.picture_us, stretch.end_us))
    inside = bursts_between(bursts, look.index, end)
    if after is None:
        if inside:
            _follow(state, look, inside[-1].last, end, None)
        return
    kinds_agree = look.sample.verdict == after.sample.verdict
    is_alike = kinds_agree and not is_changed(look.thumb, after.thumb)
    if kinds_agree and look.sample.verdict == "screensaver":
        return
    if is_alike and largest_share(file, inside, look.index, end) < _POINTER:
        return
    if kinds_agree and is_film(file, inside, look.index, end):
        return
    is_near = after.at_us - look.at_us < _HIDDEN_US
    if not inside and is_near and (kinds_agree or after.is_extra):
        state.changes.append(Change(after.at_us, only_adds(look.thumb, after.thumb)))
        return
    reached = _follow(state, look, inside[-1].last if inside else look.index, end, after)
    if is_changed(reached, after.thumb):
        state.changes.append(Change(after.at_us, only_adds(reached, after.thumb)))


def _follow(state: _Watch, look: _Look, last: int, end: int, after: _Look | None) -> Thumb:
    """Decode from a look on, and mark where the picture becomes another.

    Args:
        last: the number of the last picture that packets speak of; beyond it pictures are decoded
            until they are as at the next look.
        end: before which picture to end.

    Returns:
        the last picture that was looked at, small.
    """
    times_us = state.file.picture_us
    if end - 1 <= look.index:
        return look.thumb
    changed = _Changes(state, look)
    for at_us, frame in decode_from(state.file, look.at_us, int(times_us[end - 1])):
        number = int(np.searchsorted(times_us, at_us - 1))
        if number <= look.index:
            continue
        changed.add(at_us, frame)
        is_over = after is None or not is_changed(changed.before, after.thumb)
        if number >= last + _AFTER and is_over:
            break
    changed.finish()
    return changed.before


class _Changes:
    """Pictures one after another: which of them begins something new."""

    def __init__(self, state: _Watch, look: _Look) -> None:
        self._state = state
        self.before = look.thumb
        self._stood = look.thumb  # what stood last
        self._sample = look.sample
        self._moving: list[tuple[int, Thumb]] = []  # all since it began to move
        self._classified_us = look.at_us

    def add(self, at_us: int, frame: VideoFrame) -> None:
        thumb = thumb_of(frame)
        moves = is_changed(self.before, thumb)
        self.before = thumb
        if moves:
            if self._moving and at_us - self._moving[-1][0] > _ONE_CHANGE_US:
                self.finish()
            if not self._moving or at_us - self._classified_us >= _MOVING_EVERY_US:
                self._take(at_us, at_us, frame, thumb)
            self._moving.append((at_us, thumb))
        elif self._moving:
            # It stands: what it is now it has been since it first looked like this.
            since_us = next(us for us, seen in self._moving if not is_changed(seen, thumb))
            self._take(since_us, at_us, frame, thumb)
            self._state.keep_slide(at_us, self._sample, frame)
            self.finish()

    def finish(self) -> None:
        """Write down the change that is over."""
        if self._moving:
            is_build = only_adds(self._stood, self.before)
            self._state.changes.append(Change(self._moving[0][0], is_build))
            self._stood = self.before
            self._moving = []

    def _take(self, since_us: int, at_us: int, frame: VideoFrame, thumb: Thumb) -> None:
        sample = self._state.classify(at_us, frame, thumb)
        self._classified_us = at_us
        if sample.verdict != self._sample.verdict:
            self._state.mark(since_us, sample)
            self._sample = sample


def _cut(state: _Watch, pictures: Sequence[Picture], stretch: Stretch) -> Observation:
    """Return what lies in the stretch; what was shown before it goes on at its start."""
    marks: list[Mark] = []
    for mark in sorted(state.marks, key=lambda m: m.at_us):
        if mark.at_us >= stretch.end_us:
            break
        at_us = max(mark.at_us, stretch.start_us)
        mark = Mark(at_us, mark.kind, mark.reason)
        if marks and marks[-1].at_us == at_us:
            marks.pop()
        if not marks or marks[-1].kind != mark.kind:
            marks.append(mark)
    by_time = {change.at_us: change for change in state.changes if change.at_us in stretch}
    return Observation(
        tuple(marks),
        changes=tuple(by_time[us] for us in sorted(by_time)),
        looks_us=tuple(sorted(us for us in state.looks_us if us in stretch)),
        pictures=_in_order(pictures, stretch),
        slides=_in_order(state.slides, stretch),
    )


def _in_order(pictures: Sequence[Picture], stretch: Stretch) -> tuple[Picture, ...]:
    return tuple(sorted((p for p in pictures if p.at_us in stretch), key=lambda p: p.at_us))

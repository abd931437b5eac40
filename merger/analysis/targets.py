"""Which pictures of a chunk are looked at; pure.

Key frames, as they are cheap; where there are fewer than five in a chunk, others, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from merger.i18n import Message
from merger.timeline.clock import Clip, Gap, Span, Track
from merger.timeline.media import MediaFile
from merger.timeline.plan import Verdict

SAMPLE_EVERY = timedelta(seconds=10)
FEWEST_SAMPLES = 5


@dataclass(frozen=True)
class Target:
    """A picture to look at: a key frame of a file, or what is shown at a time after one."""

    file: str
    key: int  # number of the key frame to begin with
    at_us: int  # file time of the picture


@dataclass(frozen=True)
class Sight:
    """What a picture shows. jpeg: where people may look at it."""

    target: Target
    verdict: Verdict
    reason: Message
    jpeg: bytes | None


def targets(chunk: Span, track: Track, media: Mapping[str, MediaFile]) -> tuple[list[Target], int]:
    """Return the pictures to look at in a chunk, and how many samples find no media at all.

    Pure. The chunk is cut into equal slots of at most ten seconds, at least five; each gives the
    key frame nearest to its middle. Where a chunk has fewer than five key frames, pictures between
    them make up the five: one key frame alone would decide for all that comes after it.
    """
    slots = max(FEWEST_SAMPLES, -(-chunk.length // SAMPLE_EVERY))
    keys = [t for clip in track.clips for t in _key_targets(chunk, clip, media[clip.segment.file])]
    picked: list[Target] = []
    without_key: list[Target] = []  # what is shown in the middle of the other slots
    missing = 0
    for n in range(slots):
        slot = Span(
            chunk.start + chunk.length * n / slots, chunk.start + chunk.length * (n + 1) / slots
        )
        middle = slot.start + slot.length / 2
        inside = [(abs(at - middle), target) for at, target in keys if at in slot]
        if inside:
            picked.append(min(inside, key=lambda found: found[0])[1])
        elif any(isinstance(item, Gap) and middle in item.span for item in track.items):
            missing += 1
        else:
            without_key += [
                _target_between_keys(middle, clip, media)
                for clip in track.clips
                if middle in clip.span
            ][:1]
    if len(picked) < FEWEST_SAMPLES:  # key frames that lie close together
        rest = [target for _, target in keys if target not in picked]
        wanted = min(len(rest), FEWEST_SAMPLES - len(picked))
        picked += [rest[len(rest) * n // wanted] for n in range(wanted)]
    picked += pick_evenly(without_key, max(0, FEWEST_SAMPLES - len(picked)))
    if not picked:  # media that no middle of a slot falls into
        clips = [clip for clip in track.clips if clip.span.cut_to(chunk)]
        for clip in sorted(clips, key=lambda c: c.span.cut_to(chunk).length)[-1:]:
            here = clip.span.cut_to(chunk)
            picked.append(_target_between_keys(here.start + here.length / 2, clip, media))
    return picked, missing


def _key_targets(chunk: Span, clip: Clip, file: MediaFile) -> Iterator[tuple[Any, Target]]:
    here = clip.span.cut_to(chunk)
    if not here:
        return
    clock = clip.segment.clock
    starts_us, ends_us = clock.file_us(here.start), clock.file_us(here.end)
    for key in np.flatnonzero((file.right_us >= starts_us) & (file.right_us < ends_us)).tolist():
        at_us = int(file.right_us[key])
        yield clock.wall(at_us), Target(clip.segment.file, key, at_us)


def _target_between_keys(at: datetime, clip: Clip, media: Mapping[str, MediaFile]) -> Target:
    at_us = clip.segment.clock.file_us(at)
    return Target(clip.segment.file, media[clip.segment.file].key_before(at_us) or 0, at_us)


def pick_evenly(wanted: Sequence[Target], most: int) -> list[Target]:
    """Return at most so many targets, pick_evenly spread. Pure."""
    count = min(most, len(wanted))
    return [wanted[(2 * n + 1) * len(wanted) // (2 * count)] for n in range(count)]

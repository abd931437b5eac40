"""What is heard, to the sample: from the plan to the spec of the sound. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise

from merger.timeline.clock import microseconds
from merger.timeline.media import Audio, MediaFile
from merger.timeline.plan import EditPlan, Sound
from merger.timeline.profiles import SAMPLE_RATE
from merger.timeline.specs import CROSSFADE, Input, SoundPiece, SoundSpec

_SETTLING_US = 500_000  # a decoder needs a packet or two to get going


def sound_spec(
    plan: EditPlan,
    media: Mapping[str, MediaFile],
    identities: Mapping[str, str],
    bitrate: str,
    loudness: float | None = None,
) -> SoundSpec:
    """Return all that determines the sound of a plan. The pieces last exactly as long as it."""
    total = round(plan.frames * SAMPLE_RATE / plan.rate)
    pieces: list[SoundPiece] = []
    at = 0
    for n, sound in enumerate(plan.sound):
        last = n == len(plan.sound) - 1
        end = total if last else min(total, _sample(plan, sound.span.end))
        if end <= at:
            continue
        fades = bool(pieces) and not _is_same_source(plan.sound[n - 1], sound)
        for begins, until, audio in _streams(plan, sound, media, at, end):
            lead = round(CROSSFADE.total_seconds() * SAMPLE_RATE) if fades else 0
            piece = SoundPiece(until - begins, lead=lead)
            if audio is not None:
                assert sound.segment is not None
                file, clock = media[sound.segment.file], sound.segment.clock
                at_us = clock.file_us(_instant(plan, begins - lead))
                piece = dataclasses.replace(
                    piece,
                    input=Input(
                        sound.segment.file,
                        identities[sound.segment.file],
                        file.demuxer,
                        audio.stream,
                        _seek_us(file, at_us),
                    ),
                    at_us=at_us,
                    rate=clock.rate,
                    sample_rate=audio.sample_rate or SAMPLE_RATE,
                    mono=audio.channels == 1,
                )
            pieces.append(piece)
            fades = True
        at = end
    return SoundSpec(total, tuple(pieces), bitrate, loudness)


def _streams(
    plan: EditPlan, sound: Sound, media: Mapping[str, MediaFile], at: int, end: int
) -> list[tuple[int, int, Audio | None]]:
    """Return the streams of a sound's file that are heard between two samples, edge to edge."""
    if sound.segment is None:
        return [(at, end, None)]
    file, clock = media[sound.segment.file], sound.segment.clock
    found = file.audio_between(*(clock.file_us(_instant(plan, sample)) for sample in (at, end)))
    starts = [at, *(_sample(plan, clock.wall(change.at_us)) for change in found[1:]), end]
    return [
        (start, until, change.audio)
        for (start, until), change in zip(pairwise(starts), found, strict=True)
        if until > start
    ]


def _instant(plan: EditPlan, sample: int) -> datetime:
    return plan.span.start + timedelta(microseconds=round(sample * 1_000_000 / SAMPLE_RATE))


def _sample(plan: EditPlan, at: datetime) -> int:
    return round(microseconds(at - plan.span.start) * SAMPLE_RATE / 1_000_000)


def _seek_us(file: MediaFile, at_us: int) -> int | None:
    seek_us = at_us - _SETTLING_US
    # ffmpeg seeks by pictures, and to nothing before the first of them.
    begins_us = max(file.zero_us, int(file.key_us[0]) if len(file.key_us) else file.zero_us)
    return seek_us if seek_us > begins_us else None


def _is_same_source(before: Sound, after: Sound) -> bool:
    sources = [sound.segment.source if sound.segment else None for sound in (before, after)]
    return sources[0] == sources[1]

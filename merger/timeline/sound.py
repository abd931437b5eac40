"""What is heard, to the sample: from the plan to the spec of the sound. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import timedelta

from merger.timeline.clock import microseconds
from merger.timeline.media import MediaFile
from merger.timeline.plan import EditPlan, Sound
from merger.timeline.profiles import SAMPLE_RATE
from merger.timeline.specs import CROSSFADE, Input, SoundPiece, SoundSpec

_SETTLING_US = 500_000  # a decoder needs a packet or two to get going


def sound_spec(
    plan: EditPlan, media: Mapping[str, MediaFile], identities: Mapping[str, str], bitrate: str
) -> SoundSpec:
    """Return all that determines the sound of a plan. The pieces last exactly as long as it."""
    total = round(plan.frames * SAMPLE_RATE / plan.rate)
    pieces: list[SoundPiece] = []
    at = 0
    for n, sound in enumerate(plan.sound):
        last = n == len(plan.sound) - 1
        end = total if last else min(total, _end_sample(plan, sound))
        if end <= at:
            continue
        fades = bool(pieces) and not _is_same_source(plan.sound[n - 1], sound)
        lead = round(CROSSFADE.total_seconds() * SAMPLE_RATE) if fades else 0
        piece = SoundPiece(end - at, lead=lead)
        if sound.segment is not None:
            file = media[sound.segment.file]
            assert file.audio is not None
            start = plan.span.start + timedelta(
                microseconds=round((at - lead) * 1_000_000 / SAMPLE_RATE)
            )
            at_us = sound.segment.clock.file_us(start)
            piece = dataclasses.replace(
                piece,
                input=Input(
                    sound.segment.file,
                    identities[sound.segment.file],
                    file.demuxer,
                    file.audio.stream,
                    _seek_us(file, at_us),
                ),
                at_us=at_us,
                rate=sound.segment.clock.rate,
                sample_rate=file.audio.sample_rate or SAMPLE_RATE,
                mono=file.audio.channels == 1,
            )
        pieces.append(piece)
        at = end
    return SoundSpec(total, tuple(pieces), bitrate)


def _end_sample(plan: EditPlan, sound: Sound) -> int:
    return round(microseconds(sound.span.end - plan.span.start) * SAMPLE_RATE / 1_000_000)


def _seek_us(file: MediaFile, at_us: int) -> int | None:
    seek_us = at_us - _SETTLING_US
    # ffmpeg seeks by pictures, and to nothing before the first of them.
    begins_us = max(file.zero_us, int(file.key_us[0]) if len(file.key_us) else file.zero_us)
    return seek_us if seek_us > begins_us else None


def _is_same_source(before: Sound, after: Sound) -> bool:
    sources = [sound.segment.source if sound.segment else None for sound in (before, after)]
    return sources[0] == sources[1]

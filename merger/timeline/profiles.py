"""Profiles: named canvas and encoder settings, as data.

Pure. Which encoders a machine really has is found out in `merger/render/ffmpeg.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from merger.errors import Invalid

Codec = Literal["h264", "av1"]

SAMPLE_RATE = 48_000
SOUND_BITRATE = "128k"


@dataclass(frozen=True)
class Encoder:
    """One ffmpeg encoder, and the options that give good lecture pictures."""

    name: str
    codec: Codec
    hardware: Literal["cuda", "vaapi"] | None
    options: tuple[tuple[str, str | int], ...]


@dataclass(frozen=True)
class Profile:
    """A canvas height, a frame rate and the codec of the result."""

    name: str
    lines: int
    codec: Codec
    rate: Fraction = Fraction(25)


# A key frame every five seconds keeps seeking quick; slides cost little then.
_KEY_FRAMES = 125

ENCODERS: Mapping[str, Encoder] = {
    encoder.name: encoder
    for encoder in (
        Encoder("h264_nvenc", "h264", "cuda", (
            ("preset", "p4"), ("rc", "vbr"), ("cq", 25), ("b:v", 0),
            ("profile:v", "high"), ("g", _KEY_FRAMES),
        )),
        Encoder("h264_vaapi", "h264", "vaapi", (
            ("rc_mode", "CQP"), ("qp", 24), ("profile:v", "high"), ("g", _KEY_FRAMES),
        )),
        Encoder("libx264", "h264", None, (
            ("preset", "veryfast"), ("crf", 23), ("profile:v", "high"), ("g", _KEY_FRAMES),
        )),
        Encoder("libsvtav1", "av1", None, (("preset", 12), ("crf", 35), ("g", _KEY_FRAMES))),
    )
}  # fmt: skip

PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("720p", 720, "h264"),
        Profile("full", 1080, "h264"),
        Profile("540p", 540, "h264"),
        Profile("av1", 720, "av1"),
        Profile("auto", 720, "h264"),  # the default under the name that says how it encodes
    )
}
DEFAULT_PROFILE = "720p"


def profile_named(name: str) -> Profile:
    """Return a profile of the table. Raises Invalid for an unknown name."""
    if name not in PROFILES:
        raise Invalid("profile", "timeline.no_profile", name=name, profiles=tuple(PROFILES))
    return PROFILES[name]


def candidates(profile: Profile) -> list[Encoder]:
    """Return the encoders of a profile's codec: hardware first, then software."""
    return [encoder for encoder in ENCODERS.values() if encoder.codec == profile.codec]


def software(profile: Profile) -> Encoder:
    """Return the encoder of a profile that needs no hardware."""
    return next(encoder for encoder in candidates(profile) if encoder.hardware is None)

"""Specs: all that determines one encoded file, as plain JSON-able values with a content hash.

Pure. A step that encodes gets nothing but such a spec; a file in the cache is named by its hash.
What these classes and their fields are called is part of that hash: it stays as it is.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Any

from merger.timeline.layout import Size
from merger.timeline.media import Colours
from merger.timeline.plan import SlateKey
from merger.timeline.profiles import SAMPLE_RATE, Encoder

# Raise it when the same spec would give other pictures or another sound.
SPEC_VERSION = 1
# What does not change the pictures of a content, and so its name.
_NOT_NAMED = {"file", "seek_us", "pictures", "pixel_aspect", "rotation"}
# What came later: where it is None, what was encoded without it keeps its name.
_NAMED_IF_SET = {"colours", "place", "loudness", "above"}
CROSSFADE = timedelta(milliseconds=40)
# Of sound, that one command makes: each takes some 300 bytes of a graph, which is one argument, and
# Linux lets none be longer than 128 KiB.
MOST_PIECES = 100
PCM_BYTES = 8  # of a sample: two channels of 32-bit floats
# Of a lecture, from above. Measured 2026-11-25 with the pictures of bench/ and our encoders: the
# densest, a noisy camera beside a board and the board again, takes 0.047 in 1080 lines and 0.019 in
# 720, the same with slides 0.026 and 0.013. So an hour at 720p is taken for 1.6 GB.
_BITS_PER_PIXEL = Fraction(1, 20)


@dataclass(frozen=True)
class Input:
    """One media file as ffmpeg has to open it."""

    file: str
    identity: str  # what its content is known by: hash, or size and time of change
    demuxer: str
    stream: int
    seek_us: int | None  # for -ss; None reads from the beginning


@dataclass(frozen=True)
class Picture:
    """How the pictures of an input are to be read."""

    size: Size  # what the shown picture is scaled to
    full_range: bool
    matrix: str
    interlaced: bool
    frame_us: int
    stored: Size  # as it comes from the decoder, turned upright
    suits_gpu: bool  # can be decoded and scaled there without its colours changing
    colours: Colours | None = None  # None: those of BT.709
    pixel_aspect: Fraction = Fraction(1)  # as it comes from the decoder
    rotation: int = 0  # degrees, counter-clockwise, by which it becomes upright


@dataclass(frozen=True)
class Shot:
    """A number of frames of one lane: a piece of a file, or a slate."""

    frames: int
    input: Input | None = None
    picture: Picture | None = None
    at_us: int = 0  # file time that the first frame shows
    rate: Fraction = Fraction(1)  # wall seconds per file second
    pictures: int = 0  # how many pictures of the file are shown
    slate: SlateKey | None = None


@dataclass(frozen=True)
class Place:
    """Where a lane lies above others. x, y: where its border, so many pixels wide, begins."""

    x: int
    y: int
    border: int


@dataclass(frozen=True)
class LaneSpec:
    """One lane over some frames, inside a box of one size.

    Without a place it stands to the right of the lane before, else it lies above all before it.

    Attributes:
        above: a lane above this one alone, at a place in its box.
    """

    box: Size
    shots: tuple[Shot, ...]
    place: Place | None = None
    above: LaneSpec | None = None


@dataclass(frozen=True)
class PartSpec:
    """One part: runs of one layout each, and for the backup the right lane by itself."""

    frames: int
    rate: Fraction
    size: Size
    runs: tuple[tuple[LaneSpec, ...], ...]
    backup: tuple[LaneSpec, ...] | None  # one for each run, all of one box
    encoder: Encoder
    language: str

    @property
    def outputs(self) -> dict[str, Size]:
        """The size of the pictures by kind of rendition."""
        sizes = {"merge": self.size}
        return sizes | ({"backup": self.backup[0].box} if self.backup else {})

    @property
    def lanes(self) -> list[LaneSpec]:
        """Every lane of every run, and those of the backup, with what lies above each."""
        lanes = [lane for run in self.runs for lane in run] + list(self.backup or ())
        return [each for lane in lanes for each in (lane, lane.above) if each is not None]

    @property
    def shots(self) -> list[Shot]:
        """Every shot that reads a file, once."""
        return list(dict.fromkeys(shot for lane in self.lanes for shot in lane.shots if shot.input))


@dataclass(frozen=True)
class SoundPiece:
    """Sound of one source for a number of samples, or silence."""

    samples: int
    input: Input | None = None
    at_us: int = 0
    rate: Fraction = Fraction(1)
    sample_rate: int = SAMPLE_RATE
    mono: bool = False
    # Overlap with the piece before, in samples: there both are heard, one fading into the other.
    # It comes on top of `samples`.
    lead: int = 0


@dataclass(frozen=True)
class SoundSpec:
    """The sound of a whole record."""

    samples: int
    pieces: tuple[SoundPiece, ...]
    bitrate: str
    loudness: float | None = None  # LUFS; None: as loud as it was recorded


def sound_runs(spec: SoundSpec) -> list[SoundSpec]:
    """Return a sound as runs, in order, each of so few pieces that one command can make it.

    A run may begin with the overlap of its first piece, and lasts longer by that.
    """
    runs = []
    for first in range(0, len(spec.pieces), MOST_PIECES):
        pieces = spec.pieces[first : first + MOST_PIECES]
        samples = pieces[0].lead + sum(piece.samples for piece in pieces)
        runs.append(SoundSpec(samples, pieces, spec.bitrate))
    return runs


def likely_bytes(parts: Iterable[PartSpec], sound: SoundSpec | None = None) -> int:
    """Return how much room encoding takes, seldom more: estimated by the number of pixels."""
    pixels = sum(
        part.frames * size.width * size.height for part in parts for size in part.outputs.values()
    )
    sound_bytes = 0
    if sound:
        bits_per_s = int(sound.bitrate.removesuffix("k")) * 1000
        sound_bytes = sound.samples * bits_per_s // (8 * SAMPLE_RATE)
        if len(sound.pieces) > MOST_PIECES:
            sound_bytes += sound.samples * PCM_BYTES
    return round(pixels * _BITS_PER_PIXEL / 8) + sound_bytes


def spec_json(spec: PartSpec | SoundSpec) -> dict[str, Any]:
    """Return a spec as plain JSON values."""
    return {"version": SPEC_VERSION, **_plain(dataclasses.asdict(spec))}


def spec_hash(spec: PartSpec | SoundSpec, encoded_by: str) -> str:
    """Return the name of what a spec gives.

    Where the files lie does not count, only what is in them; nor does how they are sought.

    Args:
        encoded_by: the version of the program that encodes it.
    """
    content = _without(spec_json(spec), _NOT_NAMED)
    text = json.dumps([encoded_by, content], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def _without(value: Any, keys: set[str]) -> Any:
    if isinstance(value, dict):
        return {
            k: _without(v, keys)
            for k, v in value.items()
            if k not in keys and not (v is None and k in _NAMED_IF_SET)
        }
    if isinstance(value, list):
        return [_without(v, keys) for v in value]
    return value

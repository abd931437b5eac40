"""Part specs: all that determines one encoded file, as plain JSON-able values with a content hash.

Pure. A step that encodes gets nothing but such a spec; a file in the cache is named by its hash.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from itertools import groupby
from typing import Any

from merger.timeline.clock import Segment, microseconds
from merger.timeline.layout import (
    ALONE,
    LAYOUTS,
    Lane,
    Size,
    canvas_of,
    cell_of,
    columns_of,
    fit_into,
)
from merger.timeline.media import MediaFile, Video
from merger.timeline.plan import EditPlan, Part, Scene, Slate, SlateKey, Sound
from merger.timeline.profiles import SAMPLE_RATE, Encoder

# Raise it when the same spec would give other pictures or another sound.
SPEC_VERSION = 1
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
    stored: Size  # as it comes from the decoder, upright
    suits_gpu: bool  # can be decoded and scaled there without its colours changing


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
class LaneSpec:
    """One lane over some frames, inside a box of one size."""

    box: Size
    shots: tuple[Shot, ...]


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
    def shots(self) -> list[Shot]:
        """Every shot that reads a file, once."""
        lanes = [lane for run in self.runs for lane in run] + list(self.backup or ())
        found = {shot: None for lane in lanes for shot in lane.shots if shot.input}
        return list(found)


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


def cells(plan: EditPlan, media: Mapping[str, MediaFile], lines: int) -> dict[Lane, Size]:
    """Return the cell of each lane: one height, as wide as the widest picture shown in it."""
    aspects: dict[Lane, set[Fraction]] = {"left": set(), "right": set()}
    for scene in plan.scenes:
        for lane, view in (("left", scene.left), ("right", scene.right)):
            video = media[view.file].video if isinstance(view, Segment) else None
            if video is not None:
                aspects["left" if lane == "left" else "right"].add(video.aspect)
    return {lane: cell_of(lines, found) for lane, found in aspects.items()}


def part_spec(
    plan: EditPlan,
    part: Part,
    media: Mapping[str, MediaFile],
    identities: Mapping[str, str],
    layout: str,
    lines: int,
    encoder: Encoder,
    *,
    language: str,
    backup: bool,
) -> PartSpec:
    """Return all that determines one part of a plan.

    media, identities: by the `file` of the plan's segments. layout: of the record; `speaker_only`
    scenes of a record with another layout are centred on its canvas.
    """
    sizes = cells(plan, media, lines)
    record_layout = LAYOUTS[layout if plan.has_right_side else ALONE]
    size = canvas_of(record_layout, sizes)
    scenes = [
        dataclasses.replace(s, first=max(s.first, part.first), end=min(s.end, part.end))
        for s in plan.scenes
        if s.first < part.end and s.end > part.first
    ]
    runs: list[tuple[LaneSpec, ...]] = []
    backups: list[LaneSpec] = []
    for name, group in groupby(scenes, key=lambda s: s.layout):
        run = list(group)
        row = columns_of(LAYOUTS[name], size, sizes)
        runs.append(tuple(_lane(plan, run, lane, box, media, identities) for lane, box in row))
        backups.append(_lane(plan, run, "right", sizes["right"], media, identities))
    return PartSpec(
        frames=part.end - part.first,
        rate=plan.rate,
        size=size,
        runs=tuple(runs),
        backup=tuple(backups) if backup else None,
        encoder=encoder,
        language=language,
    )


def _lane(
    plan: EditPlan,
    run: list[Scene],
    lane: Lane,
    box: Size,
    media: Mapping[str, MediaFile],
    identities: Mapping[str, str],
) -> LaneSpec:
    shots: list[Shot] = []
    for view, same in groupby(run, key=lambda s: s.left if lane == "left" else s.right):
        scenes = list(same)
        first, end = scenes[0].first, scenes[-1].end
        if isinstance(view, Segment):
            shots.append(_shot(plan, view, first, end, box, media[view.file], identities))
        else:
            key = view.key if isinstance(view, Slate) else "nothing"
            shots.append(Shot(end - first, slate=key))
    return LaneSpec(box, tuple(shots))


def _shot(
    plan: EditPlan,
    segment: Segment,
    first: int,
    end: int,
    box: Size,
    file: MediaFile,
    identities: Mapping[str, str],
) -> Shot:
    video = file.video
    assert video is not None
    at_us = segment.clock.file_us(plan.grid.instant(first))
    until_us = segment.clock.file_us(plan.grid.instant(end))
    if at_us >= file.picture_ends_us:
        # The last picture stands here: ffmpeg shows none whose time is over.
        at_us = int(file.picture_us[-1])
    key = file.key_before(at_us)
    from_us = at_us if key is None else int(file.key_us[key])
    # HD pictures that do not say otherwise are BT.709, smaller ones BT.601 (ITU-R practice).
    matrix = video.matrix or ("bt709" if video.height >= 720 else "bt601")
    return Shot(
        frames=end - first,
        input=Input(
            segment.file,
            identities[segment.file],
            file.demuxer,
            video.stream,
            file.ffmpeg_seek_us(key) if key else None,  # the first key frame needs no seeking
        ),
        picture=Picture(
            fit_into(video.aspect, box),
            video.full_range,
            matrix,
            video.interlaced,
            video.frame_us,
            _upright(video),
            suits_gpu=_suits_gpu(video, matrix),
        ),
        at_us=at_us,
        rate=segment.clock.rate,
        pictures=file.pictures_in(from_us, until_us),
    )


def _upright(video: Video) -> Size:
    if video.rotation % 180:
        return Size(video.height, video.width)
    return Size(video.width, video.height)


def _suits_gpu(video: Video, matrix: str) -> bool:
    return (
        video.codec in ("h264", "hevc", "vp9", "av1", "libdav1d")
        and video.pixel_format in ("yuv420p", "nv12")
        and matrix == "bt709"
        and not video.full_range
        and not video.rotation
    )


def sound_spec(
    plan: EditPlan, media: Mapping[str, MediaFile], identities: Mapping[str, str], bitrate: str
) -> SoundSpec:
    """Return all that determines the sound of a plan. The pieces last exactly as long as it."""

    def sample(sound: Sound) -> int:
        return round(microseconds(sound.span.end - plan.span.start) * SAMPLE_RATE / 1_000_000)

    total = round(plan.frames * SAMPLE_RATE / plan.rate)
    pieces: list[SoundPiece] = []
    at = 0
    for n, sound in enumerate(plan.sound):
        end = total if n == len(plan.sound) - 1 else min(total, sample(sound))
        if end <= at:
            continue
        joins = bool(pieces) and not _same_source(plan.sound[n - 1], sound)
        lead = round(CROSSFADE.total_seconds() * SAMPLE_RATE) if joins else 0
        start = plan.span.start + timedelta(
            microseconds=round((at - lead) * 1_000_000 / SAMPLE_RATE)
        )
        piece = SoundPiece(end - at, lead=lead)
        if sound.segment is not None:
            file = media[sound.segment.file]
            assert file.audio is not None
            at_us = sound.segment.clock.file_us(start)
            seek = at_us - 500_000  # a decoder needs a packet or two to get going
            # ffmpeg seeks by pictures, and to nothing before the first of them
            begins = max(file.zero_us, int(file.key_us[0]) if len(file.key_us) else file.zero_us)
            piece = dataclasses.replace(
                piece,
                input=Input(
                    sound.segment.file,
                    identities[sound.segment.file],
                    file.demuxer,
                    file.audio.stream,
                    seek if seek > begins else None,
                ),
                at_us=at_us,
                rate=sound.segment.clock.rate,
                sample_rate=file.audio.sample_rate or SAMPLE_RATE,
                mono=file.audio.channels == 1,
            )
        pieces.append(piece)
        at = end
    return SoundSpec(total, tuple(pieces), bitrate)


def _same_source(before: Sound, after: Sound) -> bool:
    names = [s.segment.source if s.segment else None for s in (before, after)]
    return names[0] == names[1]


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
    """Return how much room encoding takes, seldom more: guessed by the number of pixels."""
    pixels = sum(
        part.frames * size.width * size.height for part in parts for size in part.outputs.values()
    )
    heard = 0
    if sound:
        bits_per_s = int(sound.bitrate.removesuffix("k")) * 1000
        heard = sound.samples * bits_per_s // (8 * SAMPLE_RATE)
        if len(sound.pieces) > MOST_PIECES:
            heard += sound.samples * PCM_BYTES
    return round(pixels * _BITS_PER_PIXEL / 8) + heard


def spec_json(spec: PartSpec | SoundSpec) -> dict[str, Any]:
    """Return a spec as plain JSON values."""
    return {"version": SPEC_VERSION, **_plain(dataclasses.asdict(spec))}


def spec_hash(spec: PartSpec | SoundSpec, made_by: str) -> str:
    """Return the name of what a spec makes. made_by: the version of the program that makes it.

    Where the files lie does not count, only what is in them; nor does how they are sought.
    """
    content = _without(spec_json(spec), {"file", "seek_us", "pictures"})
    text = json.dumps([made_by, content], sort_keys=True, ensure_ascii=True)
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
        return {k: _without(v, keys) for k, v in value.items() if k not in keys}
    if isinstance(value, list):
        return [_without(v, keys) for v in value]
    return value

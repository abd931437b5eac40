"""Looking at a screen: which key frames of a chunk are decoded, and what they show together."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, cast

import av
import av.video.frame
import numpy as np
import numpy.typing as npt

from merger.analysis.cards import Card
from merger.analysis.jpeg import jpeg
from merger.analysis.picture import classify
from merger.layout import Size
from merger.media import MAX_PIXELS, MediaFile
from merger.plan import Chunk, Verdict
from merger.reader import blame, check_readable, opened
from merger.timeline import Clip, Gap, Span, Track

SAMPLE_EVERY = timedelta(seconds=10)
FEWEST_SAMPLES = 5
MOST_PICTURES = 6  # of a chunk, that people may look at
_LARGEST_PICTURE = Size(192, 108)

Plane = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Target:
    """A picture to look at: a key frame of a file, or what is shown at a time after one."""

    file: str
    key: int  # number of the key frame to begin with
    at_us: int  # file time of the picture


@dataclass(frozen=True)
class Seen:
    """What looking at a chunk has shown: what was decided, why, and some of the pictures.

    pictures: plain values, in order of time: {"at": ISO, "verdict", "jpeg": in base64}.
    """

    chunk: Chunk
    reasons: list[str]
    pictures: list[dict[str, str]]


def targets(chunk: Span, track: Track, media: Mapping[str, MediaFile]) -> tuple[list[Target], int]:
    """Return the pictures to look at in a chunk, and how many samples find no media at all.

    Pure. The chunk is cut into equal slots of at most ten seconds, at least five; each gives the
    key frame nearest to its middle. Only in a chunk without any key frame is a picture between
    two of them decoded.
    """
    slots = max(FEWEST_SAMPLES, -(-chunk.length // SAMPLE_EVERY))
    keys = [t for clip in track.clips for t in _keys(chunk, clip, media[clip.segment.file])]
    chosen: list[tuple[timedelta, Target]] = []
    missing = 0
    for n in range(slots):
        slot = Span(
            chunk.start + chunk.length * n / slots, chunk.start + chunk.length * (n + 1) / slots
        )
        middle = slot.start + slot.length / 2
        inside = [(abs(at - middle), target) for at, target in keys if at in slot]
        if inside:
            chosen.append(min(inside, key=lambda found: found[0]))
        elif any(isinstance(item, Gap) and middle in item.span for item in track.items):
            missing += 1
    picked = [target for _, target in chosen]
    if len(picked) < FEWEST_SAMPLES:  # key frames that lie close together
        rest = [target for _, target in keys if target not in picked]
        wanted = min(len(rest), FEWEST_SAMPLES - len(picked))
        picked += [rest[len(rest) * n // wanted] for n in range(wanted)]
    if not picked:
        picked = _between_keys(chunk, track, media)
    return picked, missing


def _keys(chunk: Span, clip: Clip, file: MediaFile) -> Iterator[tuple[Any, Target]]:
    here = clip.span.cut_to(chunk)
    if not here:
        return
    clock = clip.segment.clock
    first, end = np.searchsorted(file.key_us, [clock.file_us(here.start), clock.file_us(here.end)])
    for key in range(int(first), int(end)):
        at_us = int(file.key_us[key])
        yield clock.wall(at_us), Target(clip.segment.file, key, at_us)


def _between_keys(chunk: Span, track: Track, media: Mapping[str, MediaFile]) -> list[Target]:
    clips = [clip for clip in track.clips if clip.span.cut_to(chunk)]
    if not clips:
        return []
    clip = max(clips, key=lambda c: c.span.cut_to(chunk).length)
    here = clip.span.cut_to(chunk)
    at_us = clip.segment.clock.file_us(here.start + here.length / 2)
    key = media[clip.segment.file].key_before(at_us)
    return [Target(clip.segment.file, key or 0, at_us)]


def look(
    file: MediaFile, wanted: Sequence[Target]
) -> Iterator[tuple[Target, av.video.frame.VideoFrame]]:
    """Decode some pictures of a file, by seeking. One that cannot be decoded is left out.

    Raises Temporary or Broken where the file cannot be read, which says nothing of its pictures.
    """
    assert file.video is not None
    seen = 0
    try:
        with opened(file.path, file.demuxer) as container:
            stream = cast(Any, container.streams[file.video.stream])
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
            for target in wanted:
                frame = _decoded(container, stream, file, target)
                if frame is not None:
                    seen += 1
                    yield target, frame
    except av.FFmpegError as error:
        blame(file, error)
    if seen < len(wanted):
        check_readable(file)


def _decoded(
    container: av.container.InputContainer, stream: Any, file: MediaFile, target: Target
) -> av.video.frame.VideoFrame | None:
    key_us = int(file.key_us[target.key]) if len(file.key_us) else target.at_us
    only_key = target.at_us == key_us
    # After a flush nothing but the key frame has been sent: it comes out without waiting for
    # pictures that would be shown before it.
    stream.codec_context.skip_frame = "NONKEY" if only_key else "DEFAULT"
    base = stream.time_base
    best: av.video.frame.VideoFrame | None = None
    try:
        read_us = int(file.key_read_us[target.key]) if len(file.key_us) else target.at_us
        container.seek(_ticks(read_us, base) + 1, stream=stream)
        for packet in container.demux(stream):
            pts = packet.pts if packet.pts is not None else packet.dts
            if pts is None:
                break
            if only_key:
                if not packet.is_keyframe or pts < _ticks(key_us, base) - 1:
                    continue
                frames = [*packet.decode(), *stream.codec_context.decode(None)]
                return cast(Any, frames[0]) if frames else None
            for frame in packet.decode():
                if frame.pts is not None and frame.pts * base * 1_000_000 > target.at_us:
                    return best or cast(Any, frame)
                best = cast(Any, frame)
    except av.FFmpegError as error:
        blame(file, error)
    return best


def _ticks(us: int, base: Fraction) -> int:
    return round(Fraction(us, 1_000_000) / base)


def planes(frame: av.video.frame.VideoFrame) -> tuple[Plane, tuple[Plane, Plane] | None]:
    """Return luma (H, W) and the two chroma planes, or None for grey, of a picture.

    8-bit arrays, without copying where it is so stored.
    """
    name = frame.format.name
    if name.startswith("gray") and name == "gray":
        return _plane(frame, 0), None
    if not (name.startswith(("yuv4", "yuvj4")) and name[-1] == "p"):  # 10 bit, RGB, NV12 …
        frame = frame.reformat(format="yuv420p")
    return _plane(frame, 0), (_plane(frame, 1), _plane(frame, 2))


def _plane(frame: av.video.frame.VideoFrame, n: int) -> Plane:
    plane = frame.planes[n]
    rows = np.frombuffer(memoryview(plane), np.uint8)[: plane.height * plane.line_size]
    return rows.reshape(plane.height, plane.line_size)[:, : plane.width]


def chunk_seen(
    chunk: Span, track: Track | None, media: Mapping[str, MediaFile], cards: Sequence[Card]
) -> Seen:
    """Look at a chunk of the screen and decide presence."""
    if track is None:
        return Seen(Chunk(chunk, False, "missing", Fraction(0), 0), [], [])
    clocks = {clip.segment.file: clip.segment.clock for clip in track.clips}
    wanted, missing = targets(chunk, track, media)
    wanted.sort(key=lambda target: clocks[target.file].wall(target.at_us))
    kept = evenly(wanted, MOST_PICTURES)
    verdicts: list[Verdict] = ["missing"] * missing
    reasons: Counter[str] = Counter()
    pictures: list[dict[str, str]] = []
    by_file: dict[str, list[Target]] = {}
    for target in wanted:
        by_file.setdefault(target.file, []).append(target)
    for file, some in by_file.items():
        for target, frame in look(media[file], some):
            sight = classify(*planes(frame), cards)
            verdicts.append(cast(Verdict, str(sight.verdict)))
            reasons[f"{sight.verdict}: {sight.reason}"] += 1
            if target in kept:
                at = clocks[file].wall(target.at_us)
                pictures.append(_picture(at, sight.verdict, frame, media[file]))
    pictures.sort(key=lambda picture: datetime.fromisoformat(picture["at"]))  # files may overlap
    why = [f"{count} x {text}" for text, count in reasons.most_common(3)]
    return Seen(decided(chunk, verdicts), why, pictures)


def evenly(wanted: Sequence[Target], most: int) -> list[Target]:
    """Return at most so many targets, evenly spread. Pure."""
    count = min(most, len(wanted))
    return [wanted[(2 * n + 1) * len(wanted) // (2 * count)] for n in range(count)]


def _picture(
    at: datetime, verdict: Verdict, frame: av.video.frame.VideoFrame, file: MediaFile
) -> dict[str, str]:
    assert file.video is not None
    small = jpeg(frame, file.video, _LARGEST_PICTURE)
    return {"at": at.isoformat(), "verdict": verdict, "jpeg": base64.b64encode(small).decode()}


def decided(chunk: Span, verdicts: Sequence[Verdict]) -> Chunk:
    """Return what the samples of a chunk mean together.

    Pure. Presence: more than half of the samples that had a picture are a presentation.
    """
    present = [v for v in verdicts if v != "missing"]
    share = Fraction(sum(v == "presentation" for v in present), len(present) or 1)
    commonest: Verdict = Counter(verdicts).most_common(1)[0][0] if verdicts else "missing"
    return Chunk(chunk, share > Fraction(1, 2), commonest, share, len(verdicts))

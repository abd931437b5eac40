"""Looking at a screen: which pictures of a chunk are decoded, and what they show together.

Key frames, as they are cheap; where there are fewer than five in a chunk, others, too.
"""

from __future__ import annotations

import base64
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import groupby
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.frame import VideoFrame

from merger.analysis.cards import Card, shipped_cards
from merger.analysis.classify import classify
from merger.analysis.jpeg import encode_jpeg
from merger.analysis.standard_colours import in_standard_colours
from merger.i18n import Message
from merger.isolation import reader
from merger.isolation.reader import Unreadable
from merger.media.container import check_readable, explain_failure, open_container, seek
from merger.timeline.clock import Clip, Gap, Span, Track
from merger.timeline.layout import Size
from merger.timeline.media import MAX_PIXELS, MediaFile
from merger.timeline.plan import Chunk, Verdict

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
class Sight:
    """What a picture shows. jpeg: where people may look at it."""

    target: Target
    verdict: Verdict
    reason: Message
    jpeg: bytes | None


@dataclass(frozen=True)
class Look:
    """What looking at a chunk has shown: what was decided, why, and some of the pictures.

    Args:
        pictures: plain values, in order of time: {"at": ISO, "verdict", "jpeg": in base64}.
    """

    chunk: Chunk
    reasons: list[Message]
    pictures: list[dict[str, str]]


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


def sample_targets(
    file: MediaFile, wanted: Sequence[Target]
) -> Iterator[tuple[Target, VideoFrame]]:
    """Decode some pictures of a file, by seeking, in the colours of BT.709.

    One that cannot be decoded is left out.

    Those after the same key frame that come one after another are decoded in one go.

    Raises:
        Temporary, Broken: the file cannot be read, which says nothing of its pictures.
    """
    assert file.video is not None
    seen = 0
    try:
        with open_container(file.path, file.demuxer) as container:
            stream = cast(Any, container.streams[file.video.stream])
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
            for (_, is_key), group in groupby(wanted, lambda t: (t.key, _is_key(file, t))):
                decode = _decode_keys if is_key else _decode_forward
                for target, frame in decode(container, stream, file, list(group)):
                    seen += 1
                    yield target, in_standard_colours(frame, file.video)
    except av.FFmpegError as error:
        explain_failure(file, error)
    if seen < len(wanted):
        check_readable(file)


def _is_key(file: MediaFile, target: Target) -> bool:
    return bool(len(file.key_us)) and int(file.key_us[target.key]) == target.at_us


def _decode_keys(
    container: InputContainer, stream: Any, file: MediaFile, wanted: Sequence[Target]
) -> Iterator[tuple[Target, VideoFrame]]:
    for target in wanted:
        frame = _decode_key(container, stream, file, target)
        if frame is not None:
            yield target, frame


def _decode_key(
    container: InputContainer, stream: Any, file: MediaFile, target: Target
) -> VideoFrame | None:
    # After a flush nothing but the key frame has been sent: it comes out without waiting for
    # pictures that would be shown before it.
    stream.codec_context.skip_frame = "NONKEY"
    base = stream.time_base
    try:
        _seek(container, stream, file, target)
        for packet in container.demux(stream):
            pts = packet.pts if packet.pts is not None else packet.dts
            if pts is None:
                break
            if not packet.is_keyframe or pts < _ticks(target.at_us, base) - 1:
                continue
            frames = [*packet.decode(), *stream.codec_context.decode(None)]
            return cast(Any, frames[0]) if frames else None
    except av.FFmpegError as error:
        explain_failure(file, error)
    return None


def _decode_forward(
    container: InputContainer, stream: Any, file: MediaFile, wanted: Sequence[Target]
) -> Iterator[tuple[Target, VideoFrame]]:
    """Decode from a key frame on, and yield what is shown at each of some times after it."""
    stream.codec_context.skip_frame = "DEFAULT"
    waiting = deque(wanted)
    shown: VideoFrame | None = None
    try:
        _seek(container, stream, file, waiting[0])
        for packet in container.demux(stream):
            for frame in _decode_packet(packet):
                if frame.pts is None:
                    continue
                at_us = frame.pts * stream.time_base * 1_000_000
                while waiting and at_us > waiting[0].at_us:
                    yield waiting.popleft(), shown or frame
                if not waiting:
                    return
                shown = frame
    except av.FFmpegError as error:
        explain_failure(file, error)
        return
    if shown is not None:  # the last picture of the file
        yield from ((target, shown) for target in waiting)


def _decode_packet(packet: Any) -> list[VideoFrame]:
    """Decode a packet; a broken one is one picture less."""
    try:
        return cast(list[VideoFrame], packet.decode())
    except av.FFmpegError:
        return []


def _seek(container: InputContainer, stream: Any, file: MediaFile, target: Target) -> None:
    read_us = int(file.key_read_us[target.key]) if len(file.key_us) else target.at_us
    seek(container, stream, file, _ticks(read_us, stream.time_base) + 1)


def _ticks(us: int, base: Fraction) -> int:
    return round(Fraction(us, 1_000_000) / base)


def planes(frame: VideoFrame) -> tuple[Plane, tuple[Plane, Plane] | None]:
    """Return luma (H, W) and the two chroma planes, or None for grey, of a picture.

    8-bit arrays, without copying where it is so stored.
    """
    name = frame.format.name
    if name == "gray":
        return _plane(frame, 0), None
    if not (name.startswith(("yuv4", "yuvj4")) and name[-1] == "p"):  # 10 bit, RGB, NV12 …
        frame = frame.reformat(format="yuv420p")
    return _plane(frame, 0), (_plane(frame, 1), _plane(frame, 2))


def _plane(frame: VideoFrame, n: int) -> Plane:
    plane = frame.planes[n]
    rows = np.frombuffer(memoryview(plane), np.uint8)[: plane.height * plane.line_size]
    return rows.reshape(plane.height, plane.line_size)[:, : plane.width]


def sample_chunk(
    chunk: Span, track: Track | None, media: Mapping[str, MediaFile], cards: Sequence[Card]
) -> Look:
    """Look at a chunk of the screen and decide presence."""
    if track is None:
        return Look(Chunk(chunk, False, "missing", Fraction(0), 0), [], [])
    clocks = {clip.segment.file: clip.segment.clock for clip in track.clips}
    wanted, missing = targets(chunk, track, media)
    wanted.sort(key=lambda target: clocks[target.file].wall(target.at_us))
    to_show = pick_evenly(wanted, MOST_PICTURES)
    verdicts: list[Verdict] = ["missing"] * missing
    reasons: Counter[tuple[Verdict, Message]] = Counter()
    pictures: list[dict[str, str]] = []
    by_file: dict[str, list[Target]] = {}
    for target in wanted:
        by_file.setdefault(target.file, []).append(target)
    # A reader has those that ship: they are three megabytes.
    shipped = shipped_cards()
    has_shipped = all(card in cards for card in shipped)
    own = tuple(card for card in cards if not has_shipped or card not in shipped)
    for file, of_file in by_file.items():
        try:
            sights = reader.call(_look_at, media[file], of_file, to_show, own, has_shipped)
        except Unreadable:  # as pictures that cannot be decoded
            continue
        for sight in sights:
            verdicts.append(sight.verdict)
            reasons[sight.verdict, sight.reason] += 1
            if sight.jpeg is not None:
                at = clocks[file].wall(sight.target.at_us)
                pictures.append(_picture_facts(at, sight))
    pictures.sort(key=lambda picture: datetime.fromisoformat(picture["at"]))  # files may overlap
    why = [
        Message("analysis.reason", count=count, verdict=Message(f"verdict.{verdict}"), why=reason)
        for (verdict, reason), count in reasons.most_common(3)
    ]
    return Look(decide_chunk(chunk, verdicts), why, pictures)


def pick_evenly(wanted: Sequence[Target], most: int) -> list[Target]:
    """Return at most so many targets, pick_evenly spread. Pure."""
    count = min(most, len(wanted))
    return [wanted[(2 * n + 1) * len(wanted) // (2 * count)] for n in range(count)]


def _look_at(
    file: MediaFile,
    wanted: list[Target],
    to_show: list[Target],
    own: tuple[Card, ...],
    has_shipped: bool,
) -> list[Sight]:
    """Return what some pictures of a file show; runs in a reader."""
    cards = (*(shipped_cards() if has_shipped else ()), *own)
    assert file.video is not None
    sights = []
    for target, frame in sample_targets(file, wanted):
        sample = classify(*planes(frame), cards)
        is_shown = target in to_show
        jpeg = encode_jpeg(frame, file.video, _LARGEST_PICTURE) if is_shown else None
        sights.append(Sight(target, sample.verdict, sample.reason, jpeg))
    return sights


def _picture_facts(at: datetime, sight: Sight) -> dict[str, str]:
    assert sight.jpeg is not None
    jpeg = base64.b64encode(sight.jpeg).decode()
    return {"at": at.isoformat(), "verdict": sight.verdict, "jpeg": jpeg}


def decide_chunk(chunk: Span, verdicts: Sequence[Verdict]) -> Chunk:
    """Return what the samples of a chunk mean together.

    Pure. Presence: more than half of the samples that had a picture are a presentation.
    """
    present = [v for v in verdicts if v != "missing"]
    share = Fraction(sum(v == "presentation" for v in present), len(present) or 1)
    commonest: Verdict = Counter(verdicts).most_common(1)[0][0] if verdicts else "missing"
    return Chunk(chunk, share > Fraction(1, 2), commonest, share, len(verdicts))

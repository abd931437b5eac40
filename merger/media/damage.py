"""Which pictures of a file cannot be decoded, found by decoding them.

Encoding trusts the packets first, and listens to what the decoder says. Only where it complains, or
decodes fewer pictures than there are packets, the stretch is decoded again here, picture by
picture, to find what has to become a gap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import av
import av.video.frame
import numpy as np

from merger.isolation import reader
from merger.isolation.reader import Unreadable
from merger.media.container import explain_failure, open_container, seek
from merger.timeline.clock import Stretch, merge_stretches
from merger.timeline.media import MAX_PIXELS, MediaFile

# Pictures that a decoder leaves out without a complaint (MPEG-4 "not coded" ones, say) make a hole
# only when they are missing for longer than this.
_UNNOTICED_US = 500_000


@dataclass(frozen=True)
class Inspection:
    """What decoding a stretch of a file has shown."""

    holes: list[Stretch]  # whose pictures are broken
    pictures: int  # that come out of a decoder, from the key frame before the stretch on


def inspect_damage(media: MediaFile, start_us: int, end_us: int) -> Inspection:
    """Decode the pictures between two file times, and say which are broken.

    A broken picture spoils all that follow, until a later key frame after which they are right.
    There may be fewer pictures than packets without any damage: fields in packets of their own,
    pictures "not coded".

    Raises:
        Temporary, Broken: the file cannot be read, which is no damage.
    """
    if media.video is None:
        return Inspection([Stretch(start_us, end_us)], 0)
    try:
        return reader.call(_inspect, media, start_us, end_us)
    except Unreadable:  # nor will ffmpeg, in all likelihood
        return Inspection([Stretch(start_us, end_us)], 0)


def _inspect(media: MediaFile, start_us: int, end_us: int) -> Inspection:
    key = media.key_before(start_us)
    from_us = start_us if key is None else int(media.key_us[key])
    first, last = np.searchsorted(media.picture_us, [from_us, end_us])
    expected = media.picture_us[first:last]
    good, broken = _decode(media, key, end_us)
    missing = ~np.isin(expected, good) if len(good) else np.ones(len(expected), bool)
    holes = [
        _hole_until_key(media, _missing_from(media, good, us))
        for us in broken
        if from_us <= us < end_us
    ]
    holes += [
        hole
        for hole in _missing_runs(media, expected, missing)
        if hole.end_us - hole.start_us > _UNNOTICED_US
    ]
    decoded = int(np.count_nonzero((good >= from_us) & (good < end_us)))
    return Inspection(merge_stretches(h for h in holes if h.end_us > start_us), decoded)


def _decode(media: MediaFile, key: int | None, end_us: int) -> tuple[np.ndarray, list[int]]:
    """Return the times of the pictures that decode well, and of those that do not."""
    good: list[int] = []
    broken: list[int] = []
    video = media.video
    assert video is not None
    try:
        with open_container(media.path, media.demuxer) as container:
            stream: Any = container.streams[video.stream]
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
            stream.codec_context.thread_type = "AUTO"
            base = stream.time_base
            if base is None:
                return np.array(good, np.int64), broken
            if key:
                at = math.ceil(int(media.key_read_us[key]) / base / 1_000_000)
                seek(container, stream, media, at)
            beyond = end_us + 2_000_000  # past the end, so that reordered pictures come out
            is_beyond = False
            for packet in container.demux(stream):
                if is_beyond:
                    break
                pts = packet.pts if packet.pts is not None else packet.dts
                at_us = None if pts is None else round(pts * base * 1_000_000)
                is_beyond = at_us is not None and at_us > beyond
                if packet.is_corrupt and at_us is not None:
                    broken.append(at_us)
                try:
                    # Of a source of few pictures, the decoder may still hold all.
                    frames = stream.codec_context.decode(None if is_beyond else packet)
                except av.FFmpegError:
                    if at_us is not None:
                        broken.append(at_us)
                    continue
                for frame in frames:
                    assert isinstance(frame, av.video.frame.VideoFrame)
                    if frame.pts is None:
                        continue
                    shown_us = round(frame.pts * base * 1_000_000)
                    (broken if frame.is_corrupt else good).append(shown_us)
    except av.FFmpegError as error:
        explain_failure(media, error)
        # It is the data's fault: what has been read until here counts, the rest is missing.
    return np.array(sorted(good), np.int64), broken


def _missing_from(media: MediaFile, good: np.ndarray, broken_us: int) -> int:
    """Return since when pictures are missing: some may be lost before the first broken one."""
    assert media.video is not None
    before = int(np.searchsorted(good, broken_us)) - 1
    if before < 0:
        return broken_us
    return min(broken_us, int(good[before]) + media.video.frame_us)


def _hole_until_key(media: MediaFile, at_us: int) -> Stretch:
    return Stretch(at_us, max(media.right_after(at_us), at_us + 1))


def _missing_runs(media: MediaFile, times: np.ndarray, missing: np.ndarray) -> list[Stretch]:
    """Return runs of missing pictures, each until the next picture that is there."""
    runs: list[Stretch] = []
    n = 0
    while n < len(times):
        if not missing[n]:
            n += 1
            continue
        begins = int(times[n])
        while n < len(times) and missing[n]:
            n += 1
        if n < len(times):
            end = int(times[n])
        else:
            after = int(np.searchsorted(media.picture_us, times[-1], side="right"))
            is_there = after < len(media.picture_us)
            end = int(media.picture_us[after]) if is_there else media.picture_ends_us
        runs.append(Stretch(begins, end))
    return runs

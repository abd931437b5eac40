"""A file's sound, heard in some windows; runs in a reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import av
import numpy as np

from merger.analysis.sound.faults import Sound, SoundFaults, find_faults
from merger.media.container import channel_count, explain_failure, open_container, seek
from merger.timeline.clock import Stretch
from merger.timeline.media import MediaFile

WINDOW_US = 10_000_000
EVERY_US = 300_000_000
_SAMPLE_RATE = 48_000


def windows_in(heard: Sequence[Stretch]) -> list[Stretch]:
    """Return ten seconds of every five minutes of what is heard of a file. Pure."""
    windows = []
    for stretch in heard:
        for start_us in range(stretch.start_us, stretch.end_us, EVERY_US):
            end_us = min(start_us + EVERY_US, stretch.end_us)
            middle_us = (start_us + end_us - WINDOW_US) // 2
            if middle_us >= start_us:
                windows.append(Stretch(middle_us, middle_us + WINDOW_US))
    return windows


def hear_faults(media: MediaFile, windows: Sequence[Stretch]) -> SoundFaults:
    """Return what is wrong with the sound of a file in some windows.

    What cannot be decoded is left out: whoever encodes it will say what is wrong with it.
    """
    try:
        with open_container(media.path, media.demuxer) as container:
            return find_faults([_hear(container, media, w) for w in windows], _SAMPLE_RATE)
    except av.FFmpegError as error:
        explain_failure(media, error)
        return SoundFaults(None, is_clipped=False)


def _hear(container: Any, media: MediaFile, window: Stretch) -> Sound:
    [change, *_] = media.audio_between(window.start_us, window.end_us)
    stream = container.streams[change.audio.stream]
    blocks = list(_blocks(container, stream, media, window)) if stream.time_base else []
    return np.concatenate(blocks, axis=1) if blocks else np.empty((1, 0), np.float32)


def _blocks(container: Any, stream: Any, media: MediaFile, window: Stretch) -> Iterator[Sound]:
    """Yield the sound of a window, until the number of its channels or its rate becomes another."""
    seek(container, stream, media, round(window.start_us / stream.time_base / 1_000_000))
    resampler = av.AudioResampler(format="fltp", rate=_SAMPLE_RATE)
    first = None
    for packet in container.demux(stream):
        for frame in _decode(packet):
            shape = (channel_count(frame), frame.sample_rate, frame.format.name)
            at_us = 0 if frame.pts is None else frame.pts * frame.time_base * 1_000_000
            if at_us >= window.end_us or shape != (first or shape):
                return
            if at_us >= window.start_us and frame.samples:
                first = shape
                for block in resampler.resample(frame):
                    yield np.nan_to_num(block.to_ndarray())


def _decode(packet: Any) -> Sequence[Any]:
    """Decode a packet; a broken one is some sound less."""
    try:
        return cast(Sequence[Any], packet.decode())
    except av.FFmpegError:
        return ()

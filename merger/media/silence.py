"""Listening to a file: whether its sound stream carries any sound at all.

A device without a microphone often writes a stream of digital silence. To choose it over a source
with a voice would make a mute video.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import av.audio.frame
import numpy as np
import numpy.typing as npt

from merger.isolation import reader
from merger.isolation.reader import Unreadable
from merger.media.container import channel_count, open_container
from merger.timeline.clock import Stretch
from merger.timeline.media import MediaFile

# The quietest room is some 20 dB above this; a dead input is below, dithered or not.
SILENT_PEAK = 10 ** (-80 / 20)
# By FFmpeg's name of the format.
_SAMPLES: dict[str, type[np.generic[Any]]] = {
    "u8": np.uint8, "s16": np.int16, "s32": np.int32, "s64": np.int64,
    "flt": np.float32, "dbl": np.float64,
}  # fmt: skip
_EVERY_US = 30_000_000
_FEWEST_WINDOWS = 10
_PAUSE_US = 2_000_000
_WINDOW_US = 1_000_000  # a beep or a word a second is heard in it


def silence_windows(start_us: int, end_us: int) -> list[int]:
    """Return when to listen for a second each, in file time; all of it where it is short. Pure."""
    length = end_us - start_us
    count = max(_FEWEST_WINDOWS, length // _EVERY_US)
    step = max(_WINDOW_US, length // count)
    return list(range(start_us, end_us, step))


def is_silent(media: MediaFile) -> bool:
    """Return whether all of a file's sound, as far as it is listened to, is digital silence.

    What cannot be decoded counts as sound: whoever encodes it will say what is wrong with it.
    """
    if media.audio is None or not media.sound:
        return False
    try:
        return reader.call(_listen, media)
    except (Unreadable, OSError):
        return False


def _listen(media: MediaFile) -> bool:
    assert media.audio is not None
    try:
        with open_container(media.path, media.demuxer) as container:
            stream = container.streams[media.audio.stream]
            base = stream.time_base
            if base is None:
                return False
            heard = False
            for at_us in silence_windows(media.sound[0].start_us, media.sound[-1].end_us):
                container.seek(round(at_us / base / 1_000_000), stream=stream)
                for frame in container.decode(stream):
                    if not isinstance(frame, av.audio.frame.AudioFrame) or frame.pts is None:
                        continue
                    if _peak(frame) > SILENT_PEAK:
                        return False
                    heard = True
                    if frame.pts * base * 1_000_000 > at_us + _WINDOW_US:
                        break
            return heard
    except av.FFmpegError:
        return False


def sounding_stretches(
    path: Path, demuxer: str, streams: Sequence[int]
) -> dict[int, list[Stretch]]:
    """Return where each of some streams carries sound, found by decoding all of them.

    A pause shorter than two seconds is part of the sound around it.
    """
    found: dict[int, list[Stretch]] = {number: [] for number in streams}
    with open_container(path, demuxer) as container:
        for packet in container.demux(*(container.streams[number] for number in streams)):
            sounding = found.get(packet.stream_index)
            if sounding is None:
                continue
            for frame in _decode(packet):
                if frame.pts is None or frame.time_base is None or _peak(frame) <= SILENT_PEAK:
                    continue
                at_us = round(frame.pts * frame.time_base * 1_000_000)
                end_us = at_us + frame.samples * 1_000_000 // max(1, frame.sample_rate)
                if sounding and at_us - sounding[-1].end_us <= _PAUSE_US:
                    begins_us = sounding.pop().start_us
                    sounding.append(Stretch(begins_us, max(begins_us + 1, end_us)))
                else:
                    sounding.append(Stretch(at_us, end_us))
    return found


def _decode(packet: Any) -> list[av.audio.frame.AudioFrame]:
    try:
        return list(packet.decode())
    except av.FFmpegError:
        return []  # as if it were silent


def _peak(frame: av.audio.frame.AudioFrame) -> float:
    # Not by to_ndarray: of eight channels and more, PyAV 18.1 sees planes that are not there.
    channels = channel_count(frame)
    planes = frame.planes[: channels if frame.format.is_planar else 1]
    count = frame.samples * channels // max(1, len(planes))
    sample = _SAMPLES[frame.format.packed.name]
    return max((_peak_of(np.frombuffer(memoryview(p), sample, count)) for p in planes), default=0.0)


def _peak_of(samples: npt.NDArray[Any]) -> float:
    if not samples.size:
        return 0.0
    if np.issubdtype(samples.dtype, np.floating):
        return float(np.abs(samples).max())
    middle = 128 if samples.dtype == np.uint8 else 0
    most = 2.0 ** (8 * samples.dtype.itemsize - 1)
    return float(np.abs(samples.astype(np.float64) - middle).max() / most)

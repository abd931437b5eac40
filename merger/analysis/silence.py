"""Listening to a file: whether its sound stream carries any sound at all.

A device without a microphone often writes a stream of digital silence. To choose it over a source
with a voice would make a mute video.
"""

from __future__ import annotations

import av
import av.audio.frame
import numpy as np

from merger.media.container import open_container
from merger.timeline.media import MediaFile

# The quietest room is some 20 dB above this; a dead input is below, dithered or not.
SILENT_PEAK = 10 ** (-80 / 20)
_EVERY_US = 30_000_000
_FEWEST_WINDOWS = 10
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


def _peak(frame: av.audio.frame.AudioFrame) -> float:
    samples = frame.to_ndarray()
    if not samples.size:
        return 0.0
    if np.issubdtype(samples.dtype, np.floating):
        return float(np.abs(samples).max())
    middle = 128 if samples.dtype == np.uint8 else 0
    most = 2.0 ** (8 * samples.dtype.itemsize - 1)
    return float(np.abs(samples.astype(np.float64) - middle).max() / most)

"""Media files as values: what is in a file, and where on its own clock it really has media.

Pure. `merger/media/index.py` makes these from files.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from merger.i18n import Message
from merger.timeline.clock import Stretch, merge_stretches, without_spans

MAX_PIXELS = 36_000_000  # a little over 8K UHD; what is bigger is an attack or a mistake

# A stretch of this length without a picture is a pause and becomes a gap ...
PAUSE_US = 2_000_000
# ... but a screen may send nothing while nothing changes. Nothing is believed to stand for longer
# than this, unless the settings say so.
STILL_US = 60_000_000
SOUND_PAUSE_US = 500_000  # shorter holes are filled with silence where they are
PADDING_US = 100_000  # sound encoders end some ms beside the pictures
# Muxers write sound up to this much ahead of the pictures it belongs to; what leads by less does
# not move the beginning of a file, which is that of its pictures.
INTERLEAVING_US = 1_000_000
_SECOND_US = 1_000_000

Microseconds = npt.NDArray[np.int64]
Transfer = Literal["sdr", "hlg", "pq"]
Primaries = Literal["bt709", "bt2020", "p3"]


@dataclass(frozen=True)
class Colours:
    """What the numbers of pictures mean, where it is not what BT.709 says."""

    transfer: Transfer
    primaries: Primaries

    @property
    def name(self) -> str:
        return f"{self.transfer}-{self.primaries}"


@dataclass(frozen=True)
class Video:
    """The picture stream of a file, as one of its pictures shows it."""

    stream: int
    codec: str
    width: int  # as stored, px
    height: int
    pixel_aspect: Fraction
    rotation: int  # degrees, counter-clockwise: 0, 90, 180 or 270
    pixel_format: str
    full_range: bool
    matrix: str | None  # as ffmpeg calls it, where the file says so
    interlaced: bool
    frame_us: int  # the median time between pictures
    variable_rate: bool
    reorders: bool  # pictures are stored in another order than shown
    colours: Colours | None = None  # None: those of BT.709

    @property
    def aspect(self) -> Fraction:
        """The width of the shown picture over its height."""
        aspect = Fraction(self.width, self.height) * self.pixel_aspect
        return 1 / aspect if self.rotation % 180 else aspect

    @property
    def rate(self) -> Fraction:
        return Fraction(_SECOND_US, self.frame_us)


@dataclass(frozen=True)
class Audio:
    """The sound stream of a file."""

    stream: int
    codec: str
    sample_rate: int
    channels: int


@dataclass(frozen=True)
class AudioChange:
    """From when on another sound stream of the same file is the one to hear."""

    at_us: int
    audio: Audio


@dataclass(frozen=True, eq=False)
class MediaFile:
    """What reading every packet of a file has shown. Times are file time, microseconds."""

    path: Path
    demuxer: str
    size_bytes: int
    mtime_ns: int
    video: Video | None
    audio: Audio | None  # the one to hear, until another is
    picture_us: Microseconds  # of every picture that can be shown, sorted
    picture_ends_us: int
    key_us: Microseconds  # of the key frames: when they are shown ...
    key_read_us: Microseconds  # ... and the timestamp by which its demuxer finds each
    sound: tuple[Stretch, ...]
    zero_us: int  # the earliest media: what the start of the file means
    complaints: tuple[Message, ...] = field(default=())
    torn: tuple[Stretch, ...] = ()  # from a packet that arrived torn to the next key frame
    audio_changes: tuple[AudioChange, ...] = ()
    # When pictures are right after each key frame, where that is not at once.
    recovered_us: Microseconds | None = None
    # Reading stopped, or would stop, before the end, which `repair` mends.
    is_irregular: bool = False
    # From when on its pictures are of another kind, such as another size: at key frames, sorted.
    changes: tuple[tuple[int, Video], ...] = ()
    still: tuple[Stretch, ...] = ()  # pauses over which its own table shows the picture before
    # How many bytes each picture takes: where a still picture changes, it is many.
    picture_bytes: Microseconds | None = None

    @property
    def ends_us(self) -> int:
        """Until when there is anything of the file, a picture that stands included."""
        return max([self.zero_us + self.length_us, *(s.end_us for s in self.still[-1:])])

    @property
    def length_us(self) -> int:
        """From the earliest media to the end of the last; sound's last packet may be padding."""
        pictures = self.picture_ends_us if len(self.picture_us) else self.zero_us
        sound = self.sound[-1].end_us if self.sound else self.zero_us
        return (sound if sound > pictures + PADDING_US else pictures) - self.zero_us

    def video_at(self, at_us: int) -> Video | None:
        """Return what the pictures at a file time are like."""
        before = [video for since_us, video in self.changes if since_us <= at_us]
        return before[-1] if before else self.video

    def pictures(self, *, still_us: int = 0) -> tuple[Stretch, ...]:
        """Return where the file has pictures, split at its pauses.

        Args:
            still_us: how long a picture may stand in a pause while the file says that it goes on,
                in its table or by its sound; for a screen, which may send pictures only when
                something changes. A camera always sends some: 0.
        """
        if self.video is None or not len(self.picture_us):
            return ()
        own_us = min(self.video.frame_us, STILL_US)
        limit = max(PAUSE_US, own_us * 3 // 2)
        times = [*self.picture_us.tolist(), self.picture_ends_us]
        says = merge_stretches((*self.still, *self.sound)) if still_us else []
        if says and says[-1].end_us > times[-1]:
            last = Stretch(times[-2], says[-1].end_us)
            times[-1] = max(times[-1], _stands_until(last, says, still_us))
        found: list[Stretch] = []
        begins = times[0]
        for n in np.flatnonzero(np.diff(times) > limit).tolist():
            # What is seen before a pause has its own time, whatever follows.
            stands = _stands_until(Stretch(times[n], times[n + 1]), says, still_us)
            stands = max(stands, times[n] + own_us)
            if stands < times[n + 1]:
                found.append(Stretch(begins, stands))
                begins = times[n + 1]
        if begins < times[-1]:
            found.append(Stretch(begins, times[-1]))
        return without_spans(found, self.torn)

    @property
    def right_us(self) -> Microseconds:
        """From when on pictures are right if a decoder begins with each of the key frames."""
        return self.key_us if self.recovered_us is None else self.recovered_us

    def key_before(self, at_us: int) -> int | None:
        """Return the number of the key frame that a decoder begins with to show a time, if any."""
        early_enough = np.flatnonzero(self.right_us <= at_us)
        return int(early_enough[-1]) if len(early_enough) else None

    def right_after(self, at_us: int) -> int:
        """Return when pictures are right again if they are not from a time on."""
        later = self.right_us[self.key_us > at_us]
        return int(later.min()) if len(later) else self.picture_ends_us

    def ffmpeg_seek_us(self, key: int) -> int:
        """Return the time to give to `ffmpeg -ss` so that reading begins with a key frame.

        ffmpeg seeks to the last key frame (in a transport stream: the last packet) at or before a
        time; half a frame more keeps rounding from missing it. Where the demuxer does not seek by
        presentation time and pictures are reordered, ffmpeg itself goes back by 3/23 s
        (fftools/ffmpeg_demux.c), which would land in the group before.
        """
        assert self.video is not None
        goes_back = self.demuxer != "mov" and self.video.reorders
        extra = 3_000_000 // 23 if goes_back else 0
        return int(self.key_read_us[key]) + self.video.frame_us // 2 + extra

    def audio_between(self, start_us: int, end_us: int) -> list[AudioChange]:
        """Return which sound streams are to be heard in a stretch, each from when on."""
        assert self.audio is not None
        first = AudioChange(start_us, self.audio)
        found = [first]
        for change in self.audio_changes:
            if change.at_us <= start_us:
                found = [AudioChange(start_us, change.audio)]
            elif change.at_us < end_us:
                found.append(change)
        return found

    def pictures_in(self, start_us: int, end_us: int) -> int:
        """Return how many pictures are shown in a stretch of file time."""
        first, last = np.searchsorted(self.picture_us, [start_us, end_us])
        return int(last - first)


def choose_audio(streams: Sequence[tuple[Audio, Sequence[Stretch]]]) -> list[AudioChange]:
    """Return at which times of a file which of its sound streams is the one to hear.

    At every instant that is the first that sounds then; where none does, nothing changes.

    Args:
        streams: in order of preference, and where each of them sounds.
    """
    edges = sorted(
        {us for _, sounding in streams for s in sounding for us in (s.start_us, s.end_us)}
    )
    chosen: list[AudioChange] = []
    for at_us in edges:
        audio = next(
            (a for a, sounding in streams if any(s.start_us <= at_us < s.end_us for s in sounding)),
            None,
        )
        if audio is not None and (not chosen or chosen[-1].audio != audio):
            chosen.append(AudioChange(at_us, audio))
    return chosen


def _stands_until(pause: Stretch, says: Sequence[Stretch], still_us: int) -> int:
    """Return until when the picture before a pause stands.

    Args:
        says: where the file says that it goes on; what is shorter than a pause between them does
            not count.
    """
    until = pause.start_us
    n = max(0, bisect_right(says, until, key=lambda s: s.start_us) - 1)
    while n < len(says) and says[n].start_us <= until + PAUSE_US and until < pause.end_us:
        until = max(until, says[n].end_us)
        n += 1
    until = min(until, pause.start_us + still_us)
    return pause.end_us if pause.end_us - until <= PAUSE_US else until

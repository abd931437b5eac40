"""Media files, read with PyAV: every packet of a file, and its first picture.

Files are data from a network. The demuxer is chosen by the first bytes out of three and forced, so
that a playlist called `.mp4` stays unreadable instead of fetching what it names.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import av.container
import av.packet
import av.stream
import av.video.frame
import numpy as np

from merger.errors import Broken, Temporary
from merger.i18n import Message, verbatim
from merger.storage.files import AWAY, translate_os_error
from merger.timeline.clock import Stretch
from merger.timeline.media import (
    INTERLEAVING_US,
    MAX_PIXELS,
    PAUSE_US,
    SOUND_PAUSE_US,
    Audio,
    MediaFile,
    Microseconds,
    Video,
)

_SECOND_US = 1_000_000
# Tried until one picture has been decoded: from the first key frame on, and before it in case that
# there is none.
_PROBED_PACKETS = 300
_REORDERED = 20  # pictures that may come before a key frame's own out of a decoder
_BLOCK = 1 << 20  # bytes
# What only the system answers. libav says EIO, EAGAIN and ENOMEM of bad data, too.
_OF_THE_SYSTEM = (AWAY - {errno.EIO, errno.EAGAIN}) | {errno.ENOENT, errno.EMFILE, errno.ENFILE}


class Unreadable(Exception):
    """A file that holds no media that we can read; the message says why."""

    def __init__(self, message: Message) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return str(self.message)


def demuxer_for(head: bytes) -> str | None:
    """Return the demuxer for a file's first bytes, out of the three that a library may hold."""
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"styp", b"pnot"):
        return "mov"
    for packet in (188, 192, 204):  # plain, with a time code (M2TS), with error correction
        first = 4 if packet == 192 else 0
        syncs = [head[i : i + 1] for i in range(first, len(head), packet)]
        if len(syncs) >= 2 and all(s == b"\x47" for s in syncs):
            return "mpegts"
    # A transport stream that was cut anywhere begins in the middle of a packet.
    for first in range(1, 188):
        if len(head) > first + 4 * 188 and all(
            head[i] == 0x47 for i in range(first, len(head), 188)
        ):
            return "mpegts"
    return None


@contextmanager
def open_container(path: Path, demuxer: str) -> Iterator[av.container.InputContainer]:
    """Open a file with a forced demuxer; nothing but the file itself is read."""
    options = {"protocol_whitelist": "file"}
    with closing(
        av.open(str(path), format=demuxer, options=options, metadata_errors="replace")
    ) as c:
        assert isinstance(c, av.container.InputContainer)
        yield c


def explain_failure(media: MediaFile, error: av.FFmpegError) -> None:
    """Raise Temporary or Broken where a failure is the system's and says nothing of the data."""
    if isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM:
        raise _unreadable_now(media.path, error) from error
    if isinstance(error, OSError | MemoryError):
        check_readable(media)


def check_readable(media: MediaFile) -> None:
    """Read a file as plain bytes. Raises Temporary or Broken unless it is there as it was.

    Asked before anything is concluded from pictures that did not come: demuxers take a failure to
    read for the end of the file.
    """
    try:
        stat = media.path.stat()
        with media.path.open("rb", buffering=0) as file:
            while file.read(_BLOCK):
                pass
    except OSError as error:
        raise _unreadable_now(media.path, error) from error
    if (stat.st_size, stat.st_mtime_ns) != (media.size_bytes, media.mtime_ns):
        raise Temporary("input_changed", "media.changed", path=str(media.path))


def _unreadable_now(path: Path, error: OSError) -> Temporary | Broken:
    if error.errno in (*_OF_THE_SYSTEM, errno.ENOMEM):
        return Temporary(
            "storage_away", "media.away", path=str(path), why=error.strerror or str(error)
        )
    return translate_os_error(error, path.parent)


def read_media(path: Path) -> MediaFile:
    """Read every packet of a file and say what is in it.

    Raises Unreadable where there is no picture and no sound to be had, OSError where the file
    itself cannot be read.
    """
    stat = path.stat()
    with path.open("rb") as file:
        demuxer = demuxer_for(file.read(188 * 8))
    if stat.st_size == 0:
        raise Unreadable(Message("media.empty"))
    if demuxer is None:
        raise Unreadable(Message("media.unknown_format"))
    try:
        with open_container(path, demuxer) as container:
            return _indexed(path, demuxer, stat.st_size, stat.st_mtime_ns, container)
    except (av.FFmpegError, ValueError) as error:
        raise Unreadable(verbatim(_phrase(error))) from error


def _indexed(
    path: Path, demuxer: str, size: int, mtime_ns: int, container: av.container.InputContainer
) -> MediaFile:
    video = container.streams.best("video")
    audio = container.streams.best("audio")
    if video is not None and video.disposition & av.stream.Disposition.attached_pic:
        video = next(
            (
                s
                for s in container.streams.video
                if not s.disposition & av.stream.Disposition.attached_pic
            ),
            None,
        )
    streams = [s for s in (video, audio) if s is not None]
    if not streams:
        raise Unreadable(Message("media.nothing"))
    complaints: list[Message] = []
    shown: list[tuple[int, int]] = []  # (when, how long), in the stream's time base
    keys: list[tuple[int, int]] = []
    heard: list[tuple[int, int]] = []
    torn: list[int] = []
    picture: av.video.frame.VideoFrame | None = None
    tries = 0
    last_dts: dict[int, int] = {}
    packets = container.demux(*streams)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            complaints.append(Message("media.reading_stopped", why=_phrase(error)))
            break
        if packet is None:
            break
        pts = packet.pts if packet.pts is not None else packet.dts
        if pts is None or packet.size == 0:
            continue  # the flush packets at the end have no time
        dts = packet.dts if packet.dts is not None else pts
        if packet.dts is not None:
            if dts < last_dts.get(packet.stream_index, dts) - 1 / packet.time_base:
                complaints.append(Message("media.clock_jumps_back"))
                # Pictures of both sides of the jump meet at the last one.
                last = max(shown, default=(0, 0))[0]
                shown = [s for s in shown if s[0] < last]
                break
            last_dts[packet.stream_index] = dts
        if audio is not None and packet.stream_index == audio.index:
            if not packet.is_discard:
                heard.append((pts, packet.duration or 0))
            continue
        if packet.is_keyframe:
            # However many there were before it: each may be the first that can be decoded.
            tries = min(tries, _PROBED_PACKETS - _REORDERED) if keys else 0
            keys.append((pts, dts))
        if packet.is_corrupt:
            torn.append(pts)
        if picture is None and tries < _PROBED_PACKETS:
            tries += 1
            # Without a key frame for long, the stream may have none and refresh itself in pieces.
            if keys or tries > _PROBED_PACKETS // 2:
                picture = _first_picture(packet)
        if not packet.is_discard:
            shown.append((pts, packet.duration or 0))
    if video is not None and picture is None:
        if shown:
            complaints.append(Message("media.undecodable"))
        video, shown = None, []
    described, picture_us, ends_us = _pictures(video, picture, shown, keys)
    sound = _sound(audio, heard)
    if not len(picture_us) and not sound:
        raise Unreadable(complaints[0] if complaints else Message("media.nothing"))
    base = video.time_base if video is not None else None
    key_us = _us([k[0] for k in keys], base)
    return MediaFile(
        path=path,
        demuxer=demuxer,
        size_bytes=size,
        mtime_ns=mtime_ns,
        video=described,
        audio=_described_audio(audio) if sound else None,
        picture_us=picture_us,
        picture_ends_us=ends_us,
        key_us=key_us,
        # mpegts finds by decoding time, the others by presentation time
        key_read_us=_us([k[1] if demuxer == "mpegts" else k[0] for k in keys], base),
        sound=sound,
        zero_us=_zero(picture_us, shown, base, sound),
        complaints=tuple(complaints),
        torn=_torn(_us(torn, base), picture_us, key_us, ends_us),
    )


def _first_picture(packet: av.packet.Packet[Any]) -> av.video.frame.VideoFrame | None:
    try:
        frames = packet.decode()
    except av.FFmpegError:
        return None
    for frame in frames:
        assert isinstance(frame, av.video.frame.VideoFrame)
        if frame.width * frame.height > MAX_PIXELS:
            raise Unreadable(
                Message("media.picture_too_large", width=frame.width, height=frame.height)
            )
        return frame
    return None


def _pictures(
    stream: Any, picture: Any, shown: list[tuple[int, int]], keys: list[tuple[int, int]]
) -> tuple[Video | None, Microseconds, int]:
    if stream is None or picture is None:
        return None, np.empty(0, np.int64), 0
    # Without the key frame before them, pictures cannot be decoded: a transport stream that
    # begins in the middle of a group of pictures is empty until the first key frame.
    first = keys[0][0] if keys else min(pts for pts, _ in shown)
    times = sorted(set(shown))
    times = [t for t in times if t[0] >= first]
    if not times:
        return None, np.empty(0, np.int64), 0
    picture_us = np.unique(_us([t[0] for t in times], stream.time_base))
    steps = np.diff(picture_us)
    last_us = int(_us([times[-1][1]], stream.time_base)[0])
    frame_us = int(np.median(steps)) if len(steps) else (last_us or 40_000)
    frame_us = max(1, frame_us)
    variable = bool(len(steps) and np.mean(np.abs(steps - frame_us) > frame_us * 0.25) > 0.1)
    # Containers often know the last picture's time on screen; a muxer that guessed it is kept
    # within bounds.
    last_us = last_us if 0 < last_us <= max(2 * frame_us, PAUSE_US if variable else 0) else frame_us
    context = stream.codec_context
    pixel_aspect = stream.sample_aspect_ratio or Fraction(1)
    if not Fraction(1, 8) <= pixel_aspect <= 8:
        pixel_aspect = Fraction(1)
    video = Video(
        stream=stream.index,
        codec=context.name,
        width=picture.width,
        height=picture.height,
        pixel_aspect=Fraction(pixel_aspect),
        rotation=round(picture.rotation / 90) % 4 * 90,
        pixel_format=picture.format.name,
        full_range=int(picture.color_range) == 2 or picture.format.name.startswith("yuvj"),
        matrix={1: "bt709", 5: "bt601", 6: "bt601"}.get(int(picture.colorspace)),
        interlaced=bool(picture.interlaced_frame),
        frame_us=frame_us,
        variable_rate=variable,
        reorders=bool(context.has_b_frames),
    )
    return video, picture_us, int(picture_us[-1]) + last_us


def _torn(
    torn_us: Microseconds, picture_us: Microseconds, key_us: Microseconds, ends_us: int
) -> tuple[Stretch, ...]:
    """Return what cannot be trusted after packets that lost a piece on their way.

    What was lost behind such a packet is not in the file at all, and decoders do not always
    complain of the pictures that were built on it.
    """
    found = []
    for at_us in torn_us.tolist() if len(picture_us) else ():
        after = int(np.searchsorted(key_us, at_us, side="right"))
        end = int(key_us[after]) if after < len(key_us) else ends_us
        if end > at_us:
            found.append(Stretch(at_us, end))
    return tuple(found)


def _sound(stream: Any, heard: list[tuple[int, int]]) -> tuple[Stretch, ...]:
    if stream is None or not heard:
        return ()
    times = np.array(sorted(heard), np.int64)
    starts = _us(times[:, 0], stream.time_base)
    ends = starts + _us(times[:, 1], stream.time_base)
    cuts = np.flatnonzero(starts[1:] - np.maximum.accumulate(ends)[:-1] > SOUND_PAUSE_US) + 1
    bounds = [0, *cuts.tolist(), len(starts)]
    return tuple(
        Stretch(int(starts[a]), int(ends[a:b].max()))
        for a, b in pairwise(bounds)
        if ends[a:b].max() > starts[a]
    )


def _described_audio(stream: Any) -> Audio:
    context = stream.codec_context
    return Audio(stream.index, context.name, context.sample_rate or 0, context.channels or 0)


def _zero(
    picture_us: Microseconds, shown: list[tuple[int, int]], base: Any, sound: tuple[Stretch, ...]
) -> int:
    """Return when the file's media begins: with its pictures, unless sound leads by far."""
    # Pictures that cannot be decoded were captured all the same: the file begins with them.
    pictures = int(_us([min(pts for pts, _ in shown)], base)[0]) if len(picture_us) else None
    if pictures is None or not sound:
        return sound[0].start_us if pictures is None else pictures
    earlier = sound[0].start_us < pictures - INTERLEAVING_US
    return sound[0].start_us if earlier else pictures


def _us(times: Any, base: Any) -> Microseconds:
    if not len(times) or base is None:
        return np.empty(0, np.int64)
    # numpy's int64 would overflow in the product for long files with fine time bases
    return np.array(
        [(2 * int(t) * base.numerator * _SECOND_US + base.denominator) // (2 * base.denominator)
         for t in times],
        np.int64,
    )  # fmt: skip


def _phrase(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:]

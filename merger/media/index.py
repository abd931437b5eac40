"""Media files, read with PyAV: every packet of a file, and its first picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
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

from merger.i18n import Message, verbatim
from merger.isolation.reader import Unreadable
from merger.media.colour import complaints_about
from merger.media.container import channel_count, demuxer_for, open_container, read_header
from merger.media.recovery import pictures_until_recovery
from merger.media.shapes import ShapeWatch, look_of
from merger.media.silence import sounding_stretches
from merger.media.transport import changes_streams
from merger.timeline.clock import Stretch, merge_stretches, microseconds
from merger.timeline.files.continuity import jumps
from merger.timeline.media import (
    INTERLEAVING_US,
    MAX_PIXELS,
    PAUSE_US,
    SOUND_PAUSE_US,
    Audio,
    AudioChange,
    MediaFile,
    Microseconds,
    Video,
    choose_audio,
)

_SECOND_US = 1_000_000
# Tried until one picture has been decoded: from the first key frame on, and before it in case that
# there is none.
_PROBED_PACKETS = 300
_REORDERED = 20  # pictures that may come before a key frame's own out of a decoder
_LONGEST_STILL_US = 24 * 3600 * _SECOND_US
_LONGEST_SOUND_PACKET = 2  # times the usual one, where that is more than a pause of sound


def read_media(path: Path) -> MediaFile:
    """Read every packet of a file and say what is in it.

    Raises:
        Unreadable: there is no picture and no sound to be had.
        OSError: the file itself cannot be read.
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
            return _index(path, demuxer, stat.st_size, stat.st_mtime_ns, container)
    except (av.FFmpegError, ValueError) as error:
        raise Unreadable(verbatim(_reason(error))) from error


def read_unless_over(
    path: Path, start: datetime, instant: datetime, *, is_followed: bool
) -> MediaFile | None:
    """Read a file, unless it surely ends before an instant; then return None.

    Args:
        start: of the file.
        is_followed: the same source has a later file that begins before the instant.

    Raises:
        Unreadable, OSError: as `read_media` does.
    """
    if start < instant and _is_over(path, start, instant, is_followed=is_followed):
        return None
    return read_media(path)


def _is_over(path: Path, start: datetime, instant: datetime, *, is_followed: bool) -> bool:
    """Return whether a file surely ends before an instant, judging by its header alone."""
    header = read_header(path)
    # The duration of a Matroska file that was cut off is a guess from the bit rate.
    if header is None or not header.length_us or (header.demuxer == "matroska" and not is_followed):
        return False
    # Headers lie a little, and drift stretches: half as long again is safe.
    return header.length_us * 3 // 2 < microseconds(instant - start)


def _index(
    path: Path, demuxer: str, size: int, mtime_ns: int, container: av.container.InputContainer
) -> MediaFile:
    video, audios = _video_stream(container), _audio_streams(container)
    if video is None and not audios:
        raise Unreadable(Message("media.nothing"))
    watch = ShapeWatch(video if demuxer == "mpegts" else None)
    packets = _read_packets(container, video, audios, watch)
    complaints = packets.complaints
    if container.streams.audio and not audios:
        complaints.append(Message("media.sound_unknown"))
    if video is not None and packets.picture is None:
        if packets.shown:
            complaints.append(Message("media.undecodable"))
        video, packets.shown, packets.keys = None, [], []
    recovered = _recovered(packets)
    described, picture_us, ends_us = _describe_video(
        video, packets.picture, packets.shown, recovered
    )
    complaints += complaints_about(packets.picture) if described and packets.picture else ()
    sounds = {s.index: _sound_stretches(s, packets.heard[s.index]) for s in audios}
    heard = _choose_audio(path, demuxer, [s for s in audios if sounds[s.index]])
    sound = merge_stretches(s for number in {h.audio.stream for h in heard} for s in sounds[number])
    if not len(picture_us) and not sound:
        raise Unreadable(complaints[0] if complaints else Message("media.nothing"))
    base = video.time_base if video is not None else None
    key_us = _microseconds([pts for pts, _ in packets.keys], base)
    right_us = _microseconds(recovered, base)
    # mpegts finds by decoding time, the others by presentation time
    read = [dts if demuxer == "mpegts" else pts for pts, dts in packets.keys]
    return MediaFile(
        path=path,
        demuxer=demuxer,
        size_bytes=size,
        mtime_ns=mtime_ns,
        video=described,
        audio=heard[0].audio if heard else None,
        picture_us=picture_us,
        picture_ends_us=ends_us,
        key_us=key_us,
        key_read_us=_microseconds(read, base),
        sound=tuple(sound),
        zero_us=_zero_us(picture_us, packets.shown, base, sound),
        complaints=tuple(complaints),
        torn=_torn_stretches(
            _microseconds(packets.torn, base), picture_us, key_us, right_us, ends_us
        ),
        audio_changes=tuple(heard[1:]),
        recovered_us=right_us if packets.refreshing else None,
        is_irregular=packets.is_irregular or (demuxer == "mpegts" and changes_streams(path)),
        changes=_changes(described, watch, base),
        still=_still_stretches(packets.shown, base, demuxer),
        picture_bytes=_bytes_of(picture_us, packets.sizes, base),
    )


def _video_stream(container: av.container.InputContainer) -> Any:
    """Return the stream of pictures; a cover of an album is none."""
    cover = av.stream.Disposition.attached_pic
    video = container.streams.best("video")
    if video is None or not video.disposition & cover:
        return video
    return next((s for s in container.streams.video if not s.disposition & cover), None)


def _audio_streams(container: av.container.InputContainer) -> list[Any]:
    """Return the streams of sound that can be decoded, the default one first."""
    usable = [s for s in container.streams.audio if s.codec_context is not None]
    best = container.streams.best("audio")
    return sorted(usable, key=lambda s: best is None or s.index != best.index)


def _choose_audio(path: Path, demuxer: str, streams: list[Any]) -> list[AudioChange]:
    """Return which streams of sound are to be heard; several are listened to for that."""
    described = [_describe_audio(stream) for stream in streams]
    if len(streams) > 1:
        sounding = sounding_stretches(path, demuxer, [audio.stream for audio in described])
        chosen = choose_audio([(audio, sounding[audio.stream]) for audio in described])
        if chosen:
            return chosen
    return [AudioChange(0, audio) for audio in described[:1]]


@dataclass
class _Packets:
    """What the packets of a file have shown. Times are in the time base of their stream."""

    shown: list[tuple[int, int]] = field(default_factory=list)  # pictures: when, how long
    keys: list[tuple[int, int]] = field(default_factory=list)  # when shown, when decoded
    heard: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # when, how long
    # Key frames after which pictures are not right at once: how many pictures later they are, and
    # how many of `shown` there were before. By the number of the key frame.
    refreshing: dict[int, tuple[int, int]] = field(default_factory=dict)
    torn: list[int] = field(default_factory=list)
    picture: av.video.frame.VideoFrame | None = None  # the first that can be decoded
    complaints: list[Message] = field(default_factory=list)
    is_irregular: bool = False
    sizes: dict[int, int] = field(default_factory=dict)  # bytes of pictures, by when they are shown


def _read_packets(
    container: av.container.InputContainer, video: Any, audios: list[Any], watch: ShapeWatch
) -> _Packets:
    found = _Packets(heard={stream.index: [] for stream in audios})
    shown, keys = found.shown, found.keys
    has_picture, tries = False, 0
    last_us: dict[int, int] = {}  # by stream
    packets = container.demux(*([video] if video is not None else []), *audios)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            found.complaints.append(Message("media.reading_stopped", why=_reason(error)))
            break
        except IndexError:  # PyAV 18.1, at a packet of a stream that began in the middle
            found.complaints.append(Message("media.clock_jumps"))
            found.is_irregular = True
            break
        if packet is None:
            break
        pts = packet.pts if packet.pts is not None else packet.dts
        if pts is None or packet.size == 0:
            continue  # the flush packets at the end have no time
        dts = packet.dts if packet.dts is not None else pts
        if packet.dts is not None:
            at_us = round(dts * packet.time_base * _SECOND_US)
            if jumps(last_us.get(packet.stream_index, at_us), at_us):
                found.complaints.append(Message("media.clock_jumps"))
                found.is_irregular = True
                # Pictures of both sides of the jump meet at the last one.
                last = max(shown, default=(0, 0))[0]
                found.shown = [when for when in shown if when[0] < last]
                break
            last_us[packet.stream_index] = at_us
        heard = found.heard.get(packet.stream_index)
        if heard is not None:
            if not packet.is_discard:
                heard.append((pts, packet.duration or 0))
            continue
        if packet.is_keyframe:
            # However many there were before it: each may be the first that can be decoded.
            tries = min(tries, _PROBED_PACKETS - _REORDERED) if keys else 0
            late = pictures_until_recovery(
                video.codec_context.name, video.codec_context.extradata, bytes(packet)
            )
            if late:
                found.refreshing[len(keys)] = (late, len(shown))
            keys.append((pts, dts))
            watch.look(packet, pts)
        if packet.is_corrupt:
            found.torn.append(pts)
        if not has_picture and tries < _PROBED_PACKETS:
            tries += 1
            # Without a key frame for long, the stream may have none and refresh itself in pieces.
            if keys or tries > _PROBED_PACKETS // 2:
                found.picture = _first_picture(video.codec_context, packet)
                has_picture = found.picture is not None
        if not packet.is_discard:
            shown.append((pts, packet.duration or 0))
            found.sizes[pts] = packet.size
    if tries and not has_picture and tries < _PROBED_PACKETS:
        # A file of few pictures ends before the decoder has given out the first.
        found.picture = _first_picture(video.codec_context, None)
    return found


def _recovered(packets: _Packets) -> list[int]:
    """Return from when on pictures are right, for each key frame."""
    found = [pts for pts, _ in packets.keys]
    if not packets.refreshing:
        return found
    shown = packets.shown
    # Pictures that no other refers to do not count: twice as many hold enough that do.
    times = 2 if any(after[0] < before[0] for before, after in pairwise(shown)) else 1
    never = max((pts for pts, _ in shown), default=0) + 1
    for number, (late, first) in packets.refreshing.items():
        run_in = shown[first : first + times * late + 1]
        is_whole = len(run_in) > times * late
        found[number] = max(pts for pts, _ in run_in) if is_whole else never
    return found


def _first_picture(
    decoder: Any, packet: av.packet.Packet[Any] | None
) -> av.video.frame.VideoFrame | None:
    try:
        frames = decoder.decode(packet)
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


def _describe_video(
    stream: Any, picture: Any, shown: list[tuple[int, int]], recovered: list[int]
) -> tuple[Video | None, Microseconds, int]:
    """Return the stream of pictures, when they are shown, and until when the last one is."""
    if stream is None or picture is None:
        return None, np.empty(0, np.int64), 0
    # Without the key frame before them, pictures cannot be decoded: a transport stream that
    # begins in the middle of a group of pictures is empty until the first key frame.
    first = min(recovered) if recovered else min(pts for pts, _ in shown)
    times = [time for time in sorted(set(shown)) if time[0] >= first]
    if not times:
        return None, np.empty(0, np.int64), 0
    picture_us = np.unique(_microseconds([pts for pts, _ in times], stream.time_base))
    steps = np.diff(picture_us)
    last_us = int(_microseconds([times[-1][1]], stream.time_base)[0])
    frame_us = int(np.median(steps)) if len(steps) else (last_us or 40_000)
    frame_us = max(1, frame_us)
    variable = bool(len(steps) and np.mean(np.abs(steps - frame_us) > frame_us * 0.25) > 0.1)
    # Containers often know the last picture's time on screen; a muxer that guessed it is kept
    # within bounds.
    last_us = last_us if 0 < last_us <= max(2 * frame_us, PAUSE_US if variable else 0) else frame_us
    context = stream.codec_context
    video = Video(
        stream=stream.index,
        codec=context.name,
        frame_us=frame_us,
        variable_rate=variable,
        reorders=bool(context.has_b_frames),
        **look_of(picture, stream.sample_aspect_ratio),
    )
    return video, picture_us, int(picture_us[-1]) + last_us


def _changes(video: Video | None, watch: ShapeWatch, base: Any) -> tuple[tuple[int, Video], ...]:
    """Return from when on pictures are of another kind than those before."""
    changes: list[tuple[int, Video]] = []
    before = video
    for change in watch.changes:
        if before is None:
            break
        after = replace(before, **change.look)
        if not change.is_oriented:
            after = replace(after, rotation=before.rotation)
        if after != before:
            changes.append((int(_microseconds([change.pts], base)[0]), after))
            before = after
    return tuple(sorted(changes, key=lambda change: change[0]))


def _torn_stretches(
    torn_us: Microseconds,
    picture_us: Microseconds,
    key_us: Microseconds,
    right_us: Microseconds,
    ends_us: int,
) -> tuple[Stretch, ...]:
    """Return what cannot be trusted after packets that lost a piece on their way.

    What was lost behind such a packet is not in the file at all, and decoders do not always
    complain of the pictures that were built on it.
    """
    torn = []
    for at_us in torn_us.tolist() if len(picture_us) else ():
        end = int(right_us[key_us > at_us].min(initial=ends_us))
        if end > at_us:
            torn.append(Stretch(at_us, end))
    return tuple(torn)


def _bytes_of(picture_us: Microseconds, sizes: Mapping[int, int], base: Any) -> Microseconds:
    """Return how many bytes each picture takes."""
    if not len(picture_us):
        return np.empty(0, np.int64)
    times_us = _microseconds(list(sizes), base)
    order = np.argsort(times_us)
    found = np.searchsorted(times_us[order], picture_us)
    return np.array(list(sizes.values()), np.int64)[order][found]


def _still_stretches(shown: list[tuple[int, int]], base: Any, demuxer: str) -> tuple[Stretch, ...]:
    """Return the pauses of pictures over which the file's own table shows the one before.

    Args:
        shown: pictures in the order in which they are stored.
    """
    if not shown or base is None:
        return ()
    times, lengths = (np.array(column, np.int64) for column in zip(*shown, strict=True))
    order = np.argsort(times, kind="stable")
    last = order[-1]
    ends = int(times[last] + lengths[last])
    if demuxer == "mov":
        # Its table counts in the order of decoding: the sum is right where pictures are reordered.
        ends = max(ends, int(times[order[0]]) + sum(length for _, length in shown))
    bounds = np.append(times[order], ends)
    steps = np.diff(bounds)
    found = []
    for n in np.flatnonzero(steps > Fraction(PAUSE_US, _SECOND_US) / base).tolist():
        near = lengths[max(0, order[n] - _REORDERED) : order[n] + _REORDERED + 1]
        if n == len(order) - 1 or near.max() >= steps[n] * 9 // 10:
            start_us, end_us = _microseconds(bounds[n : n + 2], base).tolist()
            # A damaged table gives a picture years, which no calendar holds.
            found.append(Stretch(start_us, min(end_us, start_us + _LONGEST_STILL_US)))
    return tuple(found)


def _sound_stretches(stream: Any, heard: list[tuple[int, int]]) -> tuple[Stretch, ...]:
    if not heard:
        return ()
    times = np.array(sorted(heard), np.int64)
    starts = _microseconds(times[:, 0], stream.time_base)
    lengths = _microseconds(times[:, 1], stream.time_base)
    # The table of an MP4 gives the last packet before a pause the pause, too.
    longest = max(SOUND_PAUSE_US, _LONGEST_SOUND_PACKET * int(np.median(lengths)))
    ends = starts + np.minimum(lengths, longest)
    cuts = np.flatnonzero(starts[1:] - np.maximum.accumulate(ends)[:-1] > SOUND_PAUSE_US) + 1
    bounds = [0, *cuts.tolist(), len(starts)]
    return tuple(
        Stretch(int(starts[a]), int(ends[a:b].max()))
        for a, b in pairwise(bounds)
        if ends[a:b].max() > starts[a]
    )


def _describe_audio(stream: Any) -> Audio:
    context = stream.codec_context
    return Audio(stream.index, context.name, context.sample_rate or 0, channel_count(context))


def _zero_us(
    picture_us: Microseconds, shown: list[tuple[int, int]], base: Any, sound: Sequence[Stretch]
) -> int:
    """Return when the file's media begins: with its pictures, unless sound leads by far."""
    # Pictures that cannot be decoded were captured all the same: the file begins with them.
    first = [min(pts for pts, _ in shown)] if len(picture_us) else []
    pictures = int(_microseconds(first, base)[0]) if first else None
    if pictures is None or not sound:
        return sound[0].start_us if pictures is None else pictures
    is_earlier = sound[0].start_us < pictures - INTERLEAVING_US
    return sound[0].start_us if is_earlier else pictures


def _microseconds(times: Any, base: Any) -> Microseconds:
    if not len(times) or base is None:
        return np.empty(0, np.int64)
    # numpy's int64 would overflow in the product for long files with fine time bases
    return np.array(
        [(2 * int(t) * base.numerator * _SECOND_US + base.denominator) // (2 * base.denominator)
         for t in times],
        np.int64,
    )  # fmt: skip


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:]

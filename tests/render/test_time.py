"""Both sides show the same wall-clock instant, and the merge lasts exactly as asked for."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import av
import pytest

from merger.media.index import read_media
from merger.media.library import read_library
from merger.timeline.clock import Span, utc
from merger.timeline.report import MergeResult
from tests.conftest import START, Room, seconds
from tests.support.selection import BOTH_FFMPEGS
from tests.support.truth import Seen, error_ms, frames_seen, instant_of

OUTPUT_FRAME_MS = 40


def path_of(result: MergeResult, kind: str = "merge"):
    return next(r.path for r in result.renditions if r.kind == kind)


def check_instants(
    seen: list[Seen], start: datetime, source_frame_ms: float = 40, *, both: bool = True
) -> None:
    worst = max(OUTPUT_FRAME_MS, source_frame_ms)
    for frame in seen:
        for clock in (frame.left, frame.right) if both else (frame.left or frame.right,):
            assert clock is not None, f"no clock in frame {frame.frame}"
            assert abs(error_ms(clock, instant_of(start, frame.frame))) <= worst, frame


@pytest.mark.real_encoder
@BOTH_FFMPEGS
def test_one_segment_each(room: Room) -> None:
    room.film("speaker")
    room.film("screen")
    result = room.merge(9.4, from_s=0.52)
    seen = frames_seen(path_of(result))
    assert len(seen) == 222  # 8.88 s at 25 frames a second
    check_instants(seen, START + seconds(0.52))
    assert {frame.left.source for frame in seen} == {1}
    assert {frame.right.source for frame in seen} == {2}
    backup = frames_seen(path_of(result, "backup"), left_width=320)
    assert [frame.left for frame in backup] == [frame.right for frame in seen]


def test_ragged_segments_gaps_and_overlaps(room: Room) -> None:
    room.film("speaker", 4.2, 12.8)  # starts late ...
    room.film("speaker", 15.0, 12.0)  # ... overlaps, and ends early
    room.film("screen", 0.0, 10.0)
    room.film("screen", 14.0, 16.0)
    for clip in room.library.glob("*"):
        assert clip.stat().st_size
    # names are to the second; the exact starts come from sidecars
    late = room.library / "2026-11-20_10-00-04_504_speaker.json"
    late.write_text(json.dumps({"start": (START + seconds(4.2)).isoformat()}))
    result = room.merge(30.0, chunk=timedelta(seconds=30))
    seen = frames_seen(path_of(result))
    assert len(seen) == 750
    for frame in seen:
        instant = instant_of(START, frame.frame)
        at = frame.frame / 25
        if 4.2 <= at < 27:
            assert frame.left is not None and abs(error_ms(frame.left, instant)) <= 40, frame
        else:
            assert frame.left is None, f"a picture where no media is: {frame}"
        if at < 10 or at >= 14:
            assert frame.right is not None and abs(error_ms(frame.right, instant)) <= 40, frame
        else:
            assert frame.right is None, f"a picture where no media is: {frame}"
    gaps = {(source, span.start - START, span.end - START) for source, span in result.plan.gaps()}
    assert gaps == {
        ("speaker", timedelta(0), seconds(4.2)),
        ("speaker", seconds(27), seconds(30)),
        ("screen", seconds(10), seconds(14)),
    }


def test_a_missing_file_shifts_nothing(room: Room) -> None:
    for at in (0, 10, 20, 30):
        if at != 10:
            room.film("speaker", at)
        room.film("screen", at)
    seen = frames_seen(path_of(room.merge(40.0)))
    assert len(seen) == 1000
    check_instants([s for s in seen if not 250 <= s.frame < 500], START)
    hole = [s for s in seen if 250 <= s.frame < 500]
    assert all(s.left is None and s.right is not None for s in hole)


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("Europe/Moscow", datetime(2026, 11, 20, 20, 59, 55)),  # local midnight
        ("Europe/Berlin", datetime(2026, 3, 29, 0, 59, 55)),  # 02:00 becomes 03:00
        ("Europe/Berlin", datetime(2026, 10, 25, 0, 59, 55)),  # 03:00 becomes 02:00
    ],
)
def test_midnight_and_both_clock_changes(one_room: Room, zone: str, start: datetime) -> None:
    begun = start.replace(tzinfo=ZoneInfo("UTC"))
    one_room.zone = ZoneInfo(zone)
    for source in ("speaker", "screen"):
        for at in (0.0, 5.0):
            path = one_room.film(source, at, 5.0, start=begun)
            # the second file of autumn's night is called like one an hour before
            sidecar = path.with_suffix(".json")
            sidecar.write_text(json.dumps({"start": (begun + seconds(at)).isoformat()}))
    seen = frames_seen(path_of(one_room.merge(10.0, start=begun)))
    assert len(seen) == 250
    check_instants(seen, begun)


def test_a_drifting_clock_is_mapped_out(room: Room) -> None:
    # The speaker's device is 1 % fast: in 20 s it writes 20.2 s of media.
    fast = room.film("speaker", 0, 20, media_rate=Fraction(101, 100))
    ends = {"start": START.isoformat(), "end": (START + seconds(20)).isoformat()}
    fast.with_suffix(".json").write_text(json.dumps(ends))
    room.film("screen", 0, 20)
    seen = frames_seen(path_of(room.merge(20.0)))
    assert len(seen) == 500
    check_instants(seen, START)


def test_a_sidecar_that_no_drift_explains_is_not_believed(one_room: Room) -> None:
    cut = one_room.film("speaker", 0, 8)
    ends = {"start": START.isoformat(), "end": (START + seconds(10)).isoformat()}
    cut.with_suffix(".json").write_text(json.dumps(ends))
    one_room.film("screen", 0, 10)
    result = one_room.merge(10.0)
    seen = frames_seen(path_of(result))
    check_instants(seen[:200], START)
    assert all(s.left is None for s in seen[200:])
    assert any(warning.key == "media.shorter" for warning in result.warnings)


@pytest.mark.parametrize(
    ("kept_s", "end_s", "rate"),
    [
        (9.6, 9.6, Fraction(1)),  # the sound of a camera goes on behind its pictures
        (9.6, 9.504, Fraction(99, 100)),  # and its clock is 1 % fast
        (9.6, None, Fraction(1)),  # a screen stood still until its sound was over
        (0.0, None, Fraction(1)),  # a microphone
    ],
)
def test_drift_is_measured_by_the_pictures(
    one_room: Room, kept_s: float, end_s: float | None, rate: Fraction
) -> None:
    film = one_room.film("speaker", 0, 10, container="mkv")
    path = film.with_suffix(".mp4")
    with av.open(str(film)) as source, av.open(str(path), "w") as made:
        kept = [s for s in source.streams if s.type == "audio" or kept_s]
        streams = {stream.index: made.add_stream_from_template(stream) for stream in kept}
        for packet in source.demux(*kept):
            is_sound = packet.stream.type == "audio"
            until_s = 10.0 if is_sound else kept_s
            if packet.pts is not None and packet.pts * packet.time_base < Fraction(until_s - 0.001):
                packet.stream = streams[packet.stream_index]
                made.mux(packet)
    film.unlink()
    media = read_media(path)
    if kept_s:
        assert media.picture_ends_us - media.zero_us == kept_s * 1e6 < media.length_us - 300_000
    end = START + (timedelta(microseconds=media.length_us) if end_s is None else seconds(end_s))
    ends = {"start": START.isoformat(), "end": end.isoformat()}
    path.with_suffix(".json").write_text(json.dumps(ends))
    span = Span(utc(START), utc(START + seconds(5)))
    found = read_library(one_room.library, "504", ["speaker"], span, one_room.zone)
    assert [entry.clock.rate for entry in found.entries] == [rate] and found.warnings == []


@pytest.mark.parametrize("sound", [True, False])
@pytest.mark.parametrize("longer_us", [20_000, 400_000, 1_500_000])
def test_a_screen_that_stands_still_at_the_end_has_not_drifted(
    one_room: Room, sound: bool, longer_us: int
) -> None:
    film = one_room.film("screen", 0, 10, container="mkv", sound=sound)
    path = film.with_suffix(".mp4")
    with av.open(str(film)) as source, av.open(str(path), "w") as made:
        streams = {s.index: made.add_stream_from_template(s) for s in source.streams}
        since_key = 0
        for packet in source.demux():
            if packet.pts is None:
                continue
            if packet.stream.type == "video":
                since_key = 0 if packet.is_keyframe else since_key + 1
                if since_key >= 5:
                    continue
            packet.stream = streams[packet.stream_index]
            made.mux(packet)
    film.unlink()
    media = read_media(path)
    assert media.video is not None and media.video.variable_rate
    end = START + timedelta(microseconds=media.length_us + longer_us)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    ends = {"start": START.isoformat(), "end": end.isoformat(), "sha256": digest}
    path.with_suffix(".json").write_text(json.dumps(ends))
    span = Span(utc(START), utc(START + seconds(5)))
    found = read_library(one_room.library, "504", ["screen"], span, one_room.zone)
    assert [entry.clock.rate for entry in found.entries] == [1]
    assert found.warnings == []


def test_a_long_record_of_many_parts(one_room: Room) -> None:
    """Parts are joined on the frame: the instants hold across every joint."""
    start = START + timedelta(minutes=1, seconds=50)
    for source in ("speaker", "screen"):
        one_room.film(source, 0, 140, start=start, sound=source == "speaker")
    result = one_room.merge(140.0, start=start, chunk=timedelta(minutes=1))
    assert [p.end - p.first for p in result.plan.parts] == [250, 3000, 250]
    near_joints = {joint + n for joint in (0, 250, 3250, 3500) for n in range(-30, 30)}
    seen = frames_seen(path_of(result), wanted={*range(0, 3500, 25), *near_joints})
    assert seen[-1].frame == 3499
    check_instants(seen, start)


@pytest.mark.parametrize(("first_s", "second_s"), [(0.6, 4.0), (0.0, 4.28)])
def test_files_named_to_the_second_meet(one_room: Room, first_s: float, second_s: float) -> None:
    """By their names, the two would leave a gap of 0.6 s, or overlap by 0.28 s."""
    one_room.film("speaker", first_s, second_s - first_s)
    one_room.film("speaker", second_s, 8 - second_s)
    one_room.film("screen", 0, 8)
    result = one_room.merge(8.0, from_s=1.0)
    assert result.plan.gaps() == [] and result.warnings == []
    assert {sound.segment and sound.segment.source for sound in result.plan.sound} == {"speaker"}
    check_instants(frames_seen(path_of(result)), START + seconds(1.0))


def film_two(room: Room, source: str, cut_s: float, hole_s: float, **options: Any) -> None:
    """Film a source in two files, with a hole between the last picture of one and the other."""
    for at, until in ((-0.005, cut_s), (cut_s + hole_s, 22.0)):
        begun = START + timedelta(minutes=1, seconds=50) + timedelta(seconds=at)
        path = room.film(source, at, until - at, start=begun - seconds(at), **options)
        path.with_suffix(".json").write_text(json.dumps({"start": begun.isoformat()}))


@pytest.mark.parametrize(
    ("cut_s", "hole_s", "rate"),
    [
        (5.995, 0.008, 25),
        (9.995, 0.040, 25),  # a part ends in the hole
        (9.995, 0.700, 1),  # the source's frames are longer than those of the result
    ],
)
def test_a_moment_between_two_files_flashes_no_slate(
    room: Room, cut_s: float, hole_s: float, rate: int
) -> None:
    """The last picture stands until the next file begins, and nothing behind it is shifted."""
    start = START + timedelta(minutes=1, seconds=50)
    film_two(room, "speaker", cut_s, hole_s, rate=Fraction(rate))
    film_two(room, "screen", cut_s, hole_s, rate=Fraction(rate))
    result = room.merge(20.0, start=start, chunk=timedelta(minutes=10))
    assert result.plan.gaps() == []
    seen = frames_seen(path_of(result))
    assert len(seen) == 500
    joint = [frame for frame in seen if cut_s <= frame.frame / 25 < cut_s + hole_s]
    check_instants([frame for frame in seen if frame not in joint], start, 1000 / rate)
    # The hole itself is the only time for which the picture is older than it ever is in a file.
    check_instants(joint, start, 1000 / rate + 1000 * hole_s)

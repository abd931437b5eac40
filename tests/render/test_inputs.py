"""Whatever a recorder writes: rates, sizes, codecs, containers, timestamps."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from merger.media.index import read_media
from merger.timeline.clock import Span, utc
from tests.conftest import CARRIED, START, Room, seconds
from tests.render.test_time import check_instants, path_of
from tests.support.selection import BOTH_FFMPEGS
from tests.support.truth import frames_seen

FAST = ("-preset", "ultrafast", "-g", "25")


@dataclass(frozen=True)
class Kind:
    """A way of filming."""

    name: str
    film: dict[str, Any] = field(default_factory=dict)
    frame_ms: float = 40
    exact_start: bool = True

    def __str__(self) -> str:
        return self.name


def x264(*options: str) -> tuple[str, ...]:
    return ("-c:v", "libx264", *FAST, *options)


# No key frame after the first: the picture is refreshed in strips, for two seconds each time.
REFRESH = (
    "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-x264-params", "intra-refresh=1:keyint=50:bframes=0",
)  # fmt: skip

KINDS = [
    Kind("1fps_mjpeg_full_range", {"rate": Fraction(1), "container": "mov", "codec": ("-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p")}, 1000),
    Kind("5fps", {"rate": Fraction(5)}, 200),
    Kind("29.97fps_ts", {"rate": Fraction(30000, 1001), "container": "ts"}, 34),
    Kind("30fps_mkv", {"rate": Fraction(30), "container": "mkv"}, 34),
    Kind("60fps", {"rate": Fraction(60)}, 17),
    Kind("4x3", {"size": (240, 180)}),
    Kind("odd_size_444", {"size": (321, 181), "codec": x264("-pix_fmt", "yuv444p")}),
    Kind("720p_422", {"size": (1280, 720), "codec": x264("-pix_fmt", "yuv422p")}),
    Kind("hevc", {"codec": ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=25")}),
    Kind("vp9_webm_opus", {"container": "webm", "codec": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "25"), "options": ("-c:a", "libopus")}),
    Kind("av1_mkv", {"container": "mkv", "codec": ("-c:v", "libsvtav1", "-preset", "10", "-crf", "20", "-g", "25")}),
    Kind("mpeg4", {"codec": ("-c:v", "mpeg4", "-q:v", "3", "-bf", "2", "-g", "25")}),
    Kind("b_frames_ts", {"container": "ts", "codec": ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "50")}),
    Kind("b_frames_mkv_no_cues", {"container": "mkv", "codec": ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "50"), "options": ("-live", "1")}),
    Kind("b_frames_open_gop", {"codec": ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "30", "-x264-params", "open-gop=1")}),
    *(
        Kind(f"intra_refresh_{container}", {"container": container, "codec": REFRESH})
        for container in ("ts", "mp4", "mkv")
    ),
    Kind("fragmented_mp4", {"options": ("-movflags", "frag_keyframe+empty_moov+default_base_moof")}),
    Kind("late_first_timestamp_ts", {"container": "ts", "options": ("-output_ts_offset", "3600")}),
    Kind("timestamps_near_wrap_ts", {"container": "ts", "options": ("-output_ts_offset", "95440")}),
    Kind("interlaced", {"codec": x264("-flags", "+ildct+ilme", "-x264-params", "tff=1")}),
    Kind("mono_44100", {"options": ("-ar", "44100")}),
    Kind("surround", {"options": ("-ac", "6")}),
    Kind("silent", {"sound": False}),
]  # fmt: skip


@BOTH_FFMPEGS
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_any_input_as_speaker_and_screen(room: Room, kind: Kind) -> None:
    """The kind under test is cut out of the middle, so that ffmpeg has to seek into it."""
    room.film("speaker", 0, 8, **kind.film)
    room.film("screen", 0, 8, **kind.film)
    result = room.merge(6.2, from_s=3.2)
    seen = frames_seen(path_of(result), left_width=result.renditions[0].size.width // 2)
    assert len(seen) == 3 * 25
    check_instants(seen, START + seconds(3.2), kind.frame_ms)
    assert {warning.key for warning in result.warnings} <= {"timeline.silence"}


def remux(
    source: Path, *options: str, into: Path | None = None, before: tuple[str, ...] = ()
) -> None:
    """Rewrite a file by stream copy."""
    target = into or source
    partial = source.with_name(f".partial{target.suffix}")
    subprocess.run(
        [CARRIED.path, "-v", "error", "-y", *before, "-i", str(source), "-c", "copy", "-map", "0", *options, str(partial)],
        check=True,
    )  # fmt: skip
    if into is not None:
        source.unlink()
    partial.rename(target)


def test_rotated_by_metadata(room: Room) -> None:
    """A camera hung upside down, that says so: the clock is the right way up again."""
    upside_down = room.film("speaker", 0, 6, upside_down=True)
    remux(upside_down, before=("-display_rotation", "180"))
    room.film("screen", 0, 6)
    check_instants(frames_seen(path_of(room.merge(6.0))), START)


def test_edit_list_that_skips_the_beginning(room: Room) -> None:
    """Cutting by copy keeps the key frame before the cut and hides it with an edit list."""
    whole = room.film(
        "speaker", 0, 8, codec=("-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "2")
    )
    remux(whole, before=("-ss", "1.4"))
    cut = room.library / "2026-11-20_10-00-01_504_speaker.mp4"
    whole.rename(cut)
    cut.with_suffix(".json").write_text('{"start": "2026-11-20T10:00:01.400+03:00"}')
    room.film("screen", 0, 8)
    seen = frames_seen(path_of(room.merge(8.0)))
    assert all(s.left is None for s in seen[:35])
    check_instants(seen[36:], START)


def test_transport_stream_that_begins_between_key_frames(room: Room) -> None:
    """What cannot be decoded before the first key frame is a gap, and shifts nothing."""
    whole = room.film(
        "speaker",
        0,
        8,
        container="ts",
        codec=("-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "2"),
    )
    with av.open(str(whole)) as container:
        video = container.streams.video[0]
        packets = [p for p in container.demux(video) if p.pts is not None]
        first = min(p.pts for p in packets)
        kept = next(
            p for p in packets if (p.pts - first) * video.time_base >= Fraction(13, 10) and p.pos
        )
        begins_s = float(
            (min(p.pts for p in packets if p.pos >= kept.pos) - first) * video.time_base
        )
        data = whole.read_bytes()[kept.pos :]
    whole.unlink()
    cut = room.library / "2026-11-20_10-00-01_504_speaker.ts"
    cut.write_bytes(data)
    begun = START + timedelta(seconds=begins_s)
    cut.with_suffix(".json").write_text(f'{{"start": "{begun.isoformat()}"}}')
    room.film("screen", 0, 8)
    seen = frames_seen(path_of(room.merge(8.0)))
    assert all(s.left is None for s in seen[:49])
    check_instants(seen[51:199], START)


@pytest.mark.parametrize("container", ["ts", "mkv"])
def test_pictures_far_behind_the_beginning_of_a_stream(tmp_path: Path, container: str) -> None:
    """The first key frame comes after 350 pictures: those before it are lost, and no others."""
    whole, cut = tmp_path / "whole.ts", tmp_path / f"cut.{container}"
    subprocess.run(
        [CARRIED.path, "-v", "error", "-f", "lavfi", "-i", "testsrc=size=160x90:rate=60:duration=12",
         "-c:v", "libx264", "-preset", "ultrafast", "-g", "400", "-sc_threshold", "0", str(whole)], check=True,
    )  # fmt: skip
    with av.open(str(whole)) as source, av.open(str(cut), "w") as target:
        video = source.streams.video[0]
        copied = target.add_stream_from_template(video)
        for n, packet in enumerate(p for p in source.demux(video) if p.size):
            if n >= 50:
                packet.stream = copied
                target.mux(packet)
    media = read_media(cut)
    assert (media.video is not None, len(media.picture_us)) == (True, 320)
    assert media.complaints == ()


def test_a_pause_inside_a_file_is_a_gap(room: Room) -> None:
    """A recorder that wrote nothing for three seconds: no frozen picture."""
    keep = "select='not(between(t,3,6.99))'"
    source = room.film("speaker", 0, 10)
    again = source.with_name(".again.mp4")
    subprocess.run(
        [CARRIED.path, "-v", "error", "-y", "-i", str(source), "-vf", keep, "-fps_mode", "passthrough", "-enc_time_base", "1/1000",
         "-c:v", "libx264", *FAST, "-c:a", "copy", str(again)], check=True,
    )  # fmt: skip
    again.rename(source)
    room.film("screen", 0, 10)
    seen = frames_seen(path_of(room.merge(10.0)))
    assert all(s.left is None for s in seen[76:175])
    check_instants(seen[:75] + seen[175:], START)


CHANGES = "lt(mod(t,5),0.3)+lt(mod(t,0.7),0.03)*lt(t,3)"


@pytest.mark.parametrize(
    ("keep", "options"),
    [
        (CHANGES, ()),
        (CHANGES, ("-af", "volume=0")),
        # as many pictures a second as ever, and then none; no sound: the table of the file says it
        ("lt(t,3)+gt(t,17)", ("-an",)),
        # one picture, which a decoder gives out at the end of the file
        ("eq(n,0)", ("-bf", "3")),
    ],
    ids=["sound", "silence", "table", "one"],
)
def test_a_screen_that_sends_only_changes_stands_still(
    room: Room, keep: str, options: tuple[str, ...]
) -> None:
    """A screen holds its picture where its file says that it goes on."""
    screen = room.film("screen", 0, 20)
    again = screen.with_name(".again.mp4")
    subprocess.run(
        [CARRIED.path, "-v", "error", "-y", "-i", str(screen), "-vf", f"select='{keep}'", "-fps_mode", "passthrough", "-enc_time_base", "1/1000",
         "-c:v", "libx264", *FAST, *options, str(again)], check=True,
    )  # fmt: skip
    again.rename(screen)
    room.film("speaker", 0, 20)
    result = room.merge(20.0)
    seen = frames_seen(path_of(result))
    assert all(s.right is not None for s in seen)
    assert not [g for g in result.plan.gaps() if g[0] == "screen"]


def test_how_long_a_screen_may_stand_still_is_a_setting(one_room: Room) -> None:
    screen = one_room.film("screen", 0, 8)
    again = screen.with_name(".again.mp4")
    subprocess.run(
        [CARRIED.path, "-v", "error", "-y", "-i", str(screen), "-vf", "select='lt(t,0.99)+gt(t,6.99)'", "-fps_mode", "passthrough",
         "-enc_time_base", "1/1000", "-c:v", "libx264", *FAST, "-c:a", "copy", str(again)], check=True,
    )  # fmt: skip
    again.rename(screen)
    one_room.film("speaker", 0, 8)
    one_room.environ["MERGER_SCREEN_STILL"] = "3"
    (gap,) = one_room.merge(8.0).plan.gaps()
    assert gap == ("screen", Span(utc(START + seconds(3.96)), utc(START + seconds(7))))


def test_sizes_that_change_from_file_to_file(room: Room) -> None:
    room.film("speaker", 0, 4, size=(240, 180))
    room.film("speaker", 4, 4, size=(640, 360))
    room.film("screen", 0, 8)
    result = room.merge(8.0)
    assert (result.renditions[0].size.width, result.renditions[0].size.height) == (640, 180)
    check_instants(frames_seen(path_of(result)), START)


def test_a_size_that_changes_inside_a_file(room: Room) -> None:
    """A camera that reboots with another size while the recorder goes on."""
    first = room.film("speaker", 0, 4, container="ts", sound=False)
    second = room.film(
        "speaker",
        4,
        4,
        container="ts",
        sound=False,
        size=(640, 360),
        options=("-output_ts_offset", "4"),
    )
    first.write_bytes(first.read_bytes() + second.read_bytes())
    second.unlink()
    room.film("screen", 0, 8)
    seen = frames_seen(path_of(room.merge(8.0)))
    # the packet before the joint may be torn: nothing in a transport stream says that it is not
    check_instants(seen[:97] + seen[101:], START)


def test_an_interlaced_size_that_changes_inside_a_file(room: Room) -> None:
    mpeg2 = ("-c:v", "mpeg2video", "-q:v", "3", "-flags", "+ildct+ilme", "-g", "12")
    first = room.film("speaker", 0, 4, container="ts", codec=mpeg2, size=(320, 192))
    second = room.film(
        "speaker",
        4,
        4,
        container="ts",
        codec=mpeg2,
        size=(640, 384),
        options=("-output_ts_offset", "4"),
    )
    first.write_bytes(first.read_bytes() + second.read_bytes())
    second.unlink()
    room.film("screen", 0, 8)
    result = room.merge(8.0)
    seen = frames_seen(path_of(result), left_width=result.renditions[0].size.width - 320)
    check_instants(seen[:97] + seen[101:195], START)


def test_a_slow_screen_with_b_frames(room: Room) -> None:
    """Matroska leaves the first decoding times out: that is no clock that jumps."""
    codec = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "8")
    room.film("screen", 0, 16, container="mkv", rate=Fraction(1), codec=codec)
    room.film("speaker", 0, 16)
    check_instants(frames_seen(path_of(room.merge(15.0))), START, 1000)


def test_pictures_that_were_not_coded(room: Room) -> None:
    """Packets without a picture of their own are no damage."""
    still = ("-c:v", "mpeg4", "-q:v", "3", "-g", "50", "-vf", "drawbox=t=fill:color=gray,fps=25")
    room.film("speaker", 0, 8, codec=still)
    room.film("screen", 0, 8)
    result = room.merge(8.0)
    assert not [g for g in result.plan.gaps() if g[0] == "speaker"]


REAL = Path(__file__).parents[3] / "shared" / "media"
REAL_FILES = (
    sorted(p for p in REAL.glob("*") if p.suffix in (".mp4", ".mov", ".mkv"))
    if REAL.is_dir()
    else []
)


@pytest.mark.skipif(not REAL_FILES, reason="the files of other recorders are not here")
@pytest.mark.parametrize("path", REAL_FILES, ids=lambda p: p.name)
@pytest.mark.parametrize("role", ["speaker", "screen"])
def test_files_of_other_peoples_recorders(one_room: Room, path: Path, role: str) -> None:
    other = "screen" if role == "speaker" else "speaker"
    one_room.film(other, 0, 4)
    (one_room.library / f"2026-11-20_10-00-00_504_{role}{path.suffix}").symlink_to(path)
    result = one_room.merge(4.0)
    seen = frames_seen(path_of(result), left_width=None)
    assert len(seen) == 100
    lasts = next(t for t in result.plan.tracks if t.source == role)
    assert lasts.clips, "none of it is shown"
    assert lasts.clips[0].span.start.timestamp() - START.timestamp() < 0.1
    keys = {warning.key for warning in result.warnings}
    assert not keys & {"render.damaged", "media.left_out"}


def test_pixels_that_are_not_square(one_room: Room) -> None:
    """A pixel aspect of 2:3 is taken into account: the picture keeps its shape."""
    filmed = one_room.film("speaker", 0, 4, size=(480, 180))
    remux(filmed, "-bsf:v", "h264_metadata=sample_aspect_ratio=2/3")
    one_room.film("screen", 0, 4)
    result = one_room.merge(4.0)
    assert result.renditions[0].size.width == 640
    check_instants(frames_seen(path_of(result)), START)

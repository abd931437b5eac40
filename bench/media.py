"""The lecture that is merged: a room's camera, its screen and its board, 1080p25, in two segments.

A minute of each source is encoded once and repeated by stream copy, so that making ten minutes
takes about one. The segments are named as a recorder that starts a new file at each half-hour
would: the lecture lies around 10:00, half of it in the file before, half in the one after.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from bench.pictures import write_pictures
from merger.media.index import read_media

ZONE = ZoneInfo("Europe/Moscow")
ROOM = "504"
SOURCES = ("speaker", "screen", "board")
HALF_HOUR = datetime(2026, 11, 20, 10, 0, tzinfo=ZONE)

_NAMED = "%Y-%m-%d_%H-%M-%S"
_VERSION = 1  # raise it when the pictures or the encoding change
_RATE = 25
_MINUTE_S = 60
_MARGIN_S = 30  # recorded before and after the lecture
# Encoders of rooms send a key frame every other second, and no B-frames.
_STREAM = (
    "-pix_fmt",
    "yuv420p",
    "-g",
    "50",
    "-sc_threshold",
    "0",
    "-bf",
    "0",
    "-profile:v",
    "high",
)


@dataclass(frozen=True)
class Lecture:
    """A folder of segments, and when the lecture in it is."""

    library: Path
    start: datetime
    end: datetime

    @property
    def length_s(self) -> float:
        return (self.end - self.start).total_seconds()

    def segments(self, source: str) -> list[Path]:
        """Return the files of a source, the earlier first."""
        return sorted(self.library.glob(f"*_{ROOM}_{source}.mp4"))

    def middle(self, length: timedelta) -> Lecture:
        """Return the stretch of a given length around the half-hour, in whole seconds."""
        half = min(length, self.end - self.start) / 2
        half = timedelta(seconds=max(1, round(half.total_seconds())))
        return Lecture(self.library, HALF_HOUR - half, HALF_HOUR + half)


def make_lecture(tool: str, folder: Path, minutes: float) -> Lecture:
    """Film the lecture into a folder; what an earlier run left there is kept."""
    half_s = max(1, round(minutes * 30))
    # Whole seconds of the key frame grid, so that a file ends where the next begins.
    length_s = (half_s + _MARGIN_S + 1) // 2 * 2
    half = timedelta(seconds=half_s)
    library = folder / f"lecture-{_VERSION}-{half_s * 2}s"
    lecture = Lecture(library, HALF_HOUR - half, HALF_HOUR + half)
    if (library / "complete").exists():
        return lecture
    library.mkdir(parents=True, exist_ok=True)
    minute = _make_minute(tool, folder / f"minute-{_VERSION}")
    for source in SOURCES:
        for start in (HALF_HOUR - timedelta(seconds=length_s), HALF_HOUR):
            path = library / f"{start:{_NAMED}}_{ROOM}_{source}.mp4"
            _write_segment(tool, minute[source], path, length_s, sound=source != "screen")
    (library / "complete").touch()
    return lecture


def recorded_at(segment: Path) -> datetime:
    """Return when a segment begins, by its name."""
    return datetime.strptime(segment.name.partition(f"_{ROOM}_")[0], _NAMED).replace(tzinfo=ZONE)


def describe(lecture: Lecture) -> dict[str, dict[str, float]]:
    """Return megabits per second and megabytes by source."""
    said = {}
    for source in SOURCES:
        files = lecture.segments(source)
        size = sum(path.stat().st_size for path in files)
        seconds = sum(read_media(path).length_us for path in files) / 1e6
        said[source] = {"mbit_s": round(size * 8 / seconds / 1e6, 2), "mb": round(size / 1e6, 1)}
    return said


def _make_minute(tool: str, folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    pictures = write_pictures(folder)
    made = {}
    for source, (names, graph, codec) in _films().items():
        made[source] = folder / f"{source}.mp4"
        if made[source].exists():
            continue
        partial = folder / f".{source}.mp4"
        inputs = [word for name in names for word in ("-i", str(pictures[name]))]
        _ffmpeg(
            tool, *inputs, "-filter_complex", graph, "-map", "[v]",
            "-frames:v", str(_RATE * _MINUTE_S), "-c:v", "libx264", *codec, *_STREAM,
            "-f", "mp4", str(partial),
        )  # fmt: skip
        partial.rename(made[source])
    return made


def _films() -> dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]]:
    """Return the pictures, the filter graph and the encoding of each source.

    Every movement has a period that divides a minute, so that the repeated film does not jump.
    """
    camera = ("-preset", "veryfast", "-b:v", "5M", "-maxrate", "7M", "-bufsize", "10M")
    speaker = ";".join(
        (
            _still(0, "room"),
            _still(1, "person", "rgba"),
            _still(2, "arm", "rgba"),
            "[room][person]overlay=x='820+170*sin(2*PI*t/20)':y='230+8*sin(2*PI*t/3)'[standing]",
            "[standing][arm]overlay=x='1150+170*sin(2*PI*t/20)':y='520+60*sin(2*PI*t/1.5)'[talking]",
            "[talking]noise=alls=7:allf=t,format=yuv420p[v]",
        )
    )
    slides = ";".join(
        (
            *(_still(n, f"slide{n}", "yuv420p", seconds=20) for n in range(3)),
            "[slide0][slide1][slide2]concat=n=3:v=1[slides]",
            _still(3, "mouse", "rgba"),
            "[slides][mouse]overlay=x='900+700*sin(2*PI*t/30)':y='560+300*sin(2*PI*t/12)'",
        )
    )
    board = f"{_still(0, 'board')};[board]noise=alls=4:allf=t,format=yuv420p[v]"
    return {
        "speaker": (("room", "person", "arm"), speaker, camera),
        "screen": (
            ("slide0", "slide1", "slide2", "mouse"),
            f"{slides},format=yuv420p[v]",
            ("-preset", "veryfast", "-crf", "20"),
        ),
        "board": (("board",), board, camera),
    }


def _still(number: int, name: str, pixels: str = "yuv420p", seconds: int = _MINUTE_S) -> str:
    return (
        f"[{number}:v]format={pixels},loop=loop=-1:size=1,trim=end_frame={seconds * _RATE},"
        f"settb=1/{_RATE},setpts=N,fps={_RATE}[{name}]"
    )


def _write_segment(tool: str, minute: Path, path: Path, length_s: int, *, sound: bool) -> None:
    """Repeat a minute until a segment is full; the sound is encoded in one go, without seams."""
    # A voice, as far as an encoder is concerned: a broken tone in a hiss.
    voice = (
        "aevalsrc='0.3*sin(2*PI*(180+40*sin(2*PI*t/5))*t)*gt(sin(2*PI*t*1.7),-0.3)"
        "+0.02*(random(0)-0.5)':s=48000"
    )
    source = ("-f", "lavfi", "-i", voice) if sound else ()
    maps = ("-map", "0:v", "-map", "1:a", "-c:a", "aac", "-b:a", "128k") if sound else ()
    partial = path.with_name(f".{path.name}")
    _ffmpeg(
        tool, "-stream_loop", "-1", "-i", str(minute), *source, *maps, "-c:v", "copy",
        "-t", str(length_s), "-f", "mp4", str(partial),
    )  # fmt: skip
    shown = read_media(partial).picture_us
    if len(shown) != length_s * _RATE or np.any(np.diff(shown) != 1_000_000 // _RATE):
        raise RuntimeError(f"{partial}: its pictures are not {_RATE} a second for {length_s} s")
    partial.rename(path)


def _ffmpeg(tool: str, *arguments: str) -> None:
    command = [tool, "-hide_banner", "-nostdin", "-y", "-loglevel", "error", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{json.dumps(command)}\n{done.stderr}")

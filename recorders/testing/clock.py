"""A source that films a clock: pictures and sound whose capture instant can be read back.

Used by the sample lecture of `script/demo` and by the tests. Every picture carries the UTC instant
of its capture as a code of light and dark blocks (for programs) and as text (for people); the
sound beeps at the beginning of every whole second, in a pitch of the source's own.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from recorders.testing.speech import Lecture

Picture = npt.NDArray[np.uint8]

SAMPLE_RATE = 48_000
BEEP_S = 0.1  # long enough for an exact pitch, short enough that its start is one instant

# The code: two rows of 16 blocks across the top of the picture. 27 bits hold the milliseconds of
# a day, 3 bits tell sources apart, 2 bits are a checksum so that a half-blended picture is not
# taken for an instant.
_COLUMNS, _ROWS = 16, 2
_CODE_HEIGHT = Fraction(1, 8)  # of the picture's height
_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Clock:
    """What one picture says: who filmed it, and when (milliseconds since midnight UTC)."""

    source: int
    day_ms: int


def day_ms(instant: datetime) -> int:
    """Return the milliseconds since midnight UTC, rounded to the nearest."""
    instant = instant.astimezone(UTC)
    midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    return round((instant - midnight) / timedelta(milliseconds=1)) % _DAY_MS


def draw_clock(picture: Picture, instant: datetime, source: int) -> None:
    """Draw the code and the text into a picture, in place.

    picture: (H, W) or (H, W, 3) uint8, at least 64 px wide; source: 0..7.
    """
    height, width = picture.shape[:2]
    value = day_ms(instant) << 3 | source
    value = value << 2 | _checksum(value)
    band = int(height * _CODE_HEIGHT)
    for bit in range(_COLUMNS * _ROWS):
        row, column = divmod(bit, _COLUMNS)
        top, bottom = band * row // _ROWS, band * (row + 1) // _ROWS
        left, right = width * column // _COLUMNS, width * (column + 1) // _COLUMNS
        picture[top:bottom, left:right] = 235 if value >> bit & 1 else 16


def read_clock(luma: Picture) -> Clock | None:
    """Return what the code of a picture says, or None where there is no (clean) code.

    luma: (H, W) uint8, cropped to the picture (no pillar or letter boxes).
    """
    height, width = luma.shape[:2]
    band = int(height * _CODE_HEIGHT)
    value = 0
    for bit in range(_COLUMNS * _ROWS):
        row, column = divmod(bit, _COLUMNS)
        block = luma[
            int(band * (row + 0.25) / _ROWS) : int(band * (row + 0.75) / _ROWS) + 1,
            int(width * (column + 0.3) / _COLUMNS) : int(width * (column + 0.7) / _COLUMNS) + 1,
        ]
        level = float(block.mean())
        if 80 < level < 170:
            return None
        value |= (level >= 170) << bit
    check, value = value & 3, value >> 2
    if check != _checksum(value) or value >> 3 >= _DAY_MS:
        return None
    return Clock(source=value & 7, day_ms=value >> 3)


def _checksum(value: int) -> int:
    return (value ^ value >> 7 ^ value >> 13 ^ value >> 20) % 3 + 1  # 0 never: black is no clock


def plain(width: int, height: int, level: int = 90) -> Picture:
    """Return a grey ground for the clock, (height, width, 3) BGR."""
    return np.full((height, width, 3), level, np.uint8)


def write_segment(
    ffmpeg: str,
    path: Path,
    start: datetime,
    length: timedelta,
    *,
    ground: Picture | Callable[[datetime], Picture],
    source: int,
    rate: Fraction = Fraction(25),
    pitch_hz: float | None = None,
    sample_rate: int = SAMPLE_RATE,
    lecture: Lecture | None = None,
    clock: bool = True,
    codec: Sequence[str] = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "50"),
    options: Sequence[str] = (),
    media_rate: Fraction = Fraction(1),
    upside_down: bool = False,
) -> None:
    """Write one file whose pictures show the instant of their capture.

    ground: BGR picture, or a function from the instant to one (of one size).
    lecture: what is heard instead of beeps.
    media_rate: media seconds per wall-clock second; 1.01 makes a device whose clock is fast.
    """
    frames = round(length / timedelta(seconds=1) * float(rate) * float(media_rate))
    first = ground(start) if callable(ground) else ground
    height, width = first.shape[:2]
    command = [
        ffmpeg, "-hide_banner", "-nostdin", "-loglevel", "error", "-y",
        "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{width}x{height}", "-r", str(rate),
        "-i", "pipe:0",
    ]  # fmt: skip
    length_s = frames / rate
    if lecture is not None:
        heard = path.with_name(f".{path.name}.f32")
        count = round(length_s * sample_rate)
        heard.write_bytes(lecture.heard(start, count, sample_rate, media_rate).tobytes())
        command += ["-f", "f32le", "-ar", f"{sample_rate}", "-ac", "1", "-i", str(heard)]
    elif pitch_hz is not None:
        sound = _beeps(start, length_s, pitch_hz, sample_rate, media_rate)
        command += ["-f", "lavfi", "-i", sound]
    has_codec_pix_fmt = "-pix_fmt" in codec
    command += [*codec, *([] if has_codec_pix_fmt else ["-pix_fmt", "yuv420p"])]
    command += ["-c:a", "aac", "-b:a", "96k"] if "-c:a" not in options else []
    command += [*options, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        for n in range(frames):
            instant = start + timedelta(seconds=float(n / rate / media_rate))
            picture = ground(instant).copy() if callable(ground) else ground.copy()
            if clock:
                draw_clock(picture, instant, source)
                _draw_text(picture, instant)
            picture = np.ascontiguousarray(picture[::-1, ::-1]) if upside_down else picture
            child.stdin.write(picture.tobytes())
        child.stdin.close()
        code = child.wait()
    if lecture is not None:
        heard.unlink()
    if code != 0:
        raise RuntimeError(f"ffmpeg could not write {path} (exit {code})")


def _beeps(
    start: datetime, length_s: Fraction, pitch_hz: float, sample_rate: int, media_rate: Fraction
) -> str:
    """Return ffmpeg's source of mono sound that beeps at each whole wall-clock second.

    ffmpeg computes the samples: those of half an hour would take gigabytes of memory here.
    """
    t = f"(t/{float(media_rate)}+{start.microsecond}/1000000)"  # by the wall clock
    wave = f"0.5*sin(2*PI*{pitch_hz}*{t})*lt(mod({t},1),{BEEP_S})"
    return f"aevalsrc=exprs='{wave}':s={sample_rate}:d={float(length_s)}"


def _draw_text(picture: Picture, instant: datetime) -> None:
    height = picture.shape[0]
    text = instant.strftime("%H:%M:%S.%f")[:-4]
    scale = height / 300
    origin = (round(height * 0.06), round(height * 0.95))
    thickness = max(1, height // 180)
    font = cv2.FONT_HERSHEY_SIMPLEX
    (width, above), below = cv2.getTextSize(text, font, scale, thickness)
    plate = ((origin[0] - 4, origin[1] - above - 4), (origin[0] + width + 4, origin[1] + below + 2))
    cv2.rectangle(picture, *plate, (235, 235, 235), -1)
    cv2.putText(picture, text, origin, font, scale, (20, 20, 20), thickness, cv2.LINE_AA)

"""Reading the truth back from a result: which instants it shows, left and right, and its tones."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import numpy as np

from recorders.testing.clock import Clock, day_ms, read_clock


@dataclass(frozen=True)
class Seen:
    """One frame of a result: the clocks on its two sides (None: no clock, a slate or a card)."""

    frame: int
    left: Clock | None
    right: Clock | None


def _cropped(luma: np.ndarray) -> np.ndarray | None:
    """Return a cell without its black bars, or None where nothing is left."""
    # An encoder leaves echoes beside an edge; what is filmed is brighter.
    rows, columns = np.flatnonzero(luma.max(axis=1) > 40), np.flatnonzero(luma.max(axis=0) > 40)
    if len(rows) < 16 or len(columns) < 16:
        return None
    return luma[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def clock_in(luma: np.ndarray) -> Clock | None:
    # The first code block is dark or light by the time; the whole cell is tried before the crop.
    whole = read_clock(luma)
    if whole is not None:
        return whole
    cropped = _cropped(luma)
    return None if cropped is None else read_clock(cropped)


Box = tuple[int, int, int, int]  # left, top, right, bottom


def lumas(path: Path, wanted: Iterable[int] | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Decode a result and yield the wanted frames (default: all), with their numbers."""
    chosen = None if wanted is None else set(wanted)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for n, frame in enumerate(container.decode(stream)):
            if chosen is not None and n not in chosen:
                continue
            plane = frame.planes[0]
            luma = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
            yield n, luma[:, : plane.width]


def frames_seen(
    path: Path, left_width: int | None = None, wanted: Iterable[int] | None = None
) -> list[Seen]:
    """Read both sides of the wanted frames; a left of no width is not read."""
    seen: list[Seen] = []
    for n, luma in lumas(path, wanted):
        width = luma.shape[1] // 2 if left_width is None else left_width
        left = clock_in(luma[:, :width]) if width else None
        right = clock_in(luma[:, width:]) if width < luma.shape[1] else None
        seen.append(Seen(n, left, right))
    return seen


def frames_in_panes(
    path: Path, left: Box, right: Box, wanted: Iterable[int] | None = None
) -> list[Seen]:
    """Read the wanted frames where each side has its own place, which may overlap the other's."""

    def cut(luma: np.ndarray, box: Box) -> np.ndarray:
        return luma[box[1] : box[3], box[0] : box[2]]

    return [
        Seen(n, clock_in(cut(luma, left)), clock_in(cut(luma, right)))
        for n, luma in lumas(path, wanted)
    ]


def error_ms(clock: Clock, instant: datetime) -> int:
    """Return by how many milliseconds a clock is ahead of the instant it should show."""
    day = 24 * 60 * 60 * 1000
    return (clock.day_ms - day_ms(instant) + day // 2) % day - day // 2


def instant_of(start: datetime, frame: int, rate: int = 25) -> datetime:
    return start.astimezone(UTC) + timedelta(seconds=frame / rate)


def sound_of(path: Path) -> np.ndarray:
    """Return the sound of a result as mono float32 at 48 kHz, beginning at time zero."""
    from merger.render.ffmpeg import find_tool

    command = [find_tool(None).path, "-v", "error", "-i", str(path), "-vn", "-af", "aresample=async=1:first_pts=0",
               "-ac", "1", "-ar", "48000", "-f", "f32le", "-"]  # fmt: skip
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.float32)


def pitch(sound: np.ndarray, at_s: float, length_s: float = 0.08) -> float:
    """Return the strongest pitch in Hz at a time; 0 where it is silent."""
    piece = sound[int(at_s * 48000) : int((at_s + length_s) * 48000)]
    if len(piece) < 100 or np.abs(piece).max() < 0.02:
        return 0.0
    spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), 1 << 16))
    return float(np.argmax(spectrum) * 48000 / (1 << 16))


def beep_onsets(sound: np.ndarray) -> np.ndarray:
    """Return the times in seconds at which beeps begin."""
    block = 48  # 1 ms
    level = np.abs(sound[: len(sound) // block * block]).reshape(-1, block).max(axis=1)
    loud = level > 0.1
    onset = np.flatnonzero(loud[1:] & ~loud[:-1]) + 1
    kept: list[int] = []
    for at in onset.tolist():
        if not kept or at - kept[-1] > 500:
            kept.append(at)
    return np.array(kept) / 1000

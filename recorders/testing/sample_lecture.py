"""The sample lecture of `script/demo`: two minutes with a speaker, a screen and a board.

`python -m recorders.testing.sample_lecture FOLDER` writes half-minute segments as a room's
recorders would. In the third the screen shows a no-signal card; the speaker lacks the second.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from math import sin
from pathlib import Path
from zoneinfo import ZoneInfo

import cv2
import numpy as np

from merger import config
from merger.analysis.cards import draw_cards
from merger.render import ffmpeg
from recorders.testing.clock import Picture, write_segment

ZONE = ZoneInfo("Europe/Moscow")
START = datetime(2026, 11, 20, 10, 0, tzinfo=ZONE)
HALF = timedelta(seconds=30)
SIZE = (640, 360)

_SLIDES = (
    ("Concurrency", ("Why threads are hard", "What a lock promises", "A queue instead")),
    (
        "A queue in SQL",
        ("One row is one job", "Claim it with an UPDATE", "A lease, and a heartbeat"),
    ),
    ("Exercise", ("Two workers, one row:", "who wins, and why?")),
)


def _text(
    picture: Picture, text: str, at: tuple[int, int], ink: tuple[int, int, int], size: int
) -> None:
    cv2.putText(picture, text, at, ink, cv2.FontFace("sans"), size, 500)


def _speaker(instant: datetime) -> Picture:
    width, height = SIZE
    picture = np.full((height, width, 3), (120, 105, 92), np.uint8)
    cv2.rectangle(picture, (0, int(height * 0.86)), (width, height), (70, 62, 58), -1)
    sway = round(18 * sin(instant.timestamp() * 1.3))
    x = width // 2 + sway
    cv2.ellipse(picture, (x, 330), (78, 120), 0, 180, 360, (150, 84, 48), -1, cv2.LINE_AA)
    cv2.circle(picture, (x, 172), 42, (168, 196, 226), -1, cv2.LINE_AA)
    cv2.ellipse(picture, (x, 156), (44, 34), 0, 180, 360, (40, 48, 66), -1, cv2.LINE_AA)
    hand = round(26 * sin(instant.timestamp() * 2.9))
    cv2.line(picture, (x + 60, 262), (x + 118, 220 + hand), (150, 84, 48), 22, cv2.LINE_AA)
    cv2.circle(picture, (x + 118, 220 + hand), 14, (168, 196, 226), -1, cv2.LINE_AA)
    return picture


def _slide(instant: datetime) -> Picture:
    width, height = SIZE
    picture = np.full((height, width, 3), 250, np.uint8)
    number = int((instant - START) / timedelta(seconds=12)) % len(_SLIDES)
    title, points = _SLIDES[number]
    _text(picture, title, (40, 136), (130, 60, 20), 34)
    cv2.line(picture, (40, 152), (width - 40, 152), (200, 160, 120), 2)
    for n, point in enumerate(points):
        cv2.circle(picture, (52, 192 + 40 * n), 5, (130, 60, 20), -1, cv2.LINE_AA)
        _text(picture, point, (74, 200 + 40 * n), (50, 50, 50), 24)
    _text(picture, f"{number + 1}", (width - 50, height - 14), (150, 150, 150), 18)
    return picture


def _board(_: datetime) -> Picture:
    width, height = SIZE
    picture = np.full((height, width, 3), (62, 84, 52), np.uint8)
    _text(picture, "n workers, 1 row", (60, 140), (225, 232, 225), 30)
    _text(picture, "UPDATE ... WHERE status = 'queued'", (60, 200), (200, 226, 236), 24)
    _text(picture, "rows changed: 1 or 0", (60, 250), (225, 232, 225), 26)
    cv2.arrowedLine(picture, (420, 245), (500, 245), (180, 220, 250), 3, cv2.LINE_AA)
    _text(picture, "won / lost", (510, 252), (180, 220, 250), 22)
    return picture


def write_sample(folder: Path, tool: ffmpeg.Tool, begin: datetime = START) -> None:
    """Write the segments of the sample lecture into a folder; those that are there are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    card = np.asarray(cv2.resize(next(iter(draw_cards().values())), SIZE), np.uint8)
    sources: dict[str, tuple[int, float | None, Callable[[datetime], Picture]]] = {
        "speaker": (1, 440.0, _speaker),
        "screen": (2, None, _slide),
        "board": (3, 880.0, _board),
    }
    for name, (number, pitch_hz, draw) in sources.items():
        for half in range(4):
            if (name, half) == ("speaker", 1):
                continue  # the missing file
            start = begin + half * HALF
            path = folder / f"{start:%Y-%m-%d_%H-%M-%S}_504_{name}.mp4"
            if path.exists():
                continue
            is_card = (name, half) == ("screen", 2)
            partial = path.with_name(f".{path.name}.partial.mp4")
            write_segment(
                tool.path, partial, start, HALF,
                ground=card if is_card else draw, source=number, clock=not is_card,
                pitch_hz=pitch_hz, codec=("-c:v", "libx264", "-preset", "veryfast", "-g", "50"),
            )  # fmt: skip
            ended = (start + HALF).timestamp()
            os.utime(partial, (ended, ended))  # a file written this minute might still grow
            partial.rename(path)
            print(path.name)


if __name__ == "__main__":
    write_sample(Path(sys.argv[1]), ffmpeg.find_tool(config.load().ffmpeg or None))

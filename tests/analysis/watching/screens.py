"""Films of a screen, drawn: slides, cards, films and pointers, with known frames of change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
import numpy.typing as npt

from merger.analysis.cards import draw_cards

Picture = npt.NDArray[np.uint8]
Draw = Callable[[int], Picture]  # of the number of a frame of the scene

SIZE = (384, 216)
BLACK = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)


@dataclass(frozen=True)
class Scene:
    """So many frames of one thing."""

    frames: int
    draw: Draw


def still(picture: Picture) -> Draw:
    return lambda n: picture


def slide(number: int, lines: int = 4) -> Picture:
    """Draw a slide with a title and some lines, each number another."""
    random = np.random.default_rng(number)
    picture = np.full((SIZE[1], SIZE[0], 3), 250, np.uint8)
    cv2.rectangle(picture, (0, 0), (SIZE[0], 36), (120, 60 + 40 * (number % 4), 20), cv2.FILLED)
    words = ["alpha", "beta", "gamma", "delta", "integral", "matrix", "proof", "lemma"]
    cv2.putText(
        picture, f"{number}. {words[number % 8]}", (18, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.7,
        (255, 255, 255), 2, cv2.LINE_AA,
    )  # fmt: skip
    for line in range(lines):
        text = " ".join(random.choice(words, 4))
        cv2.putText(
            picture, f"- {text}", (24, 66 + 30 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (30, 30, 30),
            1, cv2.LINE_AA,
        )  # fmt: skip
    return picture


def card(name: str = "no signal, blue") -> Picture:
    return np.asarray(cv2.resize(draw_cards()[name], SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def film(seed: int = 0) -> Draw:
    """Draw something that moves all over the picture in each frame."""
    random = np.random.default_rng(seed)
    noise = random.integers(0, 255, (90, 160, 3)).astype(np.uint8)
    ground = cv2.GaussianBlur(cv2.resize(noise, (1280, 720)), (0, 0), 12)

    def draw(n: int) -> Picture:
        x, y = 3 * n % 800, 2 * n % 480
        return np.ascontiguousarray(ground[y : y + SIZE[1], x : x + SIZE[0]])

    return draw


def with_pointer(picture: Picture) -> Draw:
    """Draw a pointer that moves over a picture."""

    def draw(n: int) -> Picture:
        shown = picture.copy()
        x, y = 60 + 5 * n % 240, 60 + 3 * n % 120
        cv2.fillPoly(shown, [np.array([[x, y], [x, y + 8], [x + 5, y + 6]])], (0, 0, 0))
        return shown

    return draw


def write_screen(
    path: Path,
    scenes: Sequence[Scene],
    *,
    rate: Fraction = Fraction(25),
    group: int = 50,
    has_scene_cuts: bool = False,
    crf: int = 26,
    options: dict[str, str] | None = None,
    size: tuple[int, int] = SIZE,
) -> list[int]:
    """Encode scenes; return the first frame of each.

    Args:
        group: frames from key frame to key frame.
        has_scene_cuts: whether the encoder puts a key frame at each new scene.
    """
    begins, count = [], 0
    with av.open(str(path), "w") as container:
        stream = cast(Any, container.add_stream("libx264", rate=rate))
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {
            "preset": "veryfast", "crf": str(crf), "g": str(group), "threads": "1",
            "sc_threshold": "40" if has_scene_cuts else "0", **(options or {}),
        }  # fmt: skip
        for scene in scenes:
            begins.append(count)
            for n in range(scene.frames):
                frame = av.VideoFrame.from_ndarray(scene.draw(n), "bgr24")
                frame.pts = count
                count += 1
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return begins

"""The still pictures that the lecture is filmed from: a room, a person, slides, a board.

They are drawn here, because text in ffmpeg needs fonts of the system; ffmpeg moves them and adds
the noise of a camera (`bench/media.py`).
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

WIDTH, HEIGHT = 1920, 1080

_SLIDES = (
    (
        "What a queue promises",
        "A job that was accepted is done, once",
        "A worker that dies gives its job back",
        "Nobody waits for a lock while another works",
        "What is done can be read afterwards",
    ),
    (
        "Claiming a row",
        "UPDATE jobs SET worker = 17, until = now() + 60",
        "WHERE id = 42 AND until < now()",
        "Rows changed: 1, and the job is ours",
        "Rows changed: 0, and somebody was quicker",
    ),
    (
        "Measured, not believed",
        "One worker, ten thousand jobs: the base line",
        "Two workers: where do they meet?",
        "Kill one of them at any line",
        "Count the jobs that were done twice",
    ),
)


def write_pictures(folder: Path) -> dict[str, Path]:
    """Draw every picture as PNG into a folder, and return the paths by name."""
    drawn = {
        "room": _room(),
        "person": _person(),
        "arm": _arm(),
        "board": _board(),
        "mouse": _mouse(),
        **{f"slide{n}": _slide(n) for n in range(len(_SLIDES))},
    }
    paths = {name: folder / f"{name}.png" for name in drawn}
    for name, picture in drawn.items():
        paths[name].write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return paths


def _text(
    picture: Picture, text: str, at: tuple[int, int], ink: tuple[int, int, int], size: int
) -> None:
    cv2.putText(picture, text, at, ink, cv2.FontFace("sans"), size, 500)


def _grain(picture: Picture, strength: float) -> Picture:
    """Return a picture with the fine structure that walls, cloth and wood have."""
    random = np.random.default_rng(504)
    fine = cv2.GaussianBlur(random.normal(0, strength * 3, picture.shape[:2]), (0, 0), 1.5)
    light = np.linspace(12, -12, picture.shape[1])
    return np.clip(picture + (fine + light)[..., None], 0, 255).astype(np.uint8)


def _room() -> Picture:
    picture = np.full((HEIGHT, WIDTH, 3), (138, 142, 138), np.uint8)
    for x in range(0, WIDTH, 320):  # panels of the wall
        cv2.line(picture, (x, 0), (x, 820), (120, 124, 120), 3)
    cv2.rectangle(picture, (1480, 180), (1760, 800), (70, 96, 128), -1)  # a door
    cv2.circle(picture, (1520, 500), 12, (180, 200, 210), -1, cv2.LINE_AA)
    cv2.rectangle(picture, (0, 820), (WIDTH, HEIGHT), (74, 84, 98), -1)
    cv2.rectangle(picture, (240, 640), (700, HEIGHT), (52, 84, 124), -1)  # a lectern
    _text(picture, "504", (1580, 260), (220, 220, 220), 48)
    return _grain(picture, 6)


def _person() -> Picture:
    picture = np.zeros((860, 520, 4), np.uint8)
    cv2.ellipse(picture, (260, 640), (210, 380), 0, 180, 360, (120, 76, 52, 255), -1, cv2.LINE_AA)
    cv2.rectangle(picture, (50, 640), (470, 860), (104, 64, 44, 255), -1)
    cv2.line(picture, (260, 300), (260, 860), (92, 56, 38, 255), 6)
    cv2.circle(picture, (260, 160), 110, (150, 180, 214, 255), -1, cv2.LINE_AA)
    cv2.ellipse(picture, (260, 120), (116, 90), 0, 180, 360, (36, 44, 60, 255), -1, cv2.LINE_AA)
    for x in (220, 300):
        cv2.circle(picture, (x, 170), 9, (50, 50, 60, 255), -1, cv2.LINE_AA)
    picture[..., :3] = _grain(picture[..., :3], 5)
    return picture


def _arm() -> Picture:
    picture = np.zeros((300, 320, 4), np.uint8)
    cv2.line(picture, (40, 260), (230, 80), (120, 76, 52, 255), 70, cv2.LINE_AA)
    cv2.circle(picture, (250, 60), 42, (150, 180, 214, 255), -1, cv2.LINE_AA)
    return picture


def _slide(number: int) -> Picture:
    picture = np.full((HEIGHT, WIDTH, 3), 250, np.uint8)
    title, *points = _SLIDES[number]
    _text(picture, title, (120, 200), (130, 60, 20), 84)
    cv2.line(picture, (120, 250), (WIDTH - 120, 250), (200, 160, 120), 5)
    for n, point in enumerate(points):
        y = 400 + 130 * n
        cv2.circle(picture, (150, y - 18), 14, (130, 60, 20), -1, cv2.LINE_AA)
        _text(picture, point, (210, y), (50, 50, 50), 54)
    for n in range(8):  # a small diagram that differs from slide to slide
        high = 30 + 17 * ((3 + number) * n % 7)
        cv2.rectangle(
            picture, (1180 + 70 * n, 960 - high), (1226 + 70 * n, 960), (190, 130, 60), -1
        )
    _text(picture, str(number + 1), (WIDTH - 90, HEIGHT - 40), (150, 150, 150), 40)
    return picture


def _board() -> Picture:
    picture = np.full((HEIGHT, WIDTH, 3), (62, 84, 52), np.uint8)
    cv2.rectangle(picture, (0, 0), (WIDTH, HEIGHT), (60, 92, 120), 40)
    _text(picture, "n workers, 1 row", (160, 320), (225, 232, 225), 80)
    _text(picture, "P(twice) = 0", (160, 500), (200, 226, 236), 80)
    _text(picture, "won / lost", (1220, 700), (180, 220, 250), 70)
    cv2.arrowedLine(picture, (820, 480), (1180, 660), (180, 220, 250), 7, cv2.LINE_AA)
    return _grain(picture, 5)


def _mouse() -> Picture:
    picture = np.zeros((36, 24, 4), np.uint8)
    outline = np.array([(2, 2), (2, 28), (9, 22), (14, 34), (18, 32), (13, 20), (22, 20)])
    cv2.fillPoly(picture, [outline], (255, 255, 255, 255), cv2.LINE_AA)
    cv2.polylines(picture, [outline], True, (20, 20, 20, 255), 2, cv2.LINE_AA)
    return picture

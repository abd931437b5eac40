"""What a room's own screen looks like: pictures compared day by day, and what varies on them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from merger.analysis.cards import (
    BT601,
    GRID,
    Card,
    Learned,
    Picture,
    Plane,
    card_from_picture,
    to_grid,
)
from merger.analysis.kinds.room_match import (
    DRAWN,
    STROKE,
    TOLERANCE,
    likeness_of,
    strokes_of,
)
from merger.analysis.kinds.view import Mask, mark_differences
from merger.timeline.plan import Verdict

_LARGEST = (640, 360)  # of the picture that people are shown, and that the card is made of
_QUALITY = 80
_ROUGH = (64, 36)
# What is drawn, roughly: pictures of which it correlates less are others.
_ROUGHLY = 0.65
_MOST_ALIKE = 5
_LIMIT, _SCALE = 20.0, 6  # levels, and steps for each
# Of a card: with less on it, nothing could be told apart.
_LEAST_DRAWN = 0.001
# A cell varies that differed in this share of the sightings, and in two at least.
_VARIES, _FEWEST = 0.25, 2
_MOST_COUNTED = 255
_BESIDE = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Described:
    """A still picture as it is kept: a small JPEG, and a rough form by which it is looked for."""

    picture: bytes
    rough: bytes


def describe(jpegs: Sequence[bytes]) -> list[Described | None]:
    """Return pictures as they are kept; None of what is no picture, or is nearly empty.

    Runs in a reader.
    """
    return [_describe(jpeg) for jpeg in jpegs]


def _describe(jpeg: bytes) -> Described | None:
    bgr = _decode(jpeg)
    if bgr is None:
        return None
    height, width = bgr.shape[:2]
    scale = min(1.0, _LARGEST[0] / width, _LARGEST[1] / height)
    size = (max(1, round(scale * width)), max(1, round(scale * height)))
    small = np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), np.uint8)
    strokes = strokes_of(_luma_of(small))
    if (np.abs(strokes) > STROKE).mean() < _LEAST_DRAWN:
        return None
    rough = cv2.resize(strokes.clip(-_LIMIT, _LIMIT), _ROUGH, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return Described(encoded.tobytes(), (rough * _SCALE).round().astype(np.int8).tobytes())


def roughly_alike(rough: bytes, others: Sequence[bytes]) -> list[int]:
    """Return which of others may be the same picture, the likeliest first."""
    # What is of another size was written by another version.
    known = [n for n, other in enumerate(others) if len(other) == len(rough)]
    if not known:
        return []
    steps = np.frombuffer(b"".join((rough, *(others[n] for n in known))), np.int8)
    forms = steps.reshape(len(known) + 1, -1).astype(np.float32)
    forms = forms / np.maximum(np.linalg.norm(forms, axis=1, keepdims=True), 1e-6)
    alike = forms[1:] @ forms[0]
    return [known[n] for n in np.argsort(-alike)[:_MOST_ALIKE] if alike[n] >= _ROUGHLY]


@dataclass(frozen=True)
class Looked:
    """A kept picture as it is compared. planes: (3, 90, 160). strokes: (180, 320)."""

    planes: Plane
    strokes: Plane


def look_at(picture: bytes) -> Looked | None:
    """Return a kept picture as it is compared; None of what is no picture."""
    bgr = _decode(picture)
    if bgr is None:
        return None
    planes = to_grid(bgr) @ np.array(BT601, np.float32).T
    planes[..., 1:] += 128
    grid = np.ascontiguousarray(planes.transpose(2, 0, 1))
    return Looked(grid, strokes_of(_luma_of(bgr)))


def differences_between(one: Looked, before: Looked, differed: bytes, compared: int) -> Mask | None:
    """Return where a picture differs from one that was seen before; None if it is another.

    Args:
        differed, compared: of the one before, as `count_differences` returns them.
    """
    learned = Learned(_varies(differed, compared), before.strokes)
    if likeness_of(one.planes, before.planes, one.strokes, learned) < DRAWN:
        return None
    return mark_differences(one.planes, before.planes, TOLERANCE)


def count_differences(differed: bytes, mask: Mask) -> bytes:
    """Return in how many sightings each cell differed, with one more; packed."""
    counts = _counts(differed).astype(np.int16) + mask
    return zlib.compress(counts.clip(0, _MOST_COUNTED).astype(np.uint8).tobytes())


def own_card(
    number: int, kind: Verdict, picture: bytes, differed: bytes, compared: int
) -> Card | None:
    """Return the card of a picture that a room shows when nobody presents; None of no picture."""
    bgr = _decode(picture)
    if bgr is None:
        return None
    signatures = card_from_picture(str(number), bgr).signatures
    learned = Learned(_varies(differed, compared), strokes_of(_luma_of(bgr)))
    return Card(str(number), signatures, kind=kind, learned=learned)


def _varies(differed: bytes, compared: int) -> Mask:
    least = max(_FEWEST, _VARIES * min(compared, _MOST_COUNTED))
    marked = (_counts(differed) >= least).astype(np.uint8)
    return np.asarray(cv2.dilate(marked, _BESIDE) > 0)


def _counts(differed: bytes) -> npt.NDArray[np.uint8]:
    if not differed:
        return np.zeros(GRID[::-1], np.uint8)
    return np.frombuffer(zlib.decompress(differed), np.uint8).reshape(GRID[::-1])


def _luma_of(bgr: Picture) -> Picture:
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), np.uint8)


def _decode(jpeg: bytes) -> Picture | None:
    bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    return None if bgr is None else np.asarray(bgr, np.uint8)

"""The small picture of a slide, for lists; runs in a reader, which loads no networks for it."""

from __future__ import annotations

import cv2
import numpy as np

from merger.analysis.words.reading import Picture

_SMALL = (320, 180)  # px
_QUALITY = 75  # of 100


def small_slide(jpeg: bytes) -> bytes:
    """Return a small picture (JPEG) of a slide (JPEG)."""
    return shrink(decode(jpeg))


def decode(jpeg: bytes) -> Picture:
    """Return the picture that a JPEG holds, as (H, W, 3), blue first."""
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(decoded, np.uint8)


def shrink(picture: Picture) -> bytes:
    """Return a small picture (JPEG) of an (H, W, 3) one; never enlarged."""
    height, width = picture.shape[:2]
    scale = min(1.0, _SMALL[0] / width, _SMALL[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()

"""Pictures that stand although life goes on: a camera or an encoder that has hung itself up; pure.

Who opens the video sees a lecturer that does not move, or last week's slide: better told at once.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import numpy as np

from merger.timeline.clock import Stretch, cut_stretches
from merger.timeline.media import MediaFile

# A camera's sensor is never still: its pictures take some percent of a key frame's bytes each.
# Where nothing changes at all, encoders write 20 to 60 bytes.
_STILL_BYTES, _STILL_SHARE = 140, 0.002
SHORTEST_CAMERA = timedelta(minutes=1)
SHORTEST_SCREEN = timedelta(minutes=20)


def still_stretches(file: MediaFile, shortest: timedelta = SHORTEST_CAMERA) -> list[Stretch]:
    """Return where the pictures of a camera stand while its sound goes on, in file time."""
    sizes = file.picture_bytes
    if sizes is None or not len(file.key_us) or not file.sound:
        return []
    at_keys = np.searchsorted(file.picture_us, file.key_us)
    at_keys = at_keys[at_keys < len(sizes)]
    limit = max(_STILL_BYTES, _STILL_SHARE * float(np.median(sizes[at_keys])))
    moves = sizes > limit
    moves[at_keys] = False  # it is large whatever it shows
    edges_us = [
        int(file.picture_us[0]),
        *file.picture_us[np.flatnonzero(moves)].tolist(),
        file.picture_ends_us,
    ]
    return [
        stretch
        for begins, ends in pairwise(edges_us)
        for stretch in cut_stretches(file.sound, Stretch(begins, ends))
        if timedelta(microseconds=stretch.end_us - stretch.start_us) >= shortest
    ]

"""Files with sound alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

_BLOCK = 1024  # samples of an AAC frame; longer ones are cut, slowly


def write_sound(path: Path, sound: npt.NDArray[np.float32], sample_rate: int) -> None:
    """Write a sound as AAC.

    Args:
        sound: (1 or 2, samples).
    """
    layout = {1: "mono", 2: "stereo"}[len(sound)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=sample_rate, layout=layout)
        stream.options = {"aac_coder": "fast"}
        for first in range(0, sound.shape[1], _BLOCK):
            block = np.ascontiguousarray(sound[:, first : first + _BLOCK])
            frame = av.AudioFrame.from_ndarray(block, "fltp", layout)
            frame.sample_rate, frame.pts = sample_rate, first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

"""Decoded pictures of HDR and wide colour as they look in BT.709, small enough to look at."""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace

from merger.media.colour import to_sdr
from merger.timeline.media import Video

_LONGEST = 640  # px of a side: no thumbnail is larger, and what a screen shows is judged by less


def in_standard_colours(frame: VideoFrame, video: Video) -> VideoFrame:
    """Return a picture in the colours of BT.709: itself, or a smaller one in RGB.

    Args:
        video: the stream that it is from.
    """
    if video.colours is None:
        return frame
    share = min(1.0, _LONGEST / max(frame.width, frame.height))
    width, height = (max(1, round(side * share)) for side in (frame.width, frame.height))
    matrix = Colorspace.BT2020 if video.matrix == "bt2020" else None
    small = frame.reformat(
        width, height, "rgb48le", src_colorspace=matrix, interpolation="AREA", threads=1
    )
    shown = to_sdr(small.to_ndarray() / 65_535, video.colours)
    return VideoFrame.from_ndarray(np.rint(shown * 255).astype(np.uint8), "rgb24")

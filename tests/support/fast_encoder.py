"""The encoder of most trials: their pictures are read, and not admired.

x264 takes a third of the time of the product's own settings for it. It reorders pictures all the
same, as the product does. Tests with the mark `real_encoder` use those settings, and so does every
process of a trial that is not given small canvases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from merger.timeline.profiles import ENCODERS, Encoder


def _fast(encoder: Encoder) -> Encoder:
    options = dict(encoder.options) | {"preset": "ultrafast"}
    return replace(encoder, options=(*options.items(), ("bf", 3)))


FAST_ENCODERS: Mapping[str, Encoder] = {
    name: _fast(encoder) if name == "libx264" else encoder for name, encoder in ENCODERS.items()
}

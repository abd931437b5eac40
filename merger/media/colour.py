"""How the colours of HDR and of wide gamuts look in BT.709: computed, and as a table for ffmpeg.

The white of a page is 203 cd/m² (ITU-R BT.2408). What is brighter is compressed (ITU-R BT.2390),
what is more colourful is clipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from merger.i18n import Message
from merger.timeline.media import Colours, Primaries, Transfer

Light = npt.NDArray[np.float64]

_WHITE = 203.0  # cd/m² of a white page
_PEAK = 1000.0  # cd/m² of the brightest highlight that is not clipped; that of HLG, and of phones
_GAMMA = 2.4  # of a display of BT.709 (ITU-R BT.1886)
_STEPS = 33  # of a table along each of its sides

# To the light of BT.709's primaries.
_TO_BT709: Mapping[str, Light] = {
    "bt709": np.eye(3),
    "bt2020": np.array(  # ITU-R BT.2087
        [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
    ),
    "p3": np.array(  # Display P3; both have the white of D65
        [[1.2249, -0.2249, 0.0], [-0.0421, 1.0421, 0.0], [-0.0196, -0.0786, 1.0983]]
    ),
}
_LUMA = np.array([0.2627, 0.6780, 0.0593])  # of BT.2020

# By the numbers of ITU-T H.273. What a file does not say (2, and what is reserved) is as in BT.709.
_MATRICES = {1: "bt709", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
_TRANSFERS: Mapping[int, Transfer] = {16: "pq", 18: "hlg"}
_PRIMARIES: Mapping[int, Primaries] = {9: "bt2020", 12: "p3"}
# Linear, logarithmic, and cinema's; ICtCp and its kin.
_UNKNOWN = {"color_trc": {8, 9, 10, 17}, "color_primaries": {8, 10, 11}, "colorspace": {14, 15}}

# The curve of SMPTE ST 2084
_M1, _M2 = 2610 / 16384, 2523 / 32
_C1, _C2, _C3 = 3424 / 4096, 2413 / 128, 2392 / 128


def colours_of(picture: VideoFrame) -> Colours | None:
    """Return what a picture says of its colours; None for those of BT.709."""
    colours = Colours(
        _TRANSFERS.get(int(picture.color_trc), "sdr"),
        _PRIMARIES.get(int(picture.color_primaries), "bt709"),
    )
    if colours.transfer != "sdr" and int(picture.color_primaries) in (0, 2):
        return Colours(colours.transfer, "bt2020")  # the only ones that BT.2100 knows
    return None if colours == Colours("sdr", "bt709") else colours


def matrix_of(picture: VideoFrame) -> str | None:
    """Return the matrix of a picture, as ffmpeg calls it; None where the picture does not say."""
    colours = colours_of(picture)
    implied = "bt2020" if colours and colours.primaries == "bt2020" else None
    return _MATRICES.get(int(picture.colorspace), implied)


def complaints_about(picture: VideoFrame) -> list[Message]:
    """Return that a picture's colours are of a kind that we would show wrong, if they are."""
    said = {name: int(getattr(picture, name)) for name in _UNKNOWN}
    if not any(number in _UNKNOWN[name] for name, number in said.items()):
        return []
    return [Message("media.unknown_colours", numbers="/".join(map(str, said.values())))]


def to_sdr(signal: Light, colours: Colours) -> Light:
    """Return pictures as a display of BT.709 has to get them.

    Args:
        signal: (..., 3) R, G, B of 0 to 1, as they are coded.
    """
    light = _light(signal, colours.transfer) @ _TO_BT709[colours.primaries].T
    light = light.clip(min=0)
    if colours.transfer != "sdr":
        brightest = light.max(axis=-1, keepdims=True)
        light *= _compress(brightest) / brightest.clip(min=1e-9)
    return np.asarray(light.clip(max=1) ** (1 / _GAMMA))


@cache
def cube(colours: Colours) -> str:
    """Return `to_sdr` as a table that ffmpeg's lut3d reads."""
    steps = np.linspace(0, 1, _STEPS)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")  # red changes fastest
    rows = to_sdr(np.stack([red, green, blue], axis=-1).reshape(-1, 3), colours)
    lines = (f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in rows.tolist())
    return "\n".join((f"LUT_3D_SIZE {_STEPS}", *lines, ""))


def _light(signal: Light, transfer: str) -> Light:
    """Return how bright a display is for a signal: 1 is white."""
    if transfer == "pq":
        return _pq_light(signal) / _WHITE
    if transfer == "hlg":  # ITU-R BT.2100, on a display of 1000 cd/m²
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
        return np.asarray(scene * (scene @ _LUMA)[..., None] ** 0.2 * _PEAK / _WHITE)
    return np.asarray(signal**_GAMMA)


def _pq_light(signal: Light) -> Light:
    root = signal ** (1 / _M2)
    return np.asarray(10_000 * ((root - _C1).clip(min=0) / (_C2 - _C3 * root)) ** (1 / _M1))


def _pq_signal(light: Light | float) -> Light:
    power = (np.asarray(light) / 10_000) ** _M1
    return np.asarray(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


def _compress(light: Light) -> Light:
    """Return light with the highlights brought below white (the EETF of ITU-R BT.2390)."""
    source = _pq_signal(_PEAK)
    signal = (_pq_signal(light * _WHITE) / source).clip(max=1)
    most = float(_pq_signal(_WHITE) / source)
    knee = 1.5 * most - 0.5
    t = (signal - knee).clip(min=0) / (1 - knee)
    bent = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (3 * t**2 - 2 * t**3) * most
    )
    return _pq_light(np.where(signal < knee, signal, bent) * source) / _WHITE

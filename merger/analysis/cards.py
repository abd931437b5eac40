"""The pictures that mean "no computer is connected": the shipped ones and a user's own."""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from merger.analysis.image_size import image_size
from merger.errors import Invalid
from merger.timeline.plan import Verdict

Picture = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]

GRID = (160, 90)  # columns and rows of a signature: a letter of 3 % of the height is 3 cells high
ROUGH = (32, 18)
LARGEST_CARD = 50_000_000  # pixels: a bigger image is a mistake, and would take 150 MB to decode
# A plain image, saved as JPEG at quality 50, stays within 3 levels of its median on the grid; the
# palest shipped card departs from its median by 95.
PLAIN = 12.0

Colour = tuple[int, int, int]  # blue, green, red
WHITE, BLACK, GREY, BLUE = (255, 255, 255), (0, 0, 0), (96, 96, 96), (192, 0, 0)


# Rows: Y, Cb, Cr; columns: blue, green, red; full range. Standard and high definition differ: green
# bars are 30 levels apart in Y.
BT601 = ((0.114, 0.587, 0.299), (0.5, -0.3313, -0.1687), (-0.0813, -0.4187, 0.5))
BT709 = ((0.0722, 0.7152, 0.2126), (0.5, -0.3854, -0.1146), (-0.0458, -0.4542, 0.5))


@dataclass(frozen=True, eq=False)
class Learned:
    """What was learned of a card where it was met.

    Args:
        varies: (90, 160) bool; the cells that are not compared.
        strokes: (180, 320) float32; by how much what is drawn stands out.
    """

    varies: npt.NDArray[np.bool_]
    strokes: Plane


@dataclass(frozen=True, eq=False)
class Card:
    """One card as the classifier compares it.

    Args:
        signatures: (2, 3, 90, 160) float32; by BT.601 and by BT.709, the planes Y, Cb, Cr in full
            range, averaged over the grid's cells.
        spare: the share of cells, 0 to 1, that may differ from the card, such as a clock or a
            station name laid over colour bars.
        kind: what a picture is that shows it.
        learned: of a card that was learned from the very screen.
    """

    name: str
    signatures: Plane
    spare: float = 0.0
    kind: Verdict = "no_signal"
    learned: Learned | None = None

    @cached_property
    def rough(self) -> Plane:
        """The rough form of the card's luma, by BT.601."""
        return rough_form(self.signatures[0, 0])


def card_from_picture(
    name: str, bgr: Picture, spare: float = 0.0, kind: Verdict = "no_signal"
) -> Card:
    """Return a card made from an (H, W, 3) uint8 BGR picture of any size and aspect."""
    planes = np.einsum("mpc,hwc->mphw", np.array([BT601, BT709]), to_grid(bgr))
    planes[:, 1:] += 128
    return Card(name, planes.astype(np.float32), spare, kind)


def rough_form(luma: Picture | Plane) -> Plane:
    """Return 32x18 averages of an (H, W) plane, flat, of mean 0 and length 1 (0 if all one level).

    The product of two forms is their correlation.
    """
    form = cv2.resize(luma, ROUGH, interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    form -= form.mean()
    length = float(np.linalg.norm(form))
    return form / length if length > 0 else form


def to_grid(plane: Picture | Plane) -> Plane:
    """Scale an (H, W) plane or (H, W, 3) picture to the grid, as float32 of the same range."""
    shrinks = plane.shape[0] >= GRID[1] and plane.shape[1] >= GRID[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(plane, GRID, interpolation=method).astype(np.float32)


def read_card(path: Path) -> Card:
    """Read a user's card from an image file; its name is the file's name.

    Raises:
        Invalid: the file is unreadable, no image whose size can be told from its header, bigger
            than 50 megapixels, or shows one plain colour; the code is `card`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Invalid(
            "card", "analysis.card_unreadable", path=str(path), why=error.strerror or str(error)
        ) from error
    size = image_size(data)
    if size is not None and size[0] * size[1] > LARGEST_CARD:
        width, height = size
        raise Invalid("card", "analysis.card_too_large", path=str(path), width=width, height=height)
    bgr = _decode(data) if size is not None else None
    if bgr is None:
        raise Invalid("card", "analysis.card_no_image", path=str(path))
    card = card_from_picture(path.name, bgr)
    planes = card.signatures[0]
    if np.abs(planes - np.median(planes, axis=(1, 2), keepdims=True)).max() < PLAIN:
        raise Invalid("card", "analysis.card_plain", path=str(path))
    return card


def _decode(data: bytes) -> Picture | None:
    if not data:
        return None
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # raised for damaged headers and for sizes beyond OpenCV's own limit
        return None
    return None if bgr is None else np.asarray(bgr, np.uint8)


@cache
def shipped_cards() -> tuple[Card, ...]:
    """Return the cards that need no option: those of draw_cards.

    A quarter of a bars card may differ: makers place a text, a clock or other bottom rows there.
    """
    return tuple(
        card_from_picture(name, picture, spare=0.25, kind="bars")
        if "bars" in name
        else card_from_picture(name, picture)
        for name, picture in draw_cards().items()
    )


def draw_cards() -> dict[str, Picture]:
    """Draw every shipped card, by name, as a 1920x1080 BGR picture."""
    return {
        "no signal, black": _draw_text(BLACK, "NO SIGNAL"),
        "no signal, blue": _draw_text(BLUE, "NO SIGNAL"),
        "no signal, grey": _draw_text(GREY, "NO SIGNAL"),
        "no signal, box": _draw_box("No Signal"),
        "no input, black": _draw_text(BLACK, "No input", "Check the cable"),
        "check cable, blue": _draw_text(BLUE, "No signal detected", "Check cable connection"),
        "нет сигнала, black": _draw_text(BLACK, "Нет сигнала"),
        "нет сигнала, blue": _draw_text(BLUE, "Нет сигнала"),
        "EBU bars, 75 %": _draw_columns(75, 8),
        "EBU bars, 100 %": _draw_columns(100, 8),
        "SMPTE bars": _draw_smpte(),
        "SMPTE HD bars": _draw_smpte_hd(),
    }


def _draw_text(ground: Colour, title: str, line: str = "") -> Picture:
    picture = np.full((1080, 1920, 3), ground, np.uint8)
    _write(picture, title, 560 if line else 590, 150 if len(title) < 12 else 120, 700)
    _write(picture, line, 690, 75, 400)
    return picture


def _draw_box(title: str) -> Picture:
    picture = np.full((1080, 1920, 3), BLACK, np.uint8)
    cv2.rectangle(picture, (560, 390), (1360, 690), (170, 60, 20), cv2.FILLED)
    cv2.rectangle(picture, (560, 390), (1360, 690), WHITE, 6)
    _write(picture, title, 575, 110, 600)
    return picture


def _write(picture: Picture, text: str, baseline: int, size: int, weight: int) -> None:
    font = cv2.FontFace("sans")
    _, _, width, _ = cv2.getTextSize((1920, 1080), text, (0, baseline), font, size, weight)
    origin = ((1920 - width) // 2, baseline)
    cv2.putText(picture, text, origin, WHITE, font, size, weight)


def _bar_colour(index: int, percent: int) -> Colour:
    """Return the colour of bar 0 to 7: white, yellow, cyan, green, magenta, red, blue, black."""
    level = round(255 * percent / 100)
    blue, red, green = (0 if index & bit else level for bit in (1, 2, 4))
    return blue, green, red


def _draw_columns(percent: int, count: int, size: tuple[int, int] = (1920, 1080)) -> Picture:
    bars = np.array([[_bar_colour(i, percent) for i in range(count)]], np.uint8)
    return np.asarray(cv2.resize(bars, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def _draw_smpte() -> Picture:
    """Draw the seven bars at 75 %, the row of reversed blues and the row with the black steps."""
    picture = _draw_columns(75, 7)
    edges = [round(1920 * i / 7) for i in range(8)]
    for i, bar in enumerate((6, 7, 4, 7, 2, 7, 0)):
        picture[720:810, edges[i] : edges[i + 1]] = _bar_colour(bar, 75)
    foot = ((0, (76, 33, 0)), (343, WHITE), (686, (106, 0, 50)), (1029, (16, 16, 16)))
    steps = ((1371, BLACK), (1463, (16, 16, 16)), (1554, (26, 26, 26)), (1646, (16, 16, 16)))
    for left, colour in foot + steps:
        picture[810:, left:] = colour
    return picture


def _draw_smpte_hd() -> Picture:
    """Draw seven 75 % bars between grey sides, over three rows of ramps and steps."""
    picture = np.full((1080, 1920, 3), (102, 102, 102), np.uint8)
    picture[:630, 240:1680] = _draw_columns(75, 7, (1440, 630))
    picture[630:720] = (191, 191, 191)
    picture[630:720, :240] = _bar_colour(2, 100)
    picture[630:720, 1680:] = _bar_colour(6, 100)
    picture[720:810, 240:1680] = np.linspace(0, 255, 1440)[None, :, None]
    picture[720:810, :240] = _bar_colour(1, 100)
    picture[720:810, 1680:] = _bar_colour(5, 100)
    picture[810:] = (38, 38, 38)
    picture[810:, 240:1680] = BLACK
    picture[810:, 549:960] = WHITE
    return picture

"""Layouts: where each lane is on the canvas, as a table; and where a picture goes.

Pure. A layout is a row of columns, each as high as the canvas, and perhaps one lane in a corner
above them. A new layout is one entry in `LAYOUTS` and one test. Whatever the layout, the slide may
lie small in a corner of the right lane, while that shows the board.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Literal, get_args

from merger.errors import Invalid

Lane = Literal["left", "right", "slide"]
Corner = Literal["bottom_right", "top_right", "bottom_left", "top_left"]

# In the order in which they are preferred where they are as good: people look for the speaker where
# they saw them last.
CORNERS: tuple[Corner, ...] = get_args(Corner)
DEFAULT_CORNER: Corner = "bottom_right"

WIDE = Fraction(16, 9)
# Wider or narrower pictures than these get bars inside their cell instead of a canvas that no
# player can show.
_WIDEST, _NARROWEST = Fraction(32, 9), Fraction(9, 20)


@dataclass(frozen=True)
class Size:
    """Width and height in pixels, both even (4:2:0 needs that)."""

    width: int
    height: int


@dataclass(frozen=True)
class Column:
    """A lane and its share of the canvas width; without a share it gets its own cell's width."""

    lane: Lane
    share: Fraction | None = None


@dataclass(frozen=True)
class Inset:
    """A lane in a corner above another picture, in the shape of its own cell.

    Attributes:
        area: what it hides, with its border, as a share of that picture, such as the canvas;
            rounding and the border of a tall picture may add a tenth.
        border, margin: how wide its border is and how far from the edges it lies, as shares of the
            height.
    """

    lane: Lane
    area: Fraction = Fraction(11, 200)
    border: Fraction = Fraction(1, 540)
    margin: Fraction = Fraction(1, 54)


@dataclass(frozen=True)
class Layout:
    """A named row of columns, and what lies above it.

    Without an aspect the canvas is as wide as the cells together.

    Attributes:
        without_speaker: the layout of scenes in which there are no pictures of the speaker; None
            where a slate says so.
    """

    name: str
    columns: tuple[Column, ...]
    aspect: Fraction | None = None
    inset: Inset | None = None
    without_speaker: str | None = None


@dataclass(frozen=True)
class Pane:
    """Where a lane is on a canvas, in pixels.

    Attributes:
        box: into which its pictures are fitted.
        x, y: where its top left corner is, or that of its border.
        border: how wide it is, on each side, around the box.
        is_above: it hides what is there in other panes.
    """

    lane: Lane
    box: Size
    x: int
    y: int = 0
    border: int = 0
    is_above: bool = False

    @property
    def outer(self) -> Size:
        """The size with the border."""
        return Size(self.box.width + 2 * self.border, self.box.height + 2 * self.border)


LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout("side_by_side", (Column("left"), Column("right"))),
        Layout(
            "side_by_side_16x9",
            (Column("left", Fraction(1, 3)), Column("right", Fraction(2, 3))),
            aspect=WIDE,
        ),
        Layout(
            "screen_large",
            (Column("right", Fraction(1)),),
            aspect=WIDE,
            inset=Inset("left"),
            without_speaker="screen_only",
        ),
        Layout("speaker_only", (Column("left", Fraction(1)),)),
    )
}
DEFAULT_LAYOUT = "side_by_side"
# A third of the width and the height of a lane in its shape: what a slide is about can be read.
_SLIDE = Inset("slide", area=Fraction(1, 9))
# What a scene falls back to that has nothing for the right-hand side.
ALONE = "speaker_only"
# What only scenes have: nobody asks for a whole record in it.
_OF_SCENES: Mapping[str, Layout] = {
    "screen_only": Layout("screen_only", (Column("right", Fraction(1)),)),
}


def layout_named(name: str) -> Layout:
    """Return a layout of the table. Raises Invalid for an unknown name."""
    if name not in LAYOUTS:
        raise Invalid("layout", "timeline.no_layout", name=name, layouts=tuple(LAYOUTS))
    return LAYOUTS[name]


def layout_of_scene(name: str) -> Layout:
    """Return the layout of a scene, which may be one that records do not have."""
    return LAYOUTS.get(name) or _OF_SCENES[name]


def corner_named(name: str) -> Corner:
    """Return a corner. Raises Invalid for an unknown name."""
    for corner in CORNERS:
        if corner == name:
            return corner
    raise Invalid("corner", "timeline.no_corner", name=name, corners=CORNERS)


def round_to_even(value: Fraction | int) -> int:
    """Return the nearest even number, at least 2."""
    return max(2, 2 * round(Fraction(value) / 2))


def cell_of(lines: int, aspects: Iterable[Fraction]) -> Size:
    """Return the cell of a lane: so many lines high, as wide as its widest picture needs."""
    widest = max(aspects, default=WIDE)
    return Size(round_to_even(lines * min(max(widest, _NARROWEST), _WIDEST)), round_to_even(lines))


def canvas_of(layout: Layout, cells: Mapping[Lane, Size]) -> Size:
    """Return the size of the picture for a record whose lanes have certain cells."""
    lines = cells["left"].height
    if layout.aspect is not None:
        return Size(round_to_even(lines * layout.aspect), lines)
    return Size(sum(cells[column.lane].width for column in layout.columns), lines)


def panes_of(
    layout: Layout, size: Size, cells: Mapping[Lane, Size], corner: Corner = DEFAULT_CORNER
) -> list[Pane]:
    """Return the panes of a layout on a canvas, from the left; what lies above the others is last.

    The columns fill the canvas exactly.
    """
    panes: list[Pane] = []
    x = 0
    for n, column in enumerate(layout.columns):
        is_last = n == len(layout.columns) - 1
        share = column.share
        width = cells[column.lane].width if share is None else round_to_even(size.width * share)
        width = size.width - x if is_last else width
        panes.append(Pane(column.lane, Size(width, size.height), x))
        x += width
    if layout.inset is not None:
        panes.append(_place_inset(layout.inset, size, cells[layout.inset.lane], corner))
    return panes


def slide_pane(box: Size, cell: Size, speaker: Corner | None) -> Pane:
    """Return where the slide lies above the board, in the box of the board.

    At the bottom, where a board is written on last and people in front hide it from the others.

    Args:
        cell: of the slide.
        speaker: the corner in which the speaker is; None where that is beside the board.
    """
    corner: Corner = "bottom_left" if speaker == "bottom_right" else "bottom_right"
    return _place_inset(_SLIDE, box, cell, corner)


def _place_inset(inset: Inset, size: Size, cell: Size, corner: Corner) -> Pane:
    border = round_to_even(size.height * inset.border)
    margin = round_to_even(size.height * inset.margin)
    aspect = Fraction(cell.width, cell.height)
    lines = isqrt(int(size.width * size.height * inset.area / aspect)) - 2 * border
    lines = min(lines, int((size.width - 2 * margin - 2 * border) / aspect))
    lines = max(2, lines // 2 * 2)
    box = Size(round_to_even(lines * aspect), lines)
    right = size.width - margin - box.width - 2 * border
    bottom = size.height - margin - box.height - 2 * border
    x = right if corner.endswith("right") else margin
    y = bottom if corner.startswith("bottom") else margin
    return Pane(inset.lane, box, x, y, border, is_above=True)


# How much is drawn in each cell of a grid that covers the canvas: rows from the top.
Ink = Sequence[Sequence[float]]

_USUAL = Size(1280, 720)


def least_hidden_corner(ink: Ink) -> Corner:
    """Return the corner in which the speaker hides the least of what is drawn.

    Another than the default is chosen only where it hides less by a percent of all ink.
    """
    drawn = sum(map(sum, ink))
    if not drawn:
        return DEFAULT_CORNER

    def percent_hidden(corner: Corner) -> int:
        pane = _place_inset(Inset("left"), _USUAL, _USUAL, corner)
        across = _shares(pane.x, pane.outer.width, _USUAL.width, len(ink[0]))
        down = _shares(pane.y, pane.outer.height, _USUAL.height, len(ink))
        hidden = sum(
            share * sum(cell * part for cell, part in zip(row, across, strict=True))
            for row, share in zip(ink, down, strict=True)
        )
        return round(100 * hidden / drawn)

    return min(CORNERS, key=percent_hidden)


def _shares(start: int, length: int, whole: int, count: int) -> list[float]:
    """Return which share of each of so many equal cells lies within a part of a side."""
    cell = whole / count
    return [
        max(0.0, min(start + length, (n + 1) * cell) - max(start, n * cell)) / cell
        for n in range(count)
    ]


def fit_into(aspect: Fraction, into: Size) -> Size:
    """Return the largest size of an aspect that fits, within the two pixels that even needs."""
    if aspect >= Fraction(into.width, into.height):
        return Size(into.width, min(into.height, round_to_even(into.width / aspect)))
    return Size(min(into.width, round_to_even(into.height * aspect)), into.height)

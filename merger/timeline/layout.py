"""Layouts: which lanes stand side by side on the canvas, as a table; and where a picture goes.

Pure. A layout is a row of columns, each as high as the canvas. A new layout is one entry in
`LAYOUTS` and one test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from merger.errors import Invalid

Lane = Literal["left", "right"]

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
class Layout:
    """A named row of columns. Without an aspect the canvas is as wide as the cells together."""

    name: str
    columns: tuple[Column, ...]
    aspect: Fraction | None = None


LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout("side_by_side", (Column("left"), Column("right"))),
        Layout(
            "screen_large",
            (Column("left", Fraction(1, 4)), Column("right", Fraction(3, 4))),
            aspect=WIDE,
        ),
        Layout("speaker_only", (Column("left", Fraction(1)),)),
    )
}
DEFAULT_LAYOUT = "side_by_side"
# What a scene falls back to that has nothing for the right-hand side.
ALONE = "speaker_only"


def layout_named(name: str) -> Layout:
    """Return a layout of the table. Raises Invalid for an unknown name."""
    if name not in LAYOUTS:
        raise Invalid("layout", "timeline.no_layout", name=name, layouts=tuple(LAYOUTS))
    return LAYOUTS[name]


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


def columns_of(layout: Layout, size: Size, cells: Mapping[Lane, Size]) -> list[tuple[Lane, Size]]:
    """Return the columns of a layout on a canvas, from the left; their widths fill it exactly."""
    row: list[tuple[Lane, Size]] = []
    remaining = size.width
    for n, column in enumerate(layout.columns):
        is_last = n == len(layout.columns) - 1
        share = column.share
        width = cells[column.lane].width if share is None else round_to_even(size.width * share)
        width = remaining if is_last else width
        row.append((column.lane, Size(width, size.height)))
        remaining -= width
    return row


def fit_into(aspect: Fraction, into: Size) -> Size:
    """Return the largest size of an aspect that fits, within the two pixels that even needs."""
    if aspect >= Fraction(into.width, into.height):
        return Size(into.width, min(into.height, round_to_even(into.width / aspect)))
    return Size(min(into.width, round_to_even(into.height * aspect)), into.height)

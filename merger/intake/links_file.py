"""A file that lists recordings to request: a link, and perhaps the course. Pure."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass

from merger.errors import Invalid

MOST_LINES = 5_000
_HEADINGS = ("link", "recording", "uuid")


@dataclass(frozen=True)
class Line:
    """A line of the file. number: as an editor counts them."""

    number: int
    link: str
    course: str | None


def parse_lines(text: str) -> list[Line]:
    """Return the recordings that a file lists, without its headings and empty lines.

    Args:
        text: cells are separated by commas or semicolons.

    Raises:
        Invalid: it is empty, or too long.
    """
    lines = list(_lines(text.removeprefix("\ufeff")))
    if not lines:
        raise Invalid("from", "zoom_file.empty")
    if len(lines) > MOST_LINES:
        raise Invalid("from", "zoom_file.too_long", most=MOST_LINES)
    return lines


def _lines(text: str) -> Iterator[Line]:
    first = text.partition("\n")[0]
    delimiter = ";" if ";" in first and "," not in first else ","
    rows = csv.reader(text.splitlines(), delimiter=delimiter)
    for cells in rows:
        link, course = ([cell.strip() for cell in cells] + ["", ""])[:2]
        if link and link.lower() not in _HEADINGS:
            yield Line(rows.line_num, link, course or None)

"""Files in CSV: headings become columns, and lines collect what is wrong with their cells. Pure."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from merger.errors import Invalid
from merger.i18n import Message
from merger.timetable.cells import excerpt, of_field

LARGEST = 1_000_000  # bytes
MOST_ROWS = 5_000
LONGEST_CELL = 10_000  # characters: more than so many dates need
_DELIMITERS = (",", ";", "\t")  # the last is what spreadsheets put on the clipboard
_NOTHING = ("-", "–", "—")  # what people write into a cell on purpose

Names = Mapping[str, tuple[str, ...]]  # of columns, and what else each is called
T = TypeVar("T")


@dataclass(frozen=True)
class Complaint:
    """Why a line was not taken. field: a column; empty for the line as a whole."""

    line: int
    field: str
    message: Message

    @property
    def sentence(self) -> Message:
        """Return the complaint with its line and field."""
        return Message("timetable.line", line=self.line, why=of_field(self.field, self.message))


class Line:
    """A line of a table: reads its cells, and collects what is wrong with them."""

    def __init__(self, number: int, texts: Mapping[str, str]) -> None:
        self.number = number
        self.complaints: list[Complaint] = []
        self._texts = texts

    def complain(self, field: str, why: Message) -> None:
        """Add a complaint about a cell, or about the line as a whole, which has no field."""
        self.complaints.append(Complaint(self.number, field, why))

    def complains_of(self, *fields: str) -> bool:
        """Return whether there is a complaint about one of some cells."""
        return any(complaint.field in fields for complaint in self.complaints)

    def is_empty(self, field: str) -> bool:
        """Return whether nothing at all is written, not even a dash."""
        return not self._texts.get(field)

    def required(self, field: str, read: Callable[[str], T], default: T) -> T:
        """Return what a cell says that cannot be empty."""
        if self._text(field):
            return self.optional(field, read, default)
        self.complain(field, Message("error.missing"))
        return default

    def optional(self, field: str, read: Callable[[str], T], default: T) -> T:
        """Return what a cell says; a default where it is empty, or a complaint was made of it."""
        text = self._text(field)
        if not text:
            return default
        try:
            if len(text) > LONGEST_CELL:
                raise Invalid(field, "error.too_long", longest=LONGEST_CELL)
            return read(text)
        except Invalid as error:
            self.complain(field, error.message)
            return default

    def _text(self, field: str) -> str:
        text = self._texts.get(field, "")
        return "" if text in _NOTHING else text


@dataclass(frozen=True)
class Table:
    """A file: which columns it has, and its lines below the headings."""

    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    unknown: tuple[str, ...]

    def good_lines(self) -> Iterator[Line]:
        """Yield the lines of which nothing is wrong yet."""
        return (line for line in self.lines if not line.complaints)

    def complaints(self) -> tuple[Complaint, ...]:
        """Return all complaints, in order of the lines."""
        return tuple(complaint for line in self.lines for complaint in line.complaints)


def read_table(text: str, names: Names, needed: Sequence[tuple[str, ...]]) -> Table:
    """Return a file as a table.

    Args:
        names: the columns that it may have.
        needed: columns that it must have; one of each tuple is enough.

    Raises:
        Invalid: it is too large, empty or no CSV, or lacks columns.
    """
    check_size(len(text.encode("utf-8", "surrogatepass")))
    lines = [f"{line}\n" for line in re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff"))]
    column_of = {name: column for column in names for name in (column, *names[column])}

    def count_known(delimiter: str) -> int:
        headings = next((texts for _, texts in _records(lines, delimiter, strict=False)), [])
        return sum(_plain(heading) in column_of for heading in headings)

    records = _records(lines, max(_DELIMITERS, key=count_known))
    _, headings = next(records, (0, []))
    if not headings:
        raise Invalid("timetable", "timetable.sheet.empty")
    columns = [column_of.get(_plain(heading)) for heading in headings]
    _check_columns(columns, headings, needed)
    below: list[Line] = []
    for number, texts in records:
        by_column = {column: text for column, text in zip(columns, texts, strict=False) if column}
        line = Line(number, by_column)
        if any(texts[len(columns) :]):
            line.complain("", _more_cells(texts, columns))
        elif not any(by_column.values()):
            continue  # a note in the margin
        below.append(line)
        if len(below) > MOST_ROWS:
            raise Invalid("timetable", "timetable.sheet.too_many_rows", most=MOST_ROWS)
    if not below:
        raise Invalid("timetable", "timetable.sheet.empty")
    known = tuple(column for column in columns if column)
    unknown = tuple(
        excerpt(h) for h, column in zip(headings, columns, strict=True) if h and not column
    )
    return Table(known, tuple(below), unknown)


def _check_columns(
    columns: Sequence[str | None], headings: Sequence[str], needed: Sequence[tuple[str, ...]]
) -> None:
    for n, column in enumerate(columns):
        if column and column in columns[:n]:
            both = tuple(excerpt(headings[at]) for at in (columns.index(column), n))
            why = Message("timetable.sheet.two_columns", column=column, headings=both)
            raise Invalid("timetable", why)
    lacking = tuple("/".join(some) for some in needed if not set(some) & set(columns))
    if lacking:
        raise Invalid("timetable", "timetable.sheet.no_column", columns=lacking)


def _more_cells(texts: Sequence[str], columns: Sequence[object]) -> Message:
    return Message("timetable.sheet.more_cells", count=len(texts), headings=len(columns))


def _records(
    lines: Sequence[str], delimiter: str, *, strict: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines of a file in which anything is written, each with its number."""
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=strict)
    while True:
        number = reader.line_num + 1
        try:
            texts = [text.strip() for text in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:  # a quotation mark that nobody closed would take all the rest
            raise Invalid("timetable", "timetable.sheet.no_csv", line=number) from error
        if any(texts):
            yield number, texts


def _plain(heading: str) -> str:
    """Return a heading as it is compared."""
    words = unicodedata.normalize("NFKC", heading).casefold().replace("ё", "е").split()
    return " ".join(words).strip(" :*")


def check_size(size: int) -> None:
    """Raise Invalid for a file that is too large. size: in bytes."""
    if size > LARGEST:
        raise Invalid("timetable", "timetable.sheet.too_large", largest=LARGEST // 1_000_000)

"""Which course of Classroom a code means: a row of a sheet, or of the service's own table.

https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets.values/get
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from google_apis.http import Google


def course_in(rows: Iterable[Sequence[object]], code: str) -> str | None:
    """Return the course id beside a code, whatever its case and the spaces around it. Pure.

    rows: code and course id in the first two columns; shorter ones are passed over.
    """
    folded = code.strip().casefold()
    for row in rows:
        if len(row) >= 2 and str(row[0]).strip().casefold() == folded and str(row[1]).strip():
            return str(row[1]).strip()
    return None


@dataclass(frozen=True)
class Courses:
    """Courses by their codes. own: looks into the service's table. sheet: its id, or empty."""

    google: Google
    own: Callable[[str], str | None]
    sheet: str = ""
    range: str = "A2:B"

    def course(self, code: str) -> str | None:
        """Return the id of a course, or None where the code is nowhere."""
        course = self.own(code)
        if course or not self.sheet:
            return course
        answer = self.google.call(
            self.google.collection("sheets", "v4", "spreadsheets", "values").get(
                spreadsheetId=self.sheet, range=self.range
            )
        )
        return course_in(answer.get("values", ()), code)

"""Spreadsheets in Google Sheets, a tab at a time: what its cells show, as CSV.

Drive exports no tab but the first as CSV, so that the values are read by the API of Sheets:
https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets.values/get
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from google_apis.errors import NotThere
from google_apis.http import Google
from merger.errors import Refused


@dataclass(frozen=True)
class Sheets:
    """The spreadsheets that are shared with our account."""

    google: Google

    def tab_names(self, sheet: str) -> tuple[str, ...]:
        """Return the names of the tabs of a spreadsheet, in order. Raises Refused."""
        answer = self._call(sheet, self._sheets().get(
            spreadsheetId=sheet, fields="sheets.properties.title"
        ))  # fmt: skip
        return tuple(tab["properties"]["title"] for tab in answer.get("sheets", ()))

    def read_tab(self, sheet: str, tab: str) -> str:
        """Return a tab as CSV. Raises Refused."""
        quoted = "'" + tab.replace("'", "''") + "'"
        answer = self._call(sheet, self._sheets("values").get(spreadsheetId=sheet, range=quoted))
        return csv_of(answer.get("values", ()))

    def _sheets(self, *names: str) -> Any:
        return self.google.collection("sheets", "v4", "spreadsheets", *names)

    def _call(self, sheet: str, request: Any) -> dict[str, Any]:
        try:
            return self.google.call(request)
        except NotThere as error:
            raise Refused(
                "sheet", "google.no_sheet", sheet=sheet, account=self.google.account
            ) from error


def csv_of(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV in which the line of each is its number. Pure."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow([" ".join(str(cell).splitlines()) for cell in row])
    return text.getvalue()

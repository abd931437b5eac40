"""What the service needs of spreadsheets: their tabs as CSV. Pure."""

from __future__ import annotations

from typing import Protocol


class SheetReader(Protocol):
    """Reads spreadsheets that people keep elsewhere.

    Both methods raise Refused for one that is not there or not shared with us, Temporary, Broken.
    """

    def tab_names(self, sheet: str) -> tuple[str, ...]:
        """Return the names of the tabs of a spreadsheet, in order."""

    def read_tab(self, sheet: str, tab: str) -> str:
        """Return a tab as CSV: what its cells show, a line for each row."""

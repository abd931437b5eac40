"""Lines for the histories of recordings, kept until the tables take them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from merger.errors import MergerError
from merger.i18n import Message

WriteHistory = Callable[[Iterable[int], datetime, str, Message], None]


@dataclass
class HistoryQueue:
    """Lines that are still to be written, in order."""

    write: WriteHistory
    _lines: deque[tuple[tuple[int, ...], datetime, str, Message]] = field(default_factory=deque)

    def add(self, records: tuple[int, ...], at: datetime, kind: str, message: Message) -> None:
        """Add a line for some records."""
        self._lines.append((records, at, kind, message))

    def flush(self) -> None:
        """Write all lines, or those before the first that the tables do not take now."""
        while self._lines:
            try:
                self.write(*self._lines[0])
            except MergerError:
                return
            self._lines.popleft()

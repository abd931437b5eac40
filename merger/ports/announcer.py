"""What the service needs of a place where a finished recording is announced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from merger.ports.destination import Fence


@dataclass(frozen=True)
class Link:
    """Where a rendition is. file: what the destination knows it by, where it has such a thing."""

    destination: str
    kind: str
    url: str
    file: str | None = None


@dataclass(frozen=True)
class Announcement:
    """What there is to tell of a record.

    calendar_id, event_id: of the event it was made for. description: what people wrote about it.
    """

    record: int
    version: int
    name: str
    room: str
    start: datetime
    end: datetime
    zone: ZoneInfo
    links: tuple[Link, ...]
    calendar_id: str | None = None
    event_id: str | None = None
    course_code: str | None = None
    description: str = ""


class Announcer(Protocol):
    """Somewhere that a record is announced. Every error is Temporary, Refused or Broken."""

    @property
    def name(self) -> str:
        """Its name in the ledger, for ever."""

    def concerns(self, news: Announcement) -> bool:
        """Return whether there is anything to announce here. Pure."""

    def announce(self, news: Announcement, state: Mapping[str, Any], fence: Fence) -> str:
        """Announce a record, and return the link of the announcement.

        Idempotent, whatever happened before: of one record there is one announcement, which gets
        the record's latest name and text. state: what was kept last. Raises Refused where somebody
        has to act before it can be.
        """

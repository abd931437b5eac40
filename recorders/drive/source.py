"""Kind `drive`: a library in Google Drive, that somebody else uploads to.

The address is the id of the folder, `drive:1AbC…`, with `#504_camera` where the files are named by
another room and source than those of the tables. Files are called as in any library, and lie in the
folder or in folders below it; of those that are called like a day, only days near the span are
looked into.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from google_apis.account import Account
from merger.errors import Refused
from merger.timeline.clock import Span
from recorders import base
from recorders.base import Collected, Found, SourceOfRoom

_ID = re.compile(r"[A-Za-z0-9_-]{5,128}")


@dataclass(frozen=True)
class Place:
    """Where the files are, and what their names hold of room and source."""

    folder: str
    room: str
    source: str


@dataclass(frozen=True)
class Drive:
    """Files that appear in a folder of Drive.

    Google's libraries take a fifth of a second to import: only who looks there pays that.
    """

    account: Account = field(default_factory=Account)
    settle: timedelta = timedelta(minutes=60)

    def check(self, source: SourceOfRoom) -> None:
        """Raise Refused where the address makes no sense; whether it is there is found later."""
        place_of(source)
        base.refuse_credentials(source)

    def find(self, source: SourceOfRoom, span: Span, now: datetime) -> Found:
        """Return what exists of a span. Raises Temporary, Broken, Refused for a missing folder."""
        from recorders.drive.library import files_of

        files = files_of(self.account.google(), place_of(source), source, span, now)
        items = tuple(file.item for file in files)
        growing = not all(item.settled for item in items)
        notes = tuple(note for file in files for note in file.notes)
        return Found(items, growing or not base.reach_over(items, span), notes)

    def collect(
        self,
        source: SourceOfRoom,
        span: Span,
        into: Path,
        now: datetime,
        cancelled: Callable[[], bool],
    ) -> list[Collected]:
        """Load settled files that are not there yet; each is what Drive says by its MD5."""
        from recorders.drive.library import bring_all, files_of

        place = place_of(source)
        base.stop_if(cancelled)
        google = self.account.google()
        files = files_of(google, place, source, span, now)
        return bring_all(google, source, files, into, cancelled)


def place_of(source: SourceOfRoom) -> Place:
    """Return what an address says. Raises Refused with what to write instead."""

    def refused(why: str) -> Refused:
        return Refused("address", f"source {source.name!r}: the address {source.address!r} {why}")

    where, marked, part = source.address.partition("#")
    scheme, colon, folder = where.partition(":")
    if where.startswith("https://drive.google.com/"):
        parts = urlsplit(where)
        asked = parse_qs(parts.query).get("id", [])
        scheme, colon, folder = "drive", ":", asked[0] if asked else parts.path.rpartition("/")[2]
    if scheme != "drive" or not colon or not _ID.fullmatch(folder):
        raise refused("is no folder of Drive; write its id like drive:1AbC-dEf, or its link")
    room, underscore, name = part.partition("_") if marked else (source.room, "_", source.name)
    if not (room and underscore and name):
        raise refused("must end in room and source as the files have them, like #504_camera")
    return Place(folder, room, name)

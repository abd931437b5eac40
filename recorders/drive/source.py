"""Kind `drive`: a library in Google Drive, that somebody else uploads to.

The address is the id of the folder, `drive:1AbC…`, with `#504_camera` where the files are named by
another room and source than those of the tables. Files are called as in any library, and lie in the
folder or in folders below it; of those that are called like a day, only days near the span are
looked into.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from google_apis.account import Account
from merger.i18n import Message
from merger.ports.recorder import Probe
from merger.timeline.clock import Span
from recorders import base
from recorders.base import Collected, Found, SourceOfRoom
from recorders.drive.place import place_of


@dataclass(frozen=True)
class Drive:
    """Files that appear in a folder of Drive.

    Google's libraries take a fifth of a second to import: only who looks there pays that.
    """

    account: Account = field(default_factory=Account)
    settle: timedelta = timedelta(minutes=60)

    def check(self, source: SourceOfRoom) -> None:
        """Raise Invalid where the address makes no sense; whether it is there is found later."""
        place_of(source)
        self.check_credentials(source)

    def check_credentials(self, source: SourceOfRoom) -> None:
        """Raise Invalid where there are any."""
        base.refuse_credentials(source)

    def probe(self, source: SourceOfRoom, now: datetime, within: timedelta) -> Probe:
        """Return the newest file of the last days. Raises MergerError."""
        from recorders.drive.probe import probe_drive

        return probe_drive(self.account.google(), place_of(source), source, now)

    def find(self, source: SourceOfRoom, span: Span, now: datetime) -> Found:
        """Return what exists of a span. Raises Temporary, Broken, Invalid for a missing folder."""
        from recorders.drive.library import files_of

        notes: list[Message] = []
        google = self.account.google()
        files = files_of(google, place_of(source), source, span, now, notes.append)
        items = tuple(file.item for file in files)
        growing = not all(item.settled for item in items)
        notes += [note for file in files for note in file.notes]
        return Found(items, growing or not base.reach_over(items, span), tuple(notes))

    def collect(
        self,
        source: SourceOfRoom,
        span: Span,
        into: Path,
        now: datetime,
        cancelled: Callable[[], bool],
    ) -> list[Collected]:
        """Load settled files that are not there yet; each is what Drive says by its MD5."""
        from recorders.drive.library import collect_all, files_of

        place = place_of(source)
        base.stop_if(cancelled)
        google = self.account.google()
        files = files_of(google, place, source, span, now)
        return collect_all(google, source, files, into, cancelled)

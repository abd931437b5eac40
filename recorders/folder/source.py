"""Kind `folder`: a library that somebody else uploads to, such as a network share.

The address is an absolute path, with `#504_camera` where the files are named by another room and
source than those of the tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from merger.i18n import Message
from merger.logs import printable
from merger.ports.recorder import Probe
from merger.timeline.clock import Span
from recorders.base import Collected, Found, SourceOfRoom, refuse_credentials
from recorders.folder.library import collect_from, find_in
from recorders.folder.place import place_of
from recorders.folder.probe import probe_folder


@dataclass(frozen=True)
class Folder:
    """Files that appear in a folder."""

    settle: timedelta = timedelta(minutes=60)

    def check(self, source: SourceOfRoom) -> None:
        """Raise Invalid where the address makes no sense; whether it is there is found later."""
        place_of(source)
        self.check_credentials(source)

    def check_credentials(self, source: SourceOfRoom) -> None:
        """Raise Invalid where there are any."""
        refuse_credentials(source)

    def probe(self, source: SourceOfRoom, now: datetime, within: timedelta) -> Probe:
        """Return the newest file, with a picture of it. Raises MergerError."""
        return probe_folder(place_of(source))

    def missing(self, source: SourceOfRoom) -> Message | None:
        """Return that a folder is not there; that its share hangs is not found out."""
        folder = place_of(source).folder
        if folder.is_dir():
            return None
        return Message("recorders.folder.missing", folder=printable(str(folder)))

    def find(self, source: SourceOfRoom, span: Span, now: datetime) -> Found:
        """Return what exists of a span. Raises Temporary for a share that is not mounted.

        More is expected, whatever the time, while a file is still growing or the files do not reach
        over the whole span. How long to wait for that is for the service to decide.
        """
        return find_in(place_of(source), source, span, now)

    def collect(
        self,
        source: SourceOfRoom,
        span: Span,
        into: Path,
        now: datetime,
        cancelled: Callable[[], bool],
    ) -> list[Collected]:
        """Collect settled files: a second name on one file system, a copy between two.

        A file that is not what its sidecar's sha256 says may be half uploaded, and is left out. An
        hour after its last change nothing better will come: then it is collected as it is, for the
        merge uses what it can of damaged files and says so.
        """
        return collect_from(place_of(source), source, span, into, now, cancelled, self.settle)

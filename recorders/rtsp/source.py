"""Kind `rtsp`: a camera or an encoder in the room, which `app.py recorder` records.

The address is `rtsp://10.0.5.4/stream1`, or `rtsps://…`. With `#always` behind it, the source is
recorded all the time, not only when its room is booked. How long before and after a booking is a
setting of the room.

The credentials are `user:password`. What is recorded lies in the data folder, in a folder for each
source, and is found and collected there as from any library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from merger.errors import Invalid
from merger.i18n import Message
from merger.media.library import LONGEST_SEGMENT
from merger.network.addresses import Rules
from merger.ports.recorder import Probe
from merger.timeline.clock import Span
from recorders.base import Collected, Found, Item, SourceOfRoom, invalid_source, prepare_folder
from recorders.folder.library import collect_from, find_in
from recorders.folder.place import Place
from recorders.rtsp.address import CAMERAS, address_of
from recorders.rtsp.recordings import file_name, folder_of, raw_files, read_journal

Look = Callable[[SourceOfRoom, Rules, timedelta], Probe]

# A file that is published is complete at once.
_QUIET = timedelta()


@dataclass(frozen=True)
class Rtsp:
    """Live sources, recorded here. recorded: the folder for their files. rules: on their hosts.

    look: connects to one, by a process of its own; None where nobody is to.
    """

    recorded: Path | None = None
    rules: Rules = CAMERAS
    # Finishing a file of half an hour takes seconds; a connection that is lost, a minute.
    settle: timedelta = timedelta(minutes=5)
    look: Look | None = None

    def check(self, source: SourceOfRoom) -> None:
        """Raise Invalid where address or credentials make no sense; nobody is connected to."""
        address_of(source, self.rules)
        self.check_credentials(source)

    def check_credentials(self, source: SourceOfRoom) -> None:
        """Raise Invalid where they are no user and password."""
        user, colon, _ = (source.credentials or "user:password").partition(":")
        if not colon or not user or not (source.credentials or "x").isprintable():
            raise invalid_source(source, "credentials", "recorders.rtsp.credentials_form")

    def is_always_recorded(self, source: SourceOfRoom) -> bool:
        """Return whether the address says so; one that is unclear says nothing."""
        try:
            return address_of(source, self.rules).always
        except Invalid:
            return False

    def probe(self, source: SourceOfRoom, now: datetime, within: timedelta) -> Probe:
        """Return what the camera shows. Raises MergerError."""
        if self.look is None:
            raise invalid_source(source, "address", "recorders.rtsp.not_here")
        return self.look(source, self.rules, within)

    def find(self, source: SourceOfRoom, span: Span, now: datetime) -> Found:
        """Return what was recorded of a span, and what is being recorded."""
        place = self._place(source)
        if not place.folder.is_dir():
            note = Message("recorders.rtsp.nothing_yet", source=source.name)
            return Found((), True, (note,))
        found = find_in(place, source, span, now)
        unfinished = _unfinished_items(place, span)
        items = sorted((*found.items, *unfinished), key=lambda item: (item.start, item.origin))
        return Found(tuple(items), found.more_expected or bool(unfinished), found.notes)

    def collect(
        self,
        source: SourceOfRoom,
        span: Span,
        into: Path,
        now: datetime,
        cancelled: Callable[[], bool],
    ) -> list[Collected]:
        """Collect what is finished."""
        place = self._place(source)
        if not place.folder.is_dir():
            prepare_folder(into)
            return []
        return collect_from(place, source, span, into, now, cancelled, LONGEST_SEGMENT)

    def _place(self, source: SourceOfRoom) -> Place:
        address_of(source, self.rules)
        if self.recorded is None or source.id is None:
            raise invalid_source(source, "address", "recorders.rtsp.not_here")
        folder = folder_of(self.recorded, source.id)
        return Place(folder, source.room, source.name, _QUIET, is_own=True)


def _unfinished_items(place: Place, span: Span) -> list[Item]:
    """Return what is not finished yet of a span."""
    items = []
    for raw in raw_files(place.folder):
        journal = read_journal(raw)
        if journal is None or journal.start >= span.end:
            continue
        if journal.end is not None and journal.end <= span.start:
            continue
        try:
            size = raw.stat().st_size
        except FileNotFoundError:
            continue  # finished this very moment
        name = file_name(journal.start, journal.zone, journal.room, journal.source)
        items.append(Item(name, f"raw-{size}", journal.start, None, size, settled=False))
    return items

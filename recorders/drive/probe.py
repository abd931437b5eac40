"""What a folder of Drive has of a source, for somebody who has just entered its address."""

from __future__ import annotations

from datetime import datetime, timedelta

from google_apis.http import Google
from merger.errors import Refused
from merger.i18n import Message
from merger.logs import printable
from merger.ports.recorder import Probe, SourceOfRoom
from merger.timeline.clock import Span
from recorders.drive.library import files_of
from recorders.drive.place import Place

_LATELY = timedelta(days=7)


def probe_drive(google: Google, place: Place, source: SourceOfRoom, now: datetime) -> Probe:
    """Return the newest file of the last days.

    Raises:
        MergerError: the folder cannot be read, or has had no file of the source lately.
    """
    files = files_of(google, place, source, Span(now - _LATELY, now), now)
    if not files:
        part = printable(f"{place.room}_{place.source}")
        raise Refused("source", "recorders.drive.nothing_lately", part=part, days=_LATELY.days)
    name = files[-1].item.origin.partition(" ")[2]  # behind its id
    return Probe(Message("recorders.drive.newest", file=printable(name)))

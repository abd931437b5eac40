"""What Zoom has of a meeting, for somebody who has just entered its number."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from merger.i18n import Message
from merger.ports.recorder import Probe
from recorders.zoom.api import Client
from recorders.zoom.meeting import recorded_meeting

_LATELY = timedelta(days=30)  # in one list of Zoom's


def probe_meeting(client: Client, number: str, zone: ZoneInfo, now: datetime) -> Probe:
    """Return when the newest recording of a meeting began, if there is one of the last days.

    Raises:
        MergerError: Zoom does not answer, or does not let us in.
    """
    recorded = client.recordings((now - _LATELY).date(), now.date())
    found = [recorded_meeting(entry) for entry in recorded]
    meetings = [meeting for meeting in found if meeting and meeting.number == number]
    starts = [file.start for meeting in meetings for file in meeting.files if file.start]
    if not starts:
        return Probe(Message("recorders.zoom.nothing_lately", days=_LATELY.days))
    newest = max(starts).astimezone(zone)
    return Probe(Message("recorders.zoom.newest", at=f"{newest:%Y-%m-%d %H:%M}"))

"""What Zoom has of a meeting, for somebody who has just entered its number."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from merger.i18n import Message
from merger.ports.recorder import Probe
from merger.timeline.timestamps import parse_timestamp
from recorders.zoom.api import Client
from recorders.zoom.meeting import digits

_LATELY = timedelta(days=30)  # in one list of Zoom's


def probe_meeting(client: Client, number: str, zone: ZoneInfo, now: datetime) -> Probe:
    """Return when the newest recording of a meeting began, if there is one of the last days.

    Raises:
        MergerError: Zoom does not answer, or does not let us in.
    """
    recorded = client.recordings((now - _LATELY).date(), now.date())
    starts = []
    for entry in recorded:
        if digits(str(entry.get("id"))) == number:
            try:
                starts.append(parse_timestamp(str(entry.get("start_time"))).astimezone(zone))
            except (ValueError, OverflowError):
                continue  # it is being recorded
    if not starts:
        return Probe(Message("recorders.zoom.nothing_lately", days=_LATELY.days))
    return Probe(Message("recorders.zoom.newest", at=f"{max(starts):%Y-%m-%d %H:%M}"))

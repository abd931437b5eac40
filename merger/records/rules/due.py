"""When a record is due: when the media that it needs can be there.

Pure. Half hours are those of the room's clock, on which recorders cut their files.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from merger.ports.recorder import Found

HALF_HOUR = timedelta(minutes=30)
# A file that is still growing when its record is due is waited for a little longer.
LOOK_AGAIN = timedelta(minutes=10)
PATIENCE = timedelta(hours=3)
# So long after it was due, media that comes late makes a record with gaps again.
WATCHED = timedelta(days=7)


def due_at(end: datetime, settle: timedelta, zone: ZoneInfo) -> datetime:
    """Return when the media of a record that ends then is expected to be complete.

    The last file is closed at the half hour at or after the end, and then needs the settle time of
    its recorder to appear: 60 minutes after 11:20 it is 12:30.
    """
    local = end.astimezone(zone)
    into = timedelta(
        minutes=local.minute % 30, seconds=local.second, microseconds=local.microsecond
    )
    return end.astimezone(UTC) + (HALF_HOUR - into if into else timedelta()) + settle


def wait_until(found: Iterable[Found], now: datetime, due: datetime) -> datetime | None:
    """Return when to look for media again, or None where what exists is to be merged now."""
    incomplete = [there for there in found if there.more_expected]
    if not incomplete:
        return None
    is_growing = any(not item.settled for there in incomplete for item in there.items)
    if now < due:
        # What was written this very minute may be the last that is missing.
        return min(due, now + LOOK_AGAIN) if is_growing else due
    return now + LOOK_AGAIN if is_growing and now < due + PATIENCE else None


def is_stable(unchanged_for: timedelta, settle: timedelta) -> bool:
    """Return whether media that came late is used although more of it may follow."""
    return unchanged_for >= max(settle, HALF_HOUR)

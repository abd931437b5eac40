"""Whether and when a failed record is tried again: a table, and nothing that looks at the world.

| failure | tried again |
|---|---|
| Temporary | after 1 min, doubling to 1 h, with jitter; 8 tries in a row |
| Temporary, a share or Google that is away | the same for about a day: somebody has to act |
| Temporary, a full disk | after 10 min, later 1 h, with jitter, without end: no try at all |
| NoMedia | 3 h after the media was due, and once more the next morning |
| Broken, of the machine and not of the record | about hourly, until it is put right |
| Refused, any other Broken | never: somebody has to act |
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from merger.backoff import backoff
from merger.errors import Broken, MergerError, NoMedia, Temporary
from merger.records.rules.due import PATIENCE

FIRST_DELAY = timedelta(minutes=1)
LONGEST_DELAY = timedelta(hours=1)
JITTER = 0.25  # of a delay
TRIES = 8
_A_DAY = 30  # tries
# A share, a disk or Google that is away, or does not answer.
_AWAY = (
    "storage_away", "destination", "source_away", "sources", "google_away", "google_busy", "hangs",
)  # fmt: skip
TRIES_BY_CODE = dict.fromkeys(_AWAY, _A_DAY)
# A full disk: whoever sees it has made room within minutes. Later a look is worth less, and still
# reads all inputs and adds two lines to the history: a sixth of the time since the record was due.
LOOK_FOR_ROOM = timedelta(minutes=10)
_OF_THE_WAIT = 6
# What fails every record alike: no ffmpeg, no rights, a read-only disk, a database of old tables.
OF_THE_MACHINE = frozenset({"ffmpeg", "storage", "database", "schema"})
MORNING = time(7)
# Workers lost in a row. A process that was seen to die may have died of what it read; a lease that
# ran out is more likely the machine's doing.
MOST_DIED = 3
MOST_LOST = 10


def again_at(
    error: MergerError, tries: int, now: datetime, due: datetime, zone: ZoneInfo, chance: float
) -> datetime | None:
    """Return when to try again, or None.

    Args:
        tries: failures in a row, this one included.
        due: when the media was expected.
        chance: 0..1, spreads what failed together.
    """
    if waits_for_room(error):
        pause = min(max((now - due) / _OF_THE_WAIT, LOOK_FOR_ROOM), LONGEST_DELAY)
        return now + backoff(1, pause, pause, jitter=JITTER, chance=chance)
    if isinstance(error, NoMedia):
        for at in (due + PATIENCE, next_morning(due + PATIENCE, zone)):
            if at > now:
                return at
        return None
    if isinstance(error, Broken) and error.code in OF_THE_MACHINE:
        return now + delay(tries + 4, chance)
    if not isinstance(error, Temporary) or tries >= TRIES_BY_CODE.get(error.code, TRIES):
        return None
    return now + delay(tries, chance)


def waits_for_room(error: MergerError) -> bool:
    """Return whether a disk is full: that is waited for, and counts as no failure of the record."""
    return isinstance(error, Temporary) and error.code == "disk_full"


def delay(failures: int, chance: float = 0.5) -> timedelta:
    """Return the time between a failure and the next try; a chance of 0.5 is without jitter."""
    return backoff(failures, FIRST_DELAY, LONGEST_DELAY, jitter=JITTER, chance=chance)


def next_morning(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return seven in the morning of the day after an instant, by a zone's clock."""
    tomorrow = instant.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(tomorrow, MORNING, zone).astimezone(UTC)

"""Which live sources are to be recorded at an instant, and how long to pause for one. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from merger.backoff import backoff
from merger.live.bookings import Booking, Camera
from recorders.rtsp.address import Address

# Before a lecture, so that somebody can still go and look at the camera.
LOOKED_AT = timedelta(minutes=10)
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=1), timedelta(seconds=60)
_JITTER = 0.3  # so that the cameras of a switch that was restarted do not all come at once

Purpose = Literal["record", "look"]


@dataclass(frozen=True)
class Assignment:
    """What is wanted of a source now.

    records: it is recorded for these. soon: these begin soon; before that, somebody looks whether
    there is any media.
    """

    camera: Camera
    address: Address
    records: tuple[int, ...] = ()
    soon: tuple[int, ...] = ()

    @property
    def is_recorded(self) -> bool:
        """Whether it is recorded, or only looked at."""
        return bool(self.records) or self.address.always

    @property
    def purpose(self) -> Purpose:
        return "record" if self.is_recorded else "look"


def assignments(
    now: datetime, cameras: Iterable[tuple[Camera, Address]], bookings: Iterable[Booking]
) -> dict[int, Assignment]:
    """Return what is wanted of sources now, by their numbers; of the others, nothing is."""
    booked = list(bookings)
    found = {}
    for camera, address in cameras:
        spans = [(b.record, b.span) for b in booked if b.room == camera.source.room]
        assignment = Assignment(
            camera,
            address,
            records=tuple(
                record
                for record, span in spans
                if span.start - camera.early <= now < span.end + camera.late
            ),
            soon=tuple(
                record
                for record, span in spans
                if span.start - max(LOOKED_AT, camera.early) <= now < span.start
            ),
        )
        if assignment.is_recorded or assignment.soon:
            found[camera.id] = assignment
    return found


def pause_s(failures: int, chance: float) -> float:
    """Return the pause after failures in a row, in seconds: 1, 2, 4 ... 60.

    Args:
        chance: 0..1, by which up to three tenths are added or left out.
    """
    pause = backoff(failures, _FIRST_PAUSE, _LONGEST_PAUSE, jitter=_JITTER, chance=chance)
    return pause.total_seconds()

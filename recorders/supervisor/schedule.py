"""Which live sources are to be recorded at an instant, and how long to wait for one. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from merger.live.bookings import Booking, Camera
from recorders.rtsp.source import Address

# Before a lecture, so that somebody can still go and look at the camera.
LOOKED_AT = timedelta(minutes=10)
_FIRST_S, _LONGEST_S = 1.0, 60.0
_JITTER = 0.3  # so that the cameras of a switch that was restarted do not all come at once


@dataclass(frozen=True)
class Assignment:
    """What is wanted of a source now.

    records: it is recorded for. soon: records that begin soon, before which it is looked at whether
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


def assignments(
    now: datetime, cameras: Iterable[tuple[Camera, Address]], bookings: Iterable[Booking]
) -> dict[int, Assignment]:
    """Return what is wanted of sources now, by their numbers; of the others nothing is."""
    known = list(bookings)
    found = {}
    for camera, address in cameras:
        spans = [(b.record, b.span) for b in known if b.room == camera.source.room]
        one = Assignment(
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
        if one.is_recorded or one.soon:
            found[camera.id] = one
    return found


def pause_s(failures: int, chance: float) -> float:
    """Return how long to wait after so many failures in a row: 1 s, 2 s, 4 s ... 60 s.

    chance: 0 to 1, by which up to three tenths are added or left out.
    """
    doubled = _FIRST_S * 2 ** min(max(failures, 1) - 1, 10)
    return float(min(doubled, _LONGEST_S) * (1 + _JITTER * (2 * chance - 1)))

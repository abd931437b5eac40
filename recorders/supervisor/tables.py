"""What the tables want recorded, as the supervisor reads it again and again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from merger.errors import MergerError, Refused
from merger.i18n import Message
from merger.live.bookings import Booking, Camera
from merger.network.addresses import Rules
from recorders.rtsp.address import Address, address_of
from recorders.supervisor.schedule import Assignment, assignments

log = logging.getLogger(__name__)

_READ_EVERY_S = 2.0


@dataclass
class Tables:
    """Cameras and bookings. While they cannot be read, what was read last holds.

    rules: where cameras may be.
    """

    read_cameras: Callable[[], Iterable[Camera]]
    read_bookings: Callable[[datetime], Iterable[Booking]]
    rules: Rules
    _cameras: list[tuple[Camera, Address]] = field(default_factory=list)
    _bookings: list[Booking] = field(default_factory=list)
    _read_s: float = float("-inf")
    _failure: Message | None = None  # that was logged
    _refusals: set[tuple[int, Message]] = field(default_factory=set)  # that were logged

    def assignments(self, now: datetime) -> dict[int, Assignment]:
        """Return what is wanted of sources now, by their numbers."""
        if time.monotonic() - self._read_s >= _READ_EVERY_S:
            self._read_s = time.monotonic()
            self._read(now)
        return assignments(now, self._cameras, self._bookings)

    def _read(self, now: datetime) -> None:
        try:
            cameras = list(self.read_cameras())
            self._bookings = list(self.read_bookings(now))
            self._failure = None
        except MergerError as error:
            if error.message != self._failure:
                log.warning("%s; the recorder goes on with what it knows", error.message)
            self._failure = error.message
            return
        self._cameras = []
        for camera in cameras:
            try:
                address = address_of(camera.source, self.rules)
            except Refused as error:
                if (camera.id, error.message) not in self._refusals:
                    log.error("room %r: %s", camera.source.room, error.message)
                self._refusals.add((camera.id, error.message))
                continue
            self._cameras.append((camera, address))

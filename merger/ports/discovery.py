"""What the service needs to learn of recordings that nobody requested, such as of meetings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from merger.timeline.clock import Span

# Kinds of sources whose recordings belong to people, such as the hosts of meetings, and not to the
# room.
KINDS_OF_PEOPLE = ("zoom",)


@dataclass(frozen=True)
class DiscoveredRecording:
    """A recording that nobody requested, such as of a meeting.

    origin: its name among all of its kind. place: what a source's address must say (`place_of`).
    owner: a mail address, or empty. length: of what was recorded, without the gaps in the span.
    """

    kind: str
    origin: str
    place: str
    name: str
    owner: str
    span: Span | None
    length: timedelta
    is_complete: bool


class Discovery(Protocol):
    """Where recordings of one kind are found that nobody requested."""

    def place_of(self, address: str) -> str:
        """Return the place of the recordings that are of a source with an address."""

    def list_recordings(self, since: datetime, until: datetime) -> Iterable[DiscoveredRecording]:
        """Yield what was recorded between two instants."""

    def find_recording(self, text: str, now: datetime) -> DiscoveredRecording:
        """Return what somebody means by a name or a link. Raises Refused where there is none."""

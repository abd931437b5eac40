"""What the service needs to learn of meetings while they go on: what happens to their recording."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

# In the order in which they can have happened at one instant.
EVENT_KINDS = (
    "meeting.started",
    "recording.started",
    "recording.resumed",
    "recording.paused",
    "recording.stopped",
    "meeting.ended",
)


@dataclass(frozen=True)
class MeetingEvent:
    """Something that happened to a meeting.

    uuid: of this one meeting. number: what its source's address says, of all that are held under
    it. kind: one of EVENT_KINDS.
    """

    uuid: str
    number: str
    kind: str
    at: datetime

    @property
    def order(self) -> tuple[datetime, int]:
        """What puts events in the order in which they happened."""
        return self.at, EVENT_KINDS.index(self.kind)

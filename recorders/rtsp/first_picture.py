"""When the first picture of a connection was shown, of which FFmpeg says nothing.

It comes in more pieces than FFmpeg's parser remembers times for. Later pictures of that kind get
theirs by counting on, the first has none to count from. What a stream counts from need not be that
picture: cameras tell it by themselves (RTP-Info).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import av.packet

# Pictures that are sent after the first, until the one that is shown right after it has come.
_REORDERED = 5


@dataclass
class FirstPicture:
    """Holds back the pictures of a stream until the time of the first is known.

    reorders: whether pictures are sent in another order than they are shown.
    """

    number: int  # of the stream
    reorders: bool
    _has_begun: bool = False
    _held: list[tuple[av.packet.Packet[Any], int]] = field(default_factory=list)

    def released(
        self, packet: av.packet.Packet[Any], arrived_us: int
    ) -> list[tuple[av.packet.Packet[Any], int]]:
        """Return what is to be taken now that a packet has come, with when it arrived."""
        if packet.stream_index != self.number or packet.size == 0:
            return [(packet, arrived_us)]
        if not self._held and (self._has_begun or packet.pts is not None):
            self._has_begun = True
            return [(packet, arrived_us)]
        self._has_begun = True
        self._held.append((packet, arrived_us))
        if len(self._held) <= (_REORDERED if self.reorders else 1):
            return []
        released, self._held = self._held, []
        first = released[0][0]
        shown = [one.pts for one, _ in released if one.pts is not None]
        first.pts = min(shown) - max(1, first.duration or 0) if shown else 0
        return released

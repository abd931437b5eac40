"""When the first picture of a connection was shown, of which FFmpeg says nothing.

It comes in more pieces than FFmpeg's parser remembers times for. Later pictures of that kind get
theirs by counting on, the first has none to count from. What a stream counts from need not be that
picture: cameras send it by themselves (RTP-Info).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import av.packet

# Pictures that are sent after the first, until the one that is shown right after it has come.
_REORDERED = 5

Arrived: TypeAlias = "tuple[av.packet.Packet[Any], int]"


@dataclass
class FirstPicture:
    """Keeps back the pictures of a stream until the time of the first is known.

    reorders: whether pictures are sent in another order than they are shown.
    """

    number: int  # of the stream
    reorders: bool
    _has_begun: bool = False
    _pending: list[Arrived] = field(default_factory=list)

    def feed(self, packet: av.packet.Packet[Any], arrived_us: int) -> list[Arrived]:
        """Take the next packet; return those that are ready now, with when they arrived."""
        if packet.stream_index != self.number or packet.size == 0:
            return [(packet, arrived_us)]
        if not self._pending and (self._has_begun or packet.pts is not None):
            self._has_begun = True
            return [(packet, arrived_us)]
        self._has_begun = True
        self._pending.append((packet, arrived_us))
        if len(self._pending) <= (_REORDERED if self.reorders else 1):
            return []
        ready, self._pending = self._pending, []
        first = ready[0][0]
        times = [packet.pts for packet, _ in ready if packet.pts is not None]
        first.pts = min(times) - max(1, first.duration or 0) if times else 0
        return ready

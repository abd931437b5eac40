"""What a room's screen showed while it stood, kept so that the room learns its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from merger.records.stills import learning
from merger.worker.work import Work

if TYPE_CHECKING:
    from merger.analysis.cards import Card
    from merger.render.screen.presence import Presence

_MOST = 300  # pictures of a record


def learn_stills(work: Work, presence: Presence, cards: Sequence[Card]) -> None:
    """Write down the pictures that stood. cards: of the room's own, by which it was decided."""
    from merger.analysis.own_screens import describe
    from merger.isolation import reader

    stills = presence.stills[:_MOST]
    try:
        described = reader.call(describe, [still.jpeg for still in stills]) if stills else []
    except reader.Unreadable:  # nobody misses a video for what a room might have learned
        return
    seen = [
        learning.Seen(one, still.span.length, still.at_start, still.at_end)
        for still, one in zip(stills, described, strict=True)
        if one is not None
    ]
    learning.save_stills(work.lease, seen, presence.own, cards)

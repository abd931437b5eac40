"""What pictures of a file show, and small copies of some for people; runs in a reader."""

from __future__ import annotations

from collections.abc import Sequence

import cv2

from merger.analysis.cards import Card, shipped_cards
from merger.analysis.classify import classify, read_few
from merger.analysis.decoding import planes, sample_targets
from merger.analysis.jpeg import encode_jpeg
from merger.analysis.targets import Sight, Target
from merger.analysis.words.memory import read_nothing, remember
from merger.timeline.layout import Size
from merger.timeline.media import MediaFile

_LARGEST_PICTURE = Size(192, 108)


def prepare() -> None:
    """Draw the cards once, for all forks of a reader."""
    cv2.setNumThreads(1)  # a fork would wait for the threads of OpenCV, which are not in it
    shipped_cards()


def look_at(
    file: MediaFile,
    wanted: Sequence[Target],
    to_show: Sequence[Target],
    own_cards: Sequence[Card],
    *,
    reads: bool = True,
) -> list[Sight]:
    """Return what some pictures of a file show.

    Args:
        to_show: those of which people get a small copy.
        own_cards: the user's "no signal" cards, beside those that ship.
        reads: whether words are evidence, too.
    """
    assert file.video is not None
    cards = (*shipped_cards(), *own_cards)
    read = remember(read_few) if reads else read_nothing
    sights = []
    for target, frame in sample_targets(file, wanted):
        sample = classify(*planes(frame), cards, read)
        is_shown = target in to_show
        jpeg = encode_jpeg(frame, file.video, _LARGEST_PICTURE) if is_shown else None
        sights.append(Sight(target, sample.verdict, sample.reason, jpeg))
    return sights

"""Pictures that stand on a room's screen, and which of them people are asked about; pure.

A room's own screen, such as an idle desktop, comes back on many days. So do slides: with a course,
or with whoever shows them. What separates them is when, and with whom: nobody's slide is there
before and after the lectures of several people at several times of the week.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Literal

from merger.i18n import Message
from merger.timeline.clock import Span
from merger.timeline.screen.chapters import find_films
from merger.timeline.screen.signals import ScreenSignal

# What a room may show when nobody presents.
OwnKind = Literal["desktop", "lock", "standby", "screensaver", "no_signal"]

SHORTEST = timedelta(seconds=10)  # that a picture stands
EDGE = timedelta(minutes=5)  # from the start, or the end, of what the screen sent
FEWEST_DAYS = 4
LEAST_TOGETHER = timedelta(seconds=240)
FEWEST_TIMES, FEWEST_PEOPLE = 3, 2
# Where always the same person lectures: on so many days at the start, and on as many at the end.
FEWEST_ENDS = 3
OWN = "analysis.own_screen"  # the reason of what is known to be the room's own


@dataclass(frozen=True)
class Still:
    """A picture that stood on a screen, as JPEG.

    Attributes:
        at_start, at_end: whether it was there in the first, or the last, minutes of the record.
    """

    span: Span
    jpeg: bytes
    at_start: bool
    at_end: bool


@dataclass(frozen=True)
class Sighting:
    """In which recording a picture stood, and for how long.

    Attributes:
        begins: the recording, by the clock of its room.
        person: whose lecture it was; any value that tells one from another.
    """

    begins: datetime
    length: timedelta
    at_start: bool
    at_end: bool
    person: object

    @property
    def day(self) -> date:
        return self.begins.date()


def find_stills(signal: ScreenSignal) -> list[Still]:
    """Return the pictures that stood on the screen and may be a presentation, in order."""
    sent = [shown.span for shown in signal.shown if shown.kind != "missing"]
    if not sent:
        return []
    begins, ends = sent[0].start + EDGE, sent[-1].end - EDGE
    films = find_films(signal)
    found = []
    for shown in signal.shown:
        if shown.kind != "presentation":
            continue
        turns = [at for at in signal.changes if shown.span.start < at < shown.span.end]
        edges = [shown.span.start, *turns, shown.span.end]
        for start, end in pairwise(edges):
            span = Span(start, end)
            if span.length < SHORTEST or any(span.cut_to(film) for film in films):
                continue
            pictures = [picture.jpeg for picture in signal.slides if picture.at in span]
            if pictures:
                found.append(Still(span, pictures[-1], start < begins, end > ends))
    return found


def find_own(signal: ScreenSignal) -> dict[int, timedelta]:
    """Return for how long each picture stood that is known to be the room's own, by its number."""
    lengths: dict[int, timedelta] = {}
    for shown in signal.shown:
        if shown.reason.key == OWN:
            number = int(str(shown.reason.params["still"]))
            lengths[number] = lengths.get(number, timedelta()) + shown.span.length
    return lengths


def own_reason(number: str, likeness: float) -> Message:
    """Return why a picture is the room's own. number: of the still."""
    return Message(OWN, still=number, likeness=round(likeness, 2))


def is_worth_asking(sightings: Sequence[Sighting], people: int) -> bool:
    """Return whether a picture may be what a room shows when nobody presents.

    Args:
        people: how many lecture in the room.
    """
    days = {seen.day for seen in sightings}
    together = sum((seen.length for seen in sightings), timedelta())
    if len(days) < FEWEST_DAYS or together < LEAST_TOGETHER:
        return False
    if people >= FEWEST_PEOPLE:
        times = {(seen.begins.weekday(), seen.begins.hour) for seen in sightings}
        return len({s.person for s in sightings}) >= FEWEST_PEOPLE and len(times) >= FEWEST_TIMES
    before = {seen.day for seen in sightings if seen.at_start}
    after = {seen.day for seen in sightings if seen.at_end}
    return min(len(before), len(after)) >= FEWEST_ENDS

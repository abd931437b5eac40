"""Pictures that stood on a screen, and which of them people are asked about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from merger.i18n import Message
from merger.timeline.clock import Span
from merger.timeline.screen.signals import ScreenSignal, Shown, ShownPicture
from merger.timeline.screen.stills import (
    Sighting,
    find_own,
    find_stills,
    is_worth_asking,
    own_reason,
)

pytestmark = pytest.mark.quick

START = datetime(2026, 11, 16, 7, tzinfo=UTC)  # a Monday
WHY = Message("analysis.no_card")


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def shown(start: float, end: float, kind: str = "presentation", why: Message = WHY) -> Shown:
    return Shown(Span(at(start), at(end)), kind, why)  # type: ignore[arg-type]


def picture(second: float, name: str) -> ShownPicture:
    return ShownPicture(at(second), "presentation", name.encode())


def signal(*spans: Shown, changes: tuple[float, ...] = (), slides: tuple[ShownPicture, ...] = ()) -> ScreenSignal:  # fmt: skip
    return ScreenSignal(spans, changes=tuple(map(at, changes)), slides=slides)


def test_what_stands_between_two_changes_is_a_still() -> None:
    seen = signal(
        shown(0, 60, "missing"), shown(60, 1000), shown(1000, 1100, "blank"), shown(1100, 2000),
        changes=(100, 105, 800),
        slides=(picture(61, "a"), picture(98, "a, a little later"), picture(799, "b"),
                picture(999, "c"), picture(1900, "d")),
    )  # fmt: skip
    found = find_stills(seen)
    assert [(still.jpeg, still.span.length.seconds) for still in found] == [
        (b"a, a little later", 40), (b"b", 695), (b"c", 200), (b"d", 900),
    ]  # fmt: skip
    # From where the screen began to send, and to where it ended.
    assert [still.at_start for still in found] == [True, True, False, False]
    assert [still.at_end for still in found] == [False, False, False, True]


def test_a_film_stands_nowhere() -> None:
    film = tuple(picture(second, str(second)) for second in range(100, 200, 10))
    found = find_stills(
        signal(shown(0, 1000), changes=(95, 195), slides=(*film, picture(900, "z")))
    )
    assert [still.jpeg for still in found] == [b"z"]


def test_a_room_that_sent_nothing_has_no_stills() -> None:
    assert find_stills(signal(shown(0, 100, "missing"))) == []


def test_what_is_known_is_found_by_its_number() -> None:
    why = own_reason("17", 0.91)
    seen = signal(shown(0, 30, "desktop", why), shown(30, 60), shown(60, 70, "desktop", why))
    assert find_own(seen) == {17: timedelta(seconds=40)}


def met(*days: int, hour: int = 7, whose: object = 1, start: bool = True, end: bool = False) -> list[Sighting]:  # fmt: skip
    return [
        Sighting(START.replace(hour=hour) + timedelta(days=day), timedelta(seconds=60), start, end, whose)
        for day in days
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sightings", "people", "is_asked"),
    [
        # On four days, with two people, at three times of the week.
        (met(0, 1) + met(2, 3, whose=2), 6, True),
        (met(0, 1) + met(2, whose=2), 6, False),  # on three
        # The first slide of a course, three weeks long.
        (met(0, 2, 7, 9, 14, 16), 6, False),
        (met(0, 1, 2, 3, 4, start=True, end=True), 6, False),
        # One lecture that two people had recorded, each with a span of their own.
        (met(0, 7, 14, 21) + met(0, 7, 14, 21, whose=2), 6, False),
        # Where always the same one lectures, the first slide is not the last.
        (met(0, 1, 2, 3), 1, False),
        (met(0, 1, 2, 3, 4) + met(5, 7, 8, start=False, end=True), 1, True),
    ],
)
def test_what_separates_a_room_from_its_slides(
    sightings: list[Sighting], people: int, is_asked: bool
) -> None:
    assert is_worth_asking(sightings, people) == is_asked


def test_what_is_seen_in_passing_is_not_asked_about() -> None:
    brief = [
        Sighting(s.begins, timedelta(seconds=15), s.at_start, s.at_end, s.person)
        for s in met(0, 1, 2, 3) + met(4, 7, 8, whose=2)
    ]
    assert not is_worth_asking(brief, 6)

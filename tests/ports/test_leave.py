"""Which recordings of people a record may show."""

from __future__ import annotations

from datetime import timedelta

import pytest

from merger.ports.recorder import Leave
from merger.timeline.clock import Span, utc
from tests.conftest import START

HOUR = timedelta(hours=1)
BEFORE = Span(utc(START), utc(START + HOUR))


def meeting(from_min: float, until_min: float) -> Span:
    return Span(*(utc(START + timedelta(minutes=at)) for at in (from_min, until_min)))


@pytest.mark.parametrize(
    ("leave", "owner", "span", "may"),
    [
        (Leave("ann@x.org"), "ann@x.org", None, True),
        (Leave("ann@x.org"), " Ann@X.org ", meeting(0, 60), True),
        (Leave("ann@x.org"), "bob@x.org", meeting(0, 60), False),
        (Leave("ann@x.org"), "", meeting(0, 60), False),
        (Leave("ann@x.org", origins=frozenset({"m"})), "bob@x.org", None, True),
        (Leave("ann@x.org", origins=frozenset({"n"})), "bob@x.org", None, False),
        (Leave("ann@x.org", BEFORE), "bob@x.org", meeting(0, 120), True),
        (Leave("ann@x.org", BEFORE), "bob@x.org", meeting(0, 121), False),
        (Leave("ann@x.org", BEFORE), "bob@x.org", meeting(59, 119), False),
        (Leave("ann@x.org", BEFORE), "bob@x.org", meeting(60, 120), False),
        (Leave("ann@x.org", BEFORE), "bob@x.org", None, False),
    ],
)
def test_what_somebody_may_have(leave: Leave, owner: str, span: Span | None, may: bool) -> None:
    assert leave.covers("m", owner, span) is may

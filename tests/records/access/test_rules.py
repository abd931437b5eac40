"""Who gets what they request, and whose leave it needs: a table of cases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from merger.accounts.permissions import Principal, granted_scopes
from merger.accounts.room_policy import RoomPolicy
from merger.records.access.rules import GRACE, MARGIN, Recording, decide, past_of_nobody
from merger.timeline.clock import Span

pytestmark = pytest.mark.quick

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ANN, CARL = "ann@example.org", "carl@example.org"
EVERYBODY = RoomPolicy("everybody")


def person(role: str = "user") -> Principal:
    return Principal(1, "bob@example.org", role, granted_scopes(role))


def span(start: int, end: int) -> Span:
    """Return a span in minutes from now."""
    return Span(NOW + start * MINUTE, NOW + end * MINUTE)


def of(owner: str | None, start: int, end: int, *, is_open: bool = False) -> Recording:
    return Recording(span(start, end), owner, is_open)


ALLOWED, EDITORS = "allowed", ()
CASES = {
    "a free time to come": (span(60, 120), [], ALLOWED),
    "one that has just begun": (span(-30, 60), [], ALLOWED),
    "one that began long ago": (span(-31, 60), [], EDITORS),
    "the past": (span(-120, -60), [], EDITORS),
    "the past, until just now": (span(-1440 + 1, 1), [], EDITORS),
    "the same as another's": (span(60, 120), [of(ANN, 60, 120)], (ANN,)),
    "around another's": (span(50, 130), [of(ANN, 60, 120)], (ANN,)),
    "a minute of another's": (span(119, 180), [of(ANN, 60, 120)], (ANN,)),
    "another's, past": (span(-120, -60), [of(ANN, -120, -60)], (ANN,)),
    "another's, past, with its edges": (span(-130, -40), [of(ANN, -120, -60)], (ANN,)),
    "another's, past, and far more": (span(-200, -40), [of(ANN, -120, -60)], EDITORS),
    "of two": (span(60, 180), [of(CARL, 120, 180), of(ANN, 60, 120)], (ANN, CARL)),
    "of one who has no owner": (span(60, 180), [of(ANN, 60, 120), of(None, 120, 180)], EDITORS),
    "their own": (span(60, 120), [of(ANN, 60, 120, is_open=True)], ALLOWED),
    "their own, past": (span(-120, -60), [of(ANN, -130, -50, is_open=True)], ALLOWED),
    "a minute more than their own, past": (
        span(-121, -60), [of(ANN, -120, -60, is_open=True)], EDITORS,
    ),
    "more than their own, to come": (span(60, 180), [of(ANN, 60, 120, is_open=True)], ALLOWED),
    "theirs, though another's, too": (
        span(60, 120), [of(ANN, 60, 120, is_open=True), of(CARL, 100, 180)], ALLOWED,
    ),
    "their own and another's": (
        span(60, 180), [of(ANN, 60, 120, is_open=True), of(CARL, 120, 180)], (CARL,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_whose_leave_it_needs(case: str) -> None:
    asked, recordings, expected = CASES[case]
    found = decide(None, person(), asked, NOW, recordings, "ask")
    wanted = ("allowed", ()) if expected == ALLOWED else ("needs_leave", expected)
    assert (found.outcome, found.owners) == wanted
    assert decide(None, person(), asked, NOW, recordings, "open").outcome == "allowed"
    for who in (person("editor"), person("admin"), None):
        assert (
            decide(RoomPolicy("editors"), who, asked, NOW, recordings, "ask").outcome == "allowed"
        )


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [
        (None, "allowed"), (EVERYBODY, "allowed"), (RoomPolicy("editors"), "forbidden"),
        (RoomPolicy("named", ("bob@example.org",)), "allowed"),
        (RoomPolicy("named", ("@example.org",)), "allowed"),
        (RoomPolicy("named", ("@example.com", "ann@example.org")), "forbidden"),
        (RoomPolicy("named", ("@ample.org", "@sub.example.org")), "forbidden"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["ask", "open"])
def test_rooms_say_who_may_request(policy: RoomPolicy | None, outcome: str, mode: str) -> None:
    assert decide(policy, person(), span(60, 120), NOW, [], mode).outcome == outcome  # type: ignore[arg-type]


times = some.integers(-600, 600)
spans = some.tuples(times, times).filter(lambda pair: pair[0] < pair[1]).map(lambda p: span(*p))


@given(spans, some.lists(spans, max_size=4))
def test_what_is_past_and_of_nobody_is_counted_minute_by_minute(
    asked: Span, recorded: list[Span]
) -> None:
    past = 0
    at = asked.start
    while at < min(asked.end, NOW):
        past += all(at not in one for one in recorded)
        at += MINUTE
    expected = past * MINUTE if asked.start < NOW - GRACE else timedelta()
    assert past_of_nobody(asked, NOW, recorded) == expected


def test_the_margin_is_that_of_all_edges_together() -> None:
    minutes = MARGIN // MINUTE
    beside = [of(ANN, -120, -60)]
    near, far = span(-130, -60 + minutes - 10), span(-130, -60 + minutes - 9)
    assert decide(None, person(), near, NOW, beside, "ask").owners == (ANN,)
    assert decide(None, person(), far, NOW, beside, "ask").owners == ()

"""When somebody writes on the board, from how much ink comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from merger.timeline.screen.writing import Ink, spans_of_writing

pytestmark = pytest.mark.quick

START = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)


def spans(cells: list[int], begins: float = 40) -> list[tuple[float, float]]:
    """Return the spans in seconds of ink that comes every two seconds."""
    ink = [Ink(START + timedelta(seconds=2 * n), count) for n, count in enumerate(cells)]
    return [
        ((s.start - START).total_seconds(), (s.end - START).total_seconds())
        for s in spans_of_writing(ink, begins)
    ]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        pytest.param([0] * 20, [], id="nothing"),
        pytest.param([0] * 10 + [30] * 10 + [0] * 20, [(20, 40)], id="from its first stroke on"),
        pytest.param([9] * 40, [], id="a little all the time"),
        pytest.param([0] * 10 + [30] * 5 + [0] * 8 + [30] * 5 + [0] * 20, [(20, 56)], id="a pause"),
        pytest.param(
            [0] * 10 + [30] * 5 + [0] * 20 + [30] * 5 + [0] * 20, [(20, 30), (70, 80)],
            id="two writings",
        ),
        pytest.param([0] * 10 + [30] * 10, [(20, 40)], id="until the end"),
        pytest.param([0] * 10 + [900] + [0] * 10, [], id="all at once"),
    ],
)  # fmt: skip
def test_writing(cells: list[int], expected: list[tuple[float, float]]) -> None:
    found = spans(cells)
    assert [start for start, _ in found] == [start for start, _ in expected]
    # It goes on while what came last counts together with what came before.
    assert all(0 <= end - right <= 6 for (_, end), (_, right) in zip(found, expected, strict=True))


def test_a_room_with_restless_boards_needs_more() -> None:
    assert spans([25] * 20) and not spans([25] * 20, 120)

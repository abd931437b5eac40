"""Where files of one source meet that are named to the second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merger.timeline.files.joints import Named, seamless_starts

pytestmark = pytest.mark.quick

TEN = datetime(2026, 11, 20, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)

# Start, length and leeway, in seconds after ten.
File = tuple[float, float, float]


def starts(*files: File) -> list[float]:
    named = [
        Named(TEN + timedelta(seconds=start), timedelta(seconds=length), timedelta(seconds=leeway))
        for start, length, leeway in files
    ]
    return [(start - TEN).total_seconds() for start in seamless_starts(named)]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], []),
        ([(0, 1800, 1)], [0]),
        ([(0, 1800, 1), (1800, 1800, 1)], [0, 1800]),
        # the second began when the first ended
        ([(0, 1800.3, 1), (1800, 1800, 1)], [0, 1800.3]),
        ([(0, 1800.3, 1), (1800, 1800.3, 1), (3600, 9, 1)], [0, 1800.3, 3600.6]),
        # the first began later than at the second of its name
        ([(0, 1799.4, 1), (1800, 1800, 1)], [0.6, 1800]),
        ([(0, 1800, 1), (1800, 1799.4, 1), (3600, 9, 1)], [0.6, 1800.6, 3600]),
        ([(0, 1800.5, 1), (1800, 1799, 1), (3600, 9, 1)], [0, 1800.5, 3600]),
        # a second, or more, no name explains
        ([(0, 1799, 1), (1800, 1800, 1)], [0, 1800]),
        ([(0, 1801, 1), (1800, 1800, 1)], [0, 1800]),
        ([(0, 1500, 1), (1800, 1800.3, 1), (3600, 9, 1)], [0, 1800, 3600.3]),
        # nor what several names exclude together
        ([(0, 1799.4, 1), (1800, 1799.4, 1), (3600, 9, 1)], [0.6, 1800, 3600]),
        # names without seconds
        ([(0, 1798.5, 2), (1800, 1800, 2)], [1.5, 1800]),
        ([(0, 1801.5, 2), (1800, 1800, 2)], [0, 1801.5]),
        ([(0, 1770, 2), (1800, 1800, 2)], [0, 1800]),
        # a sidecar is exact, and so are those beside it
        ([(0, 1799.4, 0), (1800, 1800, 0)], [0, 1800]),
        ([(0, 1800.3, 0), (1800, 1800, 0)], [0, 1800]),
        ([(0.25, 1800, 0), (1800, 1800, 1)], [0.25, 1800.25]),
        ([(0, 1799.4, 0), (1800, 1800, 1)], [0, 1800]),
        ([(0, 1799.4, 1), (1800, 1800, 0)], [0.6, 1800]),
        ([(0, 1800.3, 1), (1800, 1800, 0)], [0, 1800]),
        # two of the same time
        ([(0, 1800, 1), (0, 1800, 1), (1800, 9, 1)], [0, 0, 1800]),
    ],
)
def test_where_files_meet(files: list[File], expected: list[float]) -> None:
    assert starts(*files) == pytest.approx(expected, abs=1e-5)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.integers(0, 3_600_000_000), st.lists(st.integers(1, 3_600_000_000), min_size=2, max_size=30)
)
def test_a_recorder_without_gaps_has_none(begins_us: int, lengths_us: list[int]) -> None:
    lengths = [timedelta(microseconds=us) for us in lengths_us]
    true = list(accumulate(lengths[:-1], initial=TEN + timedelta(microseconds=begins_us)))
    files = [Named(t.replace(microsecond=0), n, SECOND) for t, n in zip(true, lengths, strict=True)]
    found = seamless_starts(files)
    assert [b - a for a, b in pairwise(found)] == lengths[:-1]
    errors = {t - f for t, f in zip(true, found, strict=True)}
    assert len(errors) == 1 and timedelta(0) <= errors.pop() < SECOND


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(1, 4_000_000), st.sampled_from([0, 1, 2])),
        max_size=12,
    )
)
def test_no_file_leaves_what_its_name_says(drawn: list[tuple[int, int, int]]) -> None:
    files = [
        Named(TEN + timedelta(seconds=at), timedelta(microseconds=us), timedelta(seconds=leeway))
        for at, us, leeway in sorted(drawn)
    ]
    for file, start in zip(files, seamless_starts(files), strict=True):
        assert file.start <= start < file.start + max(file.leeway, timedelta.resolution)

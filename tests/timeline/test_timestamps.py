"""Dates with times, in the forms in which programs write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merger.timeline.timestamps import is_timestamp, parse_timestamp

pytestmark = pytest.mark.quick

AT = datetime(2026, 11, 20, 10, 5, tzinfo=timezone(timedelta(hours=3)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20T10:05:00.0000000+03:00", AT),  # .NET
        ("2026-11-20t07:05:00z", AT),
        ("2026-11-20 07:05:00.000Z", AT),
        ("2026-11-20T07:05Z", AT),
        ("2026-11-20T10:05:00+0300", AT),
        ("2026-11-20T07:05:00-00:00", AT),
        ("2026-11-20T07:05:00,000000000Z", AT),
        ("20261120T100500+0300", AT),
        ("2026-11-20T07:04:60Z", AT),  # a leap second
        ("2026-11-20T07:04:59.9999996Z", AT),  # nearer to this than to the microsecond before
        ("2026-11-20T07:05:00.0000004Z", AT),
        ("2026-11-20T07:05:00.1234567Z", AT + timedelta(microseconds=123_457)),
        ("2026-11-20T10:05:00.123456789", datetime(2026, 11, 20, 10, 5, 0, 123_457)),
    ],
)
def test_forms(text: str, expected: datetime) -> None:
    assert parse_timestamp(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2026-11-20T10:05:61Z", "2026-13-20T10:05Z",
        "2026-11-20T10:05:00+03:00 ", "2026-11-20T10:05:00+25:00",
    ],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        parse_timestamp(text)


def test_after_the_last_instant() -> None:
    with pytest.raises(OverflowError):
        parse_timestamp("9999-12-31T23:59:59.9999999")


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_python_writes(instant: datetime) -> None:
    text = instant.isoformat()
    assert is_timestamp(text) and parse_timestamp(text) == instant

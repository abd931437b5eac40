"""All that failed is tried again: which, in what order, and not all at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from merger.db.engine import writing
from merger.records import retrying
from merger.records.retrying import Choice
from merger.timeline.clock import utc
from models import Record
from tests.conftest import START
from tests.support.databases import ON_SQLITE
from tests.support.selection import BOTH_DATABASES
from tests.support.site import Site

HOUR = timedelta(hours=1)
CODES = {"no_media": 3, "google_full": 2}


@pytest.fixture
def failed(site: Site) -> Site:
    """Five records that failed, an hour apart, the last lecture first; and one that did not."""
    site.add_room()
    site.add_room("505")
    ids = [
        site.ask(start=utc(START) - n * HOUR, end=utc(START) - n * HOUR + HOUR / 2,
                 room="505" if n == 4 else "504")
        for n in range(6)
    ]  # fmt: skip
    codes = [code for code, count in CODES.items() for _ in range(count)]
    for n, code in enumerate(codes):
        fail(site, ids[n], code, site.clock - n * 24 * HOUR)
    return site


def fail(site: Site, record: int, code: str, at: datetime) -> None:
    values: Any = {"status": "failed", "error_code": code, "updated_at": at, "tries": 3}
    change = update(Record).where(Record.id == record).values(**values)
    writing(site.engine, lambda session: session.execute(change))


@ON_SQLITE
@pytest.mark.parametrize(
    ("choice", "ids"),
    [
        ({}, [5, 4, 3, 2, 1]), ({"code": "no_media"}, [3, 2, 1]), ({"room": "505"}, [5]),
        ({"days": 2}, [3, 2, 1]), ({"limit": 2}, [5, 4]), ({"code": "other"}, []),
        ({"code": "google_full", "room": "504"}, [4]),
    ],
)  # fmt: skip
def test_which_are_meant(failed: Site, choice: dict[str, Any], ids: list[int]) -> None:
    days = choice.pop("days", None)
    since = failed.clock - timedelta(days=days) if days else None
    assert retrying.failed_records(failed.engine, Choice(since=since, **choice)) == ids


@BOTH_DATABASES
def test_they_start_one_after_the_other(failed: Site) -> None:
    retried = retrying.retry_failed(failed.engine, Choice(), failed.clock)
    assert retried.records == [5, 4, 3, 2, 1] and retried.refused == {}
    rows = [failed.row(record) for record in retried.records]
    apart = [row.run_after - failed.clock for row in rows]
    assert apart == [n * timedelta(minutes=1) for n in range(5)]
    assert {(row.status, row.tries, row.error_code) for row in rows} == {("queued", 0, None)}
    assert retrying.retry_failed(failed.engine, Choice(), failed.clock).records == []
    assert "retried" in failed.events(5)


@ON_SQLITE
def test_one_that_cannot_be_stops_no_other(failed: Site) -> None:
    """The same was requested anew since."""
    failed.ask(start=utc(START) - 3 * HOUR, end=utc(START) - 3 * HOUR + HOUR / 2)
    retried = retrying.retry_failed(failed.engine, Choice(), failed.clock)
    assert retried.records == [5, 3, 2, 1] and [*retried.refused] == [4]


@ON_SQLITE
def test_from_the_command_line(failed: Site) -> None:
    first = failed.said("retry", "--failed", "--dry-run", "--code", "google_full")
    assert first["records"] == [5, 4] and failed.count("failed") == 5
    said = failed.run("retry", "--failed", "--room", "505", "--limit", "9", "--since", "9999d")
    assert said.stdout == "1 failed recording is queued again: 5\n"
    assert failed.run("retry").returncode == 2
    assert failed.run("retry", "--failed", "--since", "soon").returncode == 2
    assert failed.run("retry", "1").stdout == "recording 1 is queued again\n"

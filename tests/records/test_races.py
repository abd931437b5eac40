"""Many processes that claim from one queue at once. `python -m tests.records.racing` does it for longer."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from tests.records.racing import check, race
from tests.support.line import fill
from tests.support.selection import BOTH_DATABASES, rarely

pytestmark = BOTH_DATABASES


@pytest.mark.parametrize(
    ("records", "processes"), [(120, 4), rarely(1000, 8, why="with more processes at once")]
)
def test_processes_that_claim_at_once_have_each_record_once(
    engine: Engine, database_url: str, records: int, processes: int
) -> None:
    fill(engine, records)
    taken, _ = race(database_url, processes)
    check(engine, records, taken)
    assert len(taken) - taken.count(0) > 1

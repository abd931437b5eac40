"""Many processes that claim from one queue at once. `python -m tests.racing` does it for longer."""

from __future__ import annotations

from sqlalchemy import Engine

from tests.line import fill
from tests.racing import check, race
from tests.selection import BOTH_DATABASES

pytestmark = BOTH_DATABASES

RECORDS, PROCESSES = 1000, 8


def test_processes_that_claim_at_once_have_each_record_once(
    engine: Engine, database_url: str
) -> None:
    fill(engine, RECORDS)
    taken, _ = race(database_url, PROCESSES)
    check(engine, RECORDS, taken)
    assert len(taken) - taken.count(0) > 1

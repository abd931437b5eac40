"""A queue of one room, for the tests of the queue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from merger.records.leases import Lease
from tests.line import Line


@pytest.fixture
def line(engine: Engine) -> Line:
    """A queue of room 504, at noon."""
    made = Line(engine)
    made.room("504")
    return made


@pytest.fixture
def lease(line: Line) -> Lease:
    """The lease of a record that was claimed at noon."""
    line.ask()
    return line.lease(line.claimed())


NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


def record(**values: Any) -> dict[str, Any]:
    return {
        "start_at": NOON, "end_at": NOON + timedelta(hours=1), "zone": "Europe/Moscow",
        "layout": "side_by_side", "profile": "720p", "event_name": "lecture",
        "created_at": NOON, "updated_at": NOON, "run_after": NOON, **values,
    }  # fmt: skip

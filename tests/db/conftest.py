"""A row of the table of records, for the tests of tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


def record(**values: Any) -> dict[str, Any]:
    return {
        "start_at": NOON, "end_at": NOON + timedelta(hours=1), "zone": "Europe/Moscow",
        "layout": "side_by_side", "profile": "720p", "event_name": "lecture",
        "created_at": NOON, "updated_at": NOON, "run_after": NOON, **values,
    }  # fmt: skip

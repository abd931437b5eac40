"""Series for the tests of the pages: a weekly lecture, and what it is asked for with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from merger.accounts import users
from merger.series import store
from merger.timeline.clock import utc
from merger.timetable.recurrence import Recurrence
from merger.timetable.spec import SeriesSpec
from tests.conftest import START
from tests.web.conftest import Web
from tests.web.pages.reader import LECTURE

FRIDAY = utc(START)  # 20 November 2026, 10:00 in Moscow
MONDAYS = Recurrence(
    "Europe/Moscow", datetime(2026, 11, 23, 10), timedelta(minutes=90), "FREQ=WEEKLY", date(2026, 12, 21)
)  # fmt: skip
WEEKLY: Mapping[str, Any] = {
    **LECTURE, "date": "2026-11-23", "start": "10:00", "end": "11:30", "name": "Optics", "until": "2026-12-21",
}  # fmt: skip


def plan(web: Web, who: str = "ann", **changes: Any) -> int:
    """Add a series of somebody's, as they would request it."""
    web.site.clock = FRIDAY
    spec = SeriesSpec("", "", "Optics", MONDAYS, room="504", owners=(f"{who}@example.org",))
    by = users.user_of_key(web.site.engine, web.keys[who], web.site.clock)
    spec = SeriesSpec(**{**spec.__dict__, **changes})
    return store.add_series(web.site.engine, spec, web.site.clock, by)

"""How a record stands: what is said of it, what can be done, and when it is worth looking again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from merger.web.display.record_state import state_of

pytestmark = pytest.mark.quick

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def at(minutes: float) -> str:
    return (NOW + timedelta(minutes=minutes)).isoformat()


def record(status: str, **changes: Any) -> dict[str, Any]:
    values = {
        "status": status, "stage": "collect", "progress": 0.0, "error": None, "end": at(-60),
        "run_after": at(-60) if status == "queued" else None, "updated_at": at(0),
        "version": 2, "delivered_version": 1, "overall_progress": 0.3, "ready_at": None,
    }  # fmt: skip
    return {**values, **changes}


ERROR = {"code": "source_away", "message": "the share is away"}


@pytest.mark.parametrize(
    ("told", "key", "every_s", "can"),
    [
        (record("queued"), "queued", 3, ("cancel",)),
        (record("queued", end=at(30), run_after=at(30)), "upcoming", 30, ("cancel",)),
        (record("queued", run_after=at(30)), "waiting", 30, ("cancel",)),
        (record("queued", run_after=at(1), error=ERROR), "again", 30, ("retry", "cancel")),
        (record("running"), "running.collect", 3, ("cancel",)),
        (record("queued", version=1), "put_back", 3, ()),
        (record("queued", version=1, run_after=at(1), error=ERROR), "put_back", 30, ("retry",)),
        (record("delivered"), "delivered", 0, ()),
        (record("delivered", error=ERROR), "kept", 0, ("retry",)),
        (record("failed", error=ERROR), "failed", 0, ("retry",)),
        (record("cancelled"), "cancelled", 0, ("retry",)),
    ],
)
def test_what_is_said_and_what_can_be_done(
    told: dict[str, Any], key: str, every_s: int, can: tuple[str, ...]
) -> None:
    state = state_of(told, NOW)
    assert (state.key, state.every_s, state.can) == (key, every_s, can)
    assert (state.progress is None) == (told["status"] != "running")


def test_only_its_owner_is_offered_to_stop_a_record() -> None:
    waiting = record("queued", run_after=at(1), error=ERROR)
    assert state_of(waiting, NOW, is_owner=False).can == ("retry",)
    assert state_of(record("running"), NOW, is_owner=False).can == ()


def test_how_long_it_takes_is_what_is_left_until_it_is_ready() -> None:
    assert state_of(record("running", ready_at=at(3)), NOW).left == timedelta(minutes=3)
    assert (
        state_of(record("running", ready_at=at(-1)), NOW).left is None
    )  # it should be over by now
    assert state_of(record("running"), NOW).left is None


def test_progress_is_that_of_the_whole() -> None:
    assert state_of(record("running", progress=0.9, overall_progress=0.2), NOW).progress == 0.2

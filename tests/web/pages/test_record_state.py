"""How a record stands: what is said of it, what can be done, and when it is worth looking again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from merger.web.pages.record_state import state_of

pytestmark = pytest.mark.quick

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def at(minutes: float) -> str:
    return (NOW + timedelta(minutes=minutes)).isoformat()


def record(status: str, **changes: Any) -> dict[str, Any]:
    values = {
        "status": status, "stage": "collect", "progress": 0.0, "error": None, "end": at(-60),
        "run_after": at(-60) if status == "queued" else None, "updated_at": at(0),
        "version": 2, "delivered_version": 1,
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


def left(
    progress: float, claimed: float, told: float = 0, stage: str = "encode"
) -> timedelta | None:
    """Return what is estimated for a record that was claimed, and told of, some minutes ago."""
    running = record("running", stage=stage, progress=progress, updated_at=at(-told))
    events = [
        {"kind": "claimed", "at": at(-100)},  # an earlier try
        {"kind": "claimed", "at": at(-claimed)},
        {"kind": "cancel", "at": at(-1)},
    ]
    return state_of(running, NOW, events).left


def test_how_long_it_takes_is_estimated_from_the_time_since_the_claim() -> None:
    assert left(0.25, claimed=1) == timedelta(minutes=3)
    assert left(0.5, claimed=10, told=2) == timedelta(minutes=6)  # two of eight are over


def test_nothing_is_estimated_from_too_little() -> None:
    assert left(0.02, claimed=10) is None
    assert left(0.5, claimed=0.05) is None
    assert left(1.0, claimed=10) is None
    assert left(0.5, claimed=10, stage="analyse") is None
    assert left(0.05, claimed=60) is None  # nineteen hours: something is wrong
    assert left(0.5, claimed=3, told=2) is None  # it should be over by now
    assert state_of(record("running", stage="encode", progress=0.5), NOW).left is None

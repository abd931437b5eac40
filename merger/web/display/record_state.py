"""The state of a record as a page shows it: its text, its progress, what can be done. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from models import ENDED

OF_OWNER = ("cancel",)  # actions of the owner alone
# Seconds until a page refreshes a record: one in progress, and one that waits for its time.
_MOVING_S, _WAITING_S = 3, 30


@dataclass(frozen=True)
class State:
    """How a record stands.

    key, values: of its text.
    progress: of the version that is made, 0..1.
    left: how long encoding still takes.
    every_s: seconds until it is worth looking again; 0 when it has ended.
    can: the actions that are possible.
    """

    key: str
    values: Mapping[str, Any] = field(default_factory=dict)
    progress: float | None = None
    left: timedelta | None = None
    every_s: int = 0
    can: tuple[str, ...] = ()


def state_of(
    record: Mapping[str, Any],
    now: datetime,
    *,
    is_owner: bool = True,
) -> State:
    """Return how a record stands, for its owner or for another of its users.

    Args:
        record: its document.
        now: the time.
        is_owner: whether the owner's actions are possible, too.
    """
    state = _state(record, now)
    if is_owner:
        return state
    return replace(state, can=tuple(action for action in state.can if action not in OF_OWNER))


def _state(record: Mapping[str, Any], now: datetime) -> State:
    status, stage = record["status"], record["stage"]
    if status not in ENDED and record["version"] == record["delivered_version"]:
        return _restoring_state(record, now)
    if status == "running":
        progress, left = record["overall_progress"], _time_left(record, now)
        return State(f"running.{stage}", {}, progress, left, _MOVING_S, ("cancel",))
    if status == "queued":
        return _queued_state(record, now)
    failed = bool(record["error"])
    can = ("retry",) if status != "delivered" or failed else ()
    if status == "delivered" and failed:
        return State("not_updated" if record.get("is_outdated") else "kept", can=can)
    return State(status, can=can)


def _restoring_state(record: Mapping[str, Any], now: datetime) -> State:
    """Return how it stands while the delivered version is restored, or gets its latest texts."""
    waits = record["status"] == "queued" and _at(record["run_after"]) > now
    every_s = _WAITING_S if waits else _MOVING_S
    key = "updating" if record.get("is_outdated") else "put_back"
    return State(key, every_s=every_s, can=("retry",) if waits else ())


def _queued_state(record: Mapping[str, Any], now: datetime) -> State:
    at = _at(record["run_after"])
    every_s = _MOVING_S if at <= now else _WAITING_S
    if record["error"]:
        return State("again", {"at": at}, every_s=every_s, can=("retry", "cancel"))
    if now < _at(record["end"]):
        return State("upcoming", every_s=every_s, can=("cancel",))
    if at > now:
        return State("waiting", {"at": at}, every_s=every_s, can=("cancel",))
    return State("queued", every_s=every_s, can=("cancel",))


def _time_left(record: Mapping[str, Any], now: datetime) -> timedelta | None:
    """Return how long it still takes; None where nobody knows, or it should be over by now."""
    ready_at = record["ready_at"]
    left = _at(ready_at) - now if ready_at else timedelta(0)
    return left if left > timedelta(0) else None


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)

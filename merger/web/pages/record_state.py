"""The state of a record as a page shows it: its text, its progress, what can be done. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from models import ENDED, STAGES

OF_OWNER = ("cancel",)  # actions of the owner alone
# Seconds until a page refreshes a record: one in progress, and one that waits for its time.
_MOVING_S, _WAITING_S = 3, 30
# Below these, an estimate is no better than a guess.
_ESTIMATED_FROM = 0.05
_ESTIMATED_AFTER = timedelta(seconds=5)
_LONGEST_ESTIMATE = timedelta(hours=12)


@dataclass(frozen=True)
class State:
    """How a record stands.

    key, values: of its text.
    progress: of the stage, 0..1.
    step: the number of the stage, from 1.
    left: how long encoding still takes.
    every_s: seconds until it is worth looking again; 0 when it has ended.
    can: the actions that are possible.
    """

    key: str
    values: Mapping[str, Any] = field(default_factory=dict)
    progress: float | None = None
    step: int = 0
    left: timedelta | None = None
    every_s: int = 0
    can: tuple[str, ...] = ()


def state_of(
    record: Mapping[str, Any],
    now: datetime,
    events: Sequence[Mapping[str, Any]] = (),
    *,
    is_owner: bool = True,
) -> State:
    """Return how a record stands, for its owner or for another of its users.

    Args:
        record: its document.
        now: the time.
        events: its history, to estimate how long it still takes.
        is_owner: whether the owner's actions are possible, too.
    """
    state = _state(record, now, events)
    if is_owner:
        return state
    return replace(state, can=tuple(action for action in state.can if action not in OF_OWNER))


def _state(record: Mapping[str, Any], now: datetime, events: Sequence[Mapping[str, Any]]) -> State:
    status, stage = record["status"], record["stage"]
    if status not in ENDED and record["version"] == record["delivered_version"]:
        return _restoring_state(record, now)
    if status == "running":
        return State(
            f"running.{stage}", {}, record["progress"], STAGES.index(stage) + 1,
            _time_left(record, now, events), _MOVING_S, ("cancel",),
        )  # fmt: skip
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


def _time_left(
    record: Mapping[str, Any], now: datetime, events: Sequence[Mapping[str, Any]]
) -> timedelta | None:
    """Return how long encoding still takes, at the pace since the record was claimed.

    That includes the stages before, so it is rather too long than too short; they, and what
    follows, are short compared with encoding.
    """
    claims = [_at(e["at"]) for e in events if e["kind"] == "claimed"]
    done = record["progress"]
    if record["stage"] != "encode" or not claims or not _ESTIMATED_FROM <= done < 1:
        return None
    updated_at = _at(record["updated_at"])
    spent = updated_at - claims[-1]
    if spent < _ESTIMATED_AFTER:
        return None
    left = spent * ((1 - done) / done) - (now - updated_at)
    return left if timedelta(0) < left < _LONGEST_ESTIMATE else None


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)

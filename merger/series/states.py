"""How lectures and series stand: in a word, and in the numbers that other planners use. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, get_args

State = Literal["planned", "recording", "processing", "ready", "failed", "missed", "off"]
STATES: tuple[State, ...] = get_args(State)
# 200: it is planned; 201: it waits, or is being made; 220: it is done; 900: it is off. What has
# failed waits for somebody to try it again.
CODES: Mapping[str, int] = {
    "planned": 200, "recording": 201, "processing": 201, "ready": 220, "failed": 201,
    "missed": 220, "off": 900,
}  # fmt: skip
CODES_OF_SERIES: Mapping[str, int] = {"active": 200, "over": 220, "disabled": 900}
_OF_RECORD: Mapping[str, State] = {
    "running": "processing", "delivered": "ready", "failed": "failed", "cancelled": "off"
}  # fmt: skip


def state_of(occurrence: Mapping[str, Any], now: datetime) -> State:
    """Return how a lecture stands.

    Args:
        occurrence: its document. One that nobody has recorded is missed once it is over.
    """
    start, end = (datetime.fromisoformat(occurrence[name]) for name in ("start", "end"))
    status = occurrence["status"]
    if occurrence["is_off"]:
        return "off"
    if status in _OF_RECORD:
        return _OF_RECORD[status]
    if now < start:
        return "planned"
    if status is None:
        return "missed" if now >= end else "planned"
    return "recording" if now < end else "processing"

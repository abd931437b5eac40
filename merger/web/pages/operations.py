"""The operator's page: how the service is, in words; its numbers are those of `/metrics`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import render_template

from merger.errors import Forbidden
from merger.monitoring import overview, space
from merger.monitoring.overview import Running
from merger.storage.disk_space import Disk
from merger.web.auth import require_principal, service
from merger.web.display.record_state import State, state_of
from merger.web.language import t
from merger.web.operations import DISKS
from merger.web.pages.base import Answer, blueprint

REFRESH_S = 10
_WAITING, _LOST = ("pending", "sending"), ("failed", "unknown")


@dataclass(frozen=True)
class RunningWithState:
    """A record at work, and how far it is."""

    running: Running
    state: State


@blueprint.get("/operations")
def operations_page() -> Answer:
    """Show how the service is."""
    return render_template("operations.html", **_values())


@blueprint.get("/operations/state")
def operations_state() -> Answer:
    """Show the same without the page around it, to refresh an open one."""
    return render_template("operations_state.html", **_values())


def _values() -> dict[str, Any]:
    if not require_principal("read").sees_all:
        raise Forbidden("forbidden", "web.operations_forbidden")
    now = service().now()
    seen = overview.read_overview(service(), DISKS, now)
    return {
        "seen": seen,
        "running": [_with_state(one, now) for one in seen.running],
        "disks": {n: d if isinstance(d, Disk) else None for n, d in seen.readings.disks.items()},
        "posts": [_outbox(seen, channel) for channel in seen.channels],
        "age": lambda at: age(now - at),
        "seconds": lambda count: age(timedelta(seconds=count)),
        "times": lambda speed: f"{speed:.1f}".replace(".", t("size.point")),
        "days": space.shown_days,
        "is_plenty": space.is_plenty,
        "refresh_s": REFRESH_S,
    }


def _with_state(one: Running, now: datetime) -> RunningWithState:
    return RunningWithState(one, state_of(one.record, now))


def _outbox(seen: overview.Overview, channel: str) -> dict[str, Any]:
    """Return how many notifications of a channel wait, and how many were not sent."""
    counts = seen.readings.vitals.messages
    return {
        "channel": channel,
        "waiting": sum(counts.get((channel, status), 0) for status in _WAITING),
        "lost": sum(counts.get((channel, status), 0) for status in _LOST),
    }


def age(passed: timedelta) -> str:
    """Return a length of time, roughly."""
    seconds = max(0, round(passed.total_seconds()))
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return t(f"operations.age.{unit}", count=seconds // length)
    return t("operations.age.seconds", count=seconds)

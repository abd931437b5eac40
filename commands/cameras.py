"""Whether cameras send anything now, for `check`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from merger.db.connection_rules import rules_of
from merger.errors import MergerError
from merger.i18n import Message
from merger.live import bookings, source_status
from merger.monitoring.findings import Finding
from recorders.rtsp.address import address_of
from recorders.supervisor import looking

if TYPE_CHECKING:
    from merger.config import Settings
    from merger.network.addresses import Rules


def look_at_cameras(settings: Settings, engine: Engine, now: datetime) -> Iterator[Finding]:
    """Look for a picture from each camera that is not being recorded; those that are, say it."""
    rules = rules_of(settings, engine, "cameras")
    flows = source_status.list_flows(settings, now)
    cameras = bookings.cameras(engine, "rtsp")
    recorded = [c for c in cameras if c.id in flows and flows[c.id].how == "coming"]
    others = [c for c in cameras if c not in recorded and _is_valid(c, rules)]
    count = len(recorded)
    for seen in looking.look_at_cameras(others, rules):
        if seen.why is None:
            count += 1
            continue
        source = seen.camera.source
        silent = Message(
            "monitoring.camera_silent", source=source.name, room=source.room, why=seen.why
        )
        yield Finding("cameras", "broken" if seen.is_lasting else "warning", silent)
    if count:
        yield Finding("cameras", "ok", Message("monitoring.cameras", count=count))


def _is_valid(camera: bookings.Camera, rules: Rules) -> bool:
    try:
        address_of(camera.source, rules)
    except MergerError:
        return False  # its room says so
    return True

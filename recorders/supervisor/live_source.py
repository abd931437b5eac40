"""A live source with what it has here: a folder, its lock, and the process that records it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from merger.network.addresses import Rules
from recorders.rtsp.wire import Job
from recorders.supervisor.processes import Child
from recorders.supervisor.schedule import Purpose
from recorders.supervisor.states import SourceState


@dataclass
class LiveSource:
    """One source. number: its own in the tables. has_sign: that others see."""

    number: int
    state: SourceState
    folder: Path
    lock: FileLock
    child: Child | None = None
    has_sign: bool = False

    @property
    def name(self) -> str:
        source = self.state.assignment.camera.source
        return f"source {source.name!r} of room {source.room!r}"

    def start(self, purpose: Purpose, *, grid_s: int, rules: Rules) -> None:
        """Start a process that records the source, or looks at it. Raises Temporary."""
        assignment = self.state.assignment
        source = assignment.camera.source
        job = Job(
            url=assignment.address.url,
            credentials=source.credentials,
            room=source.room,
            source=source.name,
            zone=source.zone.key,
            folder=str(self.folder),
            grid_s=grid_s,
            allowed=", ".join(map(str, rules.networks_for(assignment.address.host))),
            look=purpose == "look",
        )
        self.child = Child(job)

"""What the stages of the work on a record share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from merger import logs
from merger.failpoints import failpoint
from merger.records.processing.jobs import Job
from merger.records.processing.leases import Lease
from merger.service import Service
from merger.worker.task import Task


@dataclass
class Work:
    """A record that is being worked on; its task is as the row was when the stage began."""

    service: Service
    lease: Lease
    task: Task
    stage: str | None = None
    repairs: Path | None = None  # a folder for copies of files whose clock jumps

    def enter(self, stage: str) -> None:
        """Write down that a stage begins, and load the record for it."""
        self.load(self.lease.enter_stage(stage))
        self.stage = stage
        logs.set_context(stage=stage)
        failpoint(f"{stage}.entered")

    def load(self, job: Job) -> None:
        """Go on with the record as its row is now."""
        self.task = replace(self.task, job=job)

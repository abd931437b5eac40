"""What a worker may write to the record that it holds, and how it waits for the database.

Every write carries the fence: it is made in a transaction that has locked the row while it still
has the attempt of the claim and says `running`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from merger.db.engine import LostRace, is_unreachable, reading, writing
from merger.errors import Cancelled, MergerError
from merger.i18n import Message
from merger.records import versions
from merger.records.processing.jobs import Job, job_from_row
from merger.records.processing.queue import (
    CANCELLED,
    Claim,
    add_history,
    end_without_result,
    release,
)
from merger.records.rules.progress import furthest_share
from merger.records.rules.retry import waits_for_room
from models import STAGES, Event, Record

T = TypeVar("T")
log = logging.getLogger(__name__)

_TRY_AGAIN_S = 1.0
# Each is several tries of a transaction already: what loses them all is no race.
_MOST_RACES = 10


class LeaseLost(Exception):
    """The record is no longer this worker's: it must not write anything more."""


@dataclass
class Lease:
    """A claimed record in the hands of its worker.

    The work and the heartbeat beside it share it: the one asks whether to go on, the other notes
    what it hears of the row.

    Attributes:
        stopping: whether this process was asked to stop.
        is_patient: whether a database that is away is waited for, until the record is lost or the
            process is to stop.
        stage: that is gone through now; None before the first.
        progress: of that stage, 0..1.
        last_sign_s: when the work was heard of last, by the monotonic clock.
    """

    engine: Engine
    claim: Claim
    now: Callable[[], datetime]
    stopping: Callable[[], bool] = lambda: False
    is_patient: bool = False
    is_lost: bool = False
    is_cancelled: bool = False
    stage: str | None = None
    progress: float = 0.0
    last_sign_s: float = field(default_factory=time.monotonic)

    @property
    def record(self) -> int:
        return self.claim.record

    @property
    def attempt(self) -> int:
        return self.claim.attempt

    # --- whether to go on -------------------------------------------------------------------------

    @property
    def must_end(self) -> bool:
        """Whether the work is to end now, for whatever reason."""
        return self.is_lost or self.is_cancelled or self.stopping()

    def should_stop(self) -> bool:
        """Return whether the work is to end now.

        Work that asks is alive: that which does not ask for long is taken to hang.
        """
        self.last_sign_s = time.monotonic()
        return self.must_end

    def check(self) -> None:
        """Raise LeaseLost or Cancelled where the work is to end now."""
        self.check_held()
        if self.should_stop():
            raise Cancelled("cancelled", "records.asked_to_stop")

    def check_held(self) -> None:
        """Raise LeaseLost where the record was taken away."""
        if self.is_lost:
            raise LeaseLost(f"record {self.record} was taken away")

    def confirm(self) -> None:
        """Ask the database, before a file gets a name; raise where the work is to end."""
        self.retry_while_unreachable(self.read_cancellation)
        self.check()

    # --- the heartbeat ----------------------------------------------------------------------------

    def renew(
        self, length: timedelta, progress: float | None = None, stage: str | None = None
    ) -> None:
        """Prolong the lease, and hear whether somebody cancelled the record. Raises LeaseLost.

        Args:
            length: of the lease from now on.
            progress: how far a stage is; None writes nothing of it.
            stage: which one; None for that of the row.
        """
        now = self.now()

        def prolong(session: Session, row: Record) -> bool:
            row.lease_until = now + length
            if progress is not None:
                now_at = (stage or row.stage, progress)
                row.progress = furthest_share((row.stage, row.progress), now_at)
                row.updated_at = now
            return row.cancel_requested_at is not None

        self.is_cancelled |= self._write_once(prolong)

    def read_cancellation(self) -> None:
        """Hear whether somebody cancelled the record, without a write. Raises LeaseLost."""
        with reading(self.engine) as session:
            row = session.execute(
                select(Record.attempt, Record.status, Record.cancel_requested_at).where(
                    Record.id == self.record
                )
            ).one_or_none()
        if row is None or row[0] != self.attempt or row[1] != "running":
            raise self._lease_lost()
        self.is_cancelled |= row[2] is not None

    # --- the database -----------------------------------------------------------------------------

    def retry_while_unreachable(self, act: Callable[[], T]) -> T:
        """Use the database, again and again while it is away.

        What was computed meanwhile is worth more than the time: it is tried for as long as the
        process may live.

        Raises:
            Cancelled: the work is to end and the database is still away; that is no failure.
        """
        races = 0
        while True:
            try:
                return act()
            except MergerError as error:
                is_race = isinstance(error, LostRace)
                races += is_race
                may_pass = is_unreachable(error) or (is_race and races < _MOST_RACES)
                if not self.is_patient or not may_pass:
                    raise
                if self.is_lost or self.stopping():
                    raise Cancelled("cancelled", error.message) from error
                log.warning("record %s waits: %s", self.record, error.message)
            self.last_sign_s = time.monotonic()  # who waits for the database does not hang
            time.sleep(_TRY_AGAIN_S)

    def read(self, query: Callable[[Session], T]) -> T:
        """Run a query."""

        def once() -> T:
            with reading(self.engine) as session:
                return query(session)

        return self.retry_while_unreachable(once)

    def write(self, act: Callable[[Session, Record], T]) -> T:
        """Run a function in one transaction with the fence. Raises LeaseLost before it writes.

        The function must do nothing but work on the session: it may run more than once.
        """
        return self.retry_while_unreachable(lambda: self._write_once(act))

    def write_last(self, act: Callable[[Session, Record], None], *kinds: str) -> None:
        """Run a function that ends the lease. Raises LeaseLost.

        Args:
            kinds: of the lines of the history one of which it adds, and by which it is recognised
                where its transaction happened and the answer got lost on its way.
        """

        def once() -> None:
            try:
                self._write_once(act)
            except LeaseLost:
                if not self._has_ended(kinds):
                    raise

        self.retry_while_unreachable(once)

    def _write_once(self, act: Callable[[Session, Record], T]) -> T:
        return writing(self.engine, lambda session: act(session, self._lock_row(session)))

    def _lock_row(self, session: Session) -> Record:
        row = session.scalars(
            select(Record)
            .where(
                Record.id == self.record,
                Record.attempt == self.attempt,
                Record.status == "running",
            )
            .with_for_update()
        ).one_or_none()
        if row is None:
            raise self._lease_lost()
        return row

    def _has_ended(self, kinds: tuple[str, ...]) -> bool:
        with reading(self.engine) as session:
            count = session.scalar(
                select(func.count()).where(
                    Event.record_id == self.record,
                    Event.attempt == self.attempt,
                    Event.kind.in_(kinds),
                )
            )
        return bool(count)

    def _lease_lost(self) -> LeaseLost:
        return LeaseLost(f"record {self.record} is no longer attempt {self.attempt}'s")

    # --- what becomes of the record ---------------------------------------------------------------

    def load_job(self) -> Job:
        """Return what is to be done for the record."""
        return self.read(
            lambda session: job_from_row(session, session.get_one(Record, self.record))
        )

    def enter_stage(self, stage: str) -> Job:
        """Write down that a stage begins, and return the record as it is then.

        A later attempt resumes there. A stage that is gone through again on the way there is not
        written down, so that what failed before has failed in a row.
        """

        def begin(session: Session, row: Record) -> Job:
            if STAGES.index(stage) > STAGES.index(row.stage):
                row.stage, row.progress, row.tries, row.updated_at = stage, 0.0, 0, self.now()
            return job_from_row(session, row)

        self.progress = 0.0
        job = self.write(begin)
        self.stage = stage  # after the progress, which the heartbeat reads after the stage
        return job

    def hand_back(self, why: Message) -> None:
        """Give the record back untouched, for anybody to take up at once."""
        self._release("queued", "handed_back", why, run_after=self.now())

    def wait_for_media(self, until: datetime, why: Message) -> None:
        """Put the record back until its media can be there; that is no failure, and ends a row."""
        self._release(
            "queued", "waiting", why, run_after=until, stage="collect", tries=0,
            error_code=None, error_message=None,
        )  # fmt: skip

    def defer(self, at: datetime, error: MergerError) -> None:
        """Put the record back after a failure that may pass; to wait for room is no try."""
        self._release(
            "queued", "put_off", error.message, run_after=at, error_code=error.code,
            error_message=error.message, is_failure=not waits_for_room(error),
        )  # fmt: skip

    def fail(self, error: MergerError, watched_until: datetime | None = None) -> None:
        """End the record: somebody has to act. A version that was delivered stays delivered.

        Args:
            watched_until: until when media that comes late takes the record up again.
        """
        watched = {} if watched_until is None else {"watched_until": watched_until}
        self._release(
            "failed", "failed", error.message,
            error_code=error.code, error_message=error.message, is_failure=True, **watched,
        )  # fmt: skip

    def cancel(self) -> None:
        """End the record because somebody asked for it."""
        self._release("cancelled", "cancelled", CANCELLED)

    def _release(
        self,
        status: str,
        kind: str,
        message: Message,
        *,
        is_failure: bool = False,
        **values: Any,
    ) -> None:
        def end(session: Session, row: Record) -> None:
            now = self.now()
            # The reason why there is no new version stays while what people have is put back.
            keeps_reason = status == "queued" and versions.is_put_back(row)
            for name, value in values.items():
                if not (keeps_reason and name in ("error_code", "error_message")):
                    setattr(row, name, value)
            row.tries += is_failure
            row.lost = 0
            add_history(session, row.id, self.attempt, now, kind, message)
            ended = status
            if status == "queued" and row.cancel_requested_at is not None:
                ended = "cancelled"
                add_history(session, row.id, self.attempt, now, ended, CANCELLED)
            if ended in ("failed", "cancelled"):
                end_without_result(session, row, ended, now)
            else:
                release(row, ended, now)

        self.write_last(end, kind)

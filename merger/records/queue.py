"""The queue: who works on which record. Claims, leases, fences; every change of `status`.

A record is claimed by one conditional UPDATE. `attempt`, which every claim raises, is the fence: a
worker writes only while the row still holds its attempt and says `running`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Engine,
    Select,
    and_,
    case,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from merger.db.engine import LostRace, reading, writing
from merger.errors import MergerError
from merger.i18n import Message
from merger.records import outbox, versions
from merger.records.retry import MOST_DIED, MOST_LOST, delay, waits_for_room
from models import STAGES, Event, Record, RecordUser

T = TypeVar("T")

# A room, or a user, that was served lately lets others go first.
_LATELY = timedelta(hours=1)
_CANDIDATES = 16
_ROUNDS = 20  # of candidates that others were quicker to take
_LONGEST_LEASE = timedelta(hours=2)  # and more than clocks that disagree are apart
# A mark beside what was collected for a record: `outcomes.keep_segments` says what it means.
ASKED_AGAIN = "asked_again"
_CANCELLED = Message("history.cancelled_at_work")


class LeaseLost(Exception):
    """The record is no longer this worker's: it must not write anything more."""


@dataclass(frozen=True)
class Claim:
    """A record that a worker may work on, as long as nobody takes it away."""

    record: int
    attempt: int
    worker: str


@dataclass(frozen=True)
class Cancellation:
    """What the row says to its worker."""

    cancelled: bool


def claim_next(engine: Engine, worker: str, now: datetime, lease: timedelta) -> Claim | None:
    """Take the next record that is due, or None where none is.

    The room and the owner that were served least in the last hour go first; then due time, then id.
    """
    for _ in range(_ROUNDS):
        with reading(engine) as session:
            candidates = session.execute(_next_due(now)).all()
        for record, attempt in candidates:
            held = Claim(record, attempt + 1, worker)
            try:
                if writing(engine, partial(_take, held=held, now=now, lease=lease)):
                    return held
            except LostRace:
                continue
        if len(candidates) < _CANDIDATES:
            break
    return None


def _next_due(now: datetime) -> Select[int, int]:
    owns = and_(RecordUser.record_id == Record.id, RecordUser.position == 0)
    served = (
        select(Record.room_id.label("room"), RecordUser.user_id.label("owner"))
        .outerjoin(RecordUser, owns)
        .where(Record.claimed_at > now - _LATELY)
        .cte("served")  # as a subquery, the whole history would be read for it
    )
    by_room, by_owner = (
        select(of, func.count().label("times")).group_by(of).subquery()
        for of in (served.c.room, served.c.owner)
    )
    of_room = func.coalesce(by_room.c.times, 0)
    of_owner = func.coalesce(by_owner.c.times, 0)
    return (
        select(Record.id, Record.attempt)
        .outerjoin(by_room, by_room.c.room == Record.room_id)
        .outerjoin(RecordUser, owns)
        .outerjoin(by_owner, by_owner.c.owner == RecordUser.user_id)
        .where(Record.status == "queued", Record.run_after <= now)
        .order_by(case((of_room > of_owner, of_room), else_=of_owner), Record.run_after, Record.id)
        .limit(_CANDIDATES)
    )


def _take(session: Session, held: Claim, now: datetime, lease: timedelta) -> bool:
    taken = _changed(
        session,
        update(Record)
        .where(
            Record.id == held.record,
            Record.attempt == held.attempt - 1,
            Record.status == "queued",
            Record.run_after <= now,
        )
        .values(
            status="running",
            attempt=held.attempt,
            claimed_by=held.worker,
            claimed_at=now,
            lease_until=now + lease,
            updated_at=now,
        ),
    )
    if taken:
        add_history(
            session,
            held.record,
            held.attempt,
            now,
            "claimed",
            Message("history.claimed", worker=held.worker),
        )
    return taken


def renew(
    engine: Engine, held: Claim, now: datetime, lease: timedelta, progress: float | None = None
) -> Cancellation:
    """Prolong a lease, and return what the row says. Raises LeaseLost."""
    values: dict[str, Any] = {"lease_until": now + lease}
    if progress is not None:
        values |= {"progress": progress, "updated_at": now}

    def prolong(session: Session) -> Cancellation:
        row = _mine(session, held)
        for name, value in values.items():
            setattr(row, name, value)
        return Cancellation(row.cancel_requested_at is not None)

    return writing(engine, prolong)


def read_cancellation(engine: Engine, held: Claim) -> Cancellation:
    """Return what the row says, without writing. Raises LeaseLost."""
    with reading(engine) as session:
        row = session.execute(
            select(Record.attempt, Record.status, Record.cancel_requested_at).where(
                Record.id == held.record
            )
        ).one_or_none()
    if row is None or row[0] != held.attempt or row[1] != "running":
        raise LeaseLost(f"record {held.record} is no longer attempt {held.attempt}'s")
    return Cancellation(row[2] is not None)


def with_fence(engine: Engine, held: Claim, act: Callable[[Session, Record], T]) -> T:
    """Run a function in one transaction with the fence. Raises LeaseLost before it writes."""
    return writing(engine, lambda session: act(session, _mine(session, held)))


def _mine(session: Session, held: Claim) -> Record:
    """Return the row of a claim, locked until the transaction ends."""
    row = session.scalars(
        select(Record)
        .where(Record.id == held.record, Record.attempt == held.attempt, Record.status == "running")
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise LeaseLost(f"record {held.record} is no longer attempt {held.attempt}'s")
    return row


def enter_stage(engine: Engine, held: Claim, stage: str, now: datetime) -> None:
    """Write down that a stage begins: a later try resumes there.

    A stage that is gone through again on the way there is not written down, so that what failed
    before has failed in a row.
    """

    def begin(session: Session, row: Record) -> None:
        if STAGES.index(stage) <= STAGES.index(row.stage):
            return
        row.stage, row.progress, row.tries, row.updated_at = stage, 0.0, 0, now

    with_fence(engine, held, begin)


def hand_back(engine: Engine, held: Claim, now: datetime, why: Message) -> None:
    """Give a record back untouched, for anybody to take up at once."""
    _let_go(engine, held, now, "queued", "handed_back", why, run_after=now)


def wait_for_media(
    engine: Engine, held: Claim, now: datetime, until: datetime, why: Message
) -> None:
    """Put a record back until its media can be there; that is no failure, and ends a row."""
    _let_go(
        engine, held, now, "queued", "waiting", why, run_after=until, stage="collect", tries=0,
        error_code=None, error_message=None,
    )  # fmt: skip


def defer(engine: Engine, held: Claim, now: datetime, at: datetime, error: MergerError) -> None:
    """Put a record back after a failure that may pass; to wait for room on a disk is no try."""
    _let_go(
        engine, held, now, "queued", "put_off", error.message, run_after=at, error_code=error.code,
        error_message=error.message, failed=not waits_for_room(error),
    )  # fmt: skip


def fail(
    engine: Engine,
    held: Claim,
    now: datetime,
    error: MergerError,
    watched_until: datetime | None = None,
) -> None:
    """End a record: somebody has to act. A version that was delivered before stays delivered.

    watched_until: until when media that comes late takes it up again.
    """
    watched = {} if watched_until is None else {"watched_until": watched_until}
    _let_go(
        engine, held, now, "failed", "failed", error.message,
        error_code=error.code, error_message=error.message, failed=True, **watched,
    )  # fmt: skip


def cancel_running(engine: Engine, held: Claim, now: datetime) -> None:
    """End a record because somebody asked for it."""
    _let_go(engine, held, now, "cancelled", "cancelled", _CANCELLED)


def _let_go(
    engine: Engine,
    held: Claim,
    now: datetime,
    status: str,
    kind: str,
    message: Message,
    *,
    failed: bool = False,
    **values: Any,
) -> None:
    def end(session: Session, row: Record) -> None:
        # The reason why there is no new version stays while what people have is put back.
        keeps_reason = status == "queued" and versions.is_put_back(row)
        for name, value in values.items():
            if not (keeps_reason and name in ("error_code", "error_message")):
                setattr(row, name, value)
        row.tries += failed
        row.lost = 0
        add_history(session, row.id, held.attempt, now, kind, message)
        ended = status
        if status == "queued" and row.cancel_requested_at is not None:
            ended = "cancelled"
            add_history(session, row.id, held.attempt, now, ended, _CANCELLED)
        if ended in ("failed", "cancelled"):
            end_without_result(session, row, ended, now)
        else:
            release(row, ended, now)

    try:
        with_fence(engine, held, end)
    except LeaseLost:
        # The answer to the same call may have been lost on its way before.
        if not was_released(engine, held, kind):
            raise


def was_released(engine: Engine, held: Claim, kind: str) -> bool:
    """Return whether a claim ended with an event of a kind."""
    with reading(engine) as session:
        return bool(
            session.scalar(
                select(func.count()).where(
                    Event.record_id == held.record,
                    Event.attempt == held.attempt,
                    Event.kind == kind,
                )
            )
        )


def end_without_result(session: Session, row: Record, status: str, now: datetime) -> None:
    """End what was to be made of a record: it is `failed`, or `cancelled`.

    Where people have an earlier version, the record is that again; the reason why there is no new
    one stays readable beside it.
    """
    if status == "failed" and row.version != row.delivered_version:
        outbox.add_failed(session, row, now)
    if status == "cancelled":  # what failed before has nothing to do with it
        row.error_code = row.error_message = None
    if row.delivered_version is not None:
        status = versions.end_version(session, row, now)
    release(row, status, now)


def requeue(row: Record, run_after: datetime, now: datetime, stage: str = "collect") -> None:
    """Queue a record anew: nothing of it has failed yet."""
    row.stage, row.run_after, row.tries, row.lost = stage, run_after, 0, 0
    row.error_code = row.error_message = None
    release(row, "queued", now)


def release(row: Record, status: str, now: datetime) -> None:
    """Set a status in which nobody works on the record."""
    row.status, row.updated_at = status, now
    row.claimed_by = row.lease_until = None
    if status != "queued":
        row.cancel_requested_at = None


def take_back_lost(engine: Engine, now: datetime, but_for: Collection[Claim] = ()) -> list[int]:
    """Put back what workers hold that gave no sign of life; return which records that were.

    A record that loses its worker again and again ends: it may well be what kills them. but_for:
    claims of workers that are known to live, whose leases ran out while the database was away.
    """
    with reading(engine) as session:
        lost = session.execute(
            select(Record.id, Record.attempt)
            .where(Record.status == "running", _is_over(now))
            .order_by(Record.id)
        ).all()
    living = {(held.record, held.attempt) for held in but_for}
    taken = []
    for record, attempt in lost:
        if (record, attempt) in living:
            continue
        try:
            if writing(engine, partial(_take_back, record=record, attempt=attempt, now=now)):
                taken.append(record)
        except LostRace:  # somebody holds the row: the others do not wait for it
            continue
    return taken


def living_claims(engine: Engine, claims: Collection[Claim], now: datetime) -> set[Claim]:
    """Return which claims hold: nobody took the record away, and the lease is not over."""
    with reading(engine) as session:
        rows = session.execute(
            select(Record.id, Record.attempt).where(
                Record.id.in_([held.record for held in claims]),
                Record.status == "running",
                Record.lease_until >= now,
            )
        )
        held = {(record, attempt) for record, attempt in rows}
    return {claim for claim in claims if (claim.record, claim.attempt) in held}


def has_begun(engine: Engine, held: Claim, lease: timedelta) -> bool:
    """Return whether a worker gave a sign of life: its record is not as it was when it was claimed.

    lease: for how long it was claimed.
    """
    with reading(engine) as session:
        row = session.get(Record, held.record)
        if row is None or row.attempt != held.attempt or row.claimed_at is None:
            return True
        return row.lease_until != row.claimed_at + lease


def take_back_crashed(engine: Engine, held: Claim, now: datetime, how: Message) -> None:
    """Take a record back from a worker that is known to be dead."""
    writing(engine, lambda s: _take_back(s, held.record, held.attempt, now, how, dead=True))


def _is_over(now: datetime) -> ColumnElement[bool]:
    """Return the condition that a lease says nothing any more.

    One that lasts far too long is of a clock that was ahead, and has been put right since.
    """
    return or_(Record.lease_until < now, Record.lease_until > now + _LONGEST_LEASE)


def _take_back(
    session: Session,
    record: int,
    attempt: int,
    now: datetime,
    how: Message | None = None,
    *,
    dead: bool = False,
) -> bool:
    still = [Record.id == record, Record.attempt == attempt, Record.status == "running"]
    if not dead:
        still.append(_is_over(now))
    row = session.scalars(select(Record).where(*still).with_for_update()).one_or_none()
    if row is None:
        return False
    message = how or Message("history.silent_worker", worker=row.claimed_by or "")
    row.lost += 1
    add_history(session, record, attempt, now, "lost", message)
    why = _CANCELLED
    if row.cancel_requested_at is not None:
        ended = "cancelled"
    elif row.lost >= (MOST_DIED if dead else MOST_LOST):
        why = Message("history.worker_died", count=row.lost, why=message)
        ended, row.error_code, row.error_message = "failed", "worker_died", why
    else:
        # At once the first time; then with a pause, so that what ails the machine may pass.
        ended = "queued"
        row.run_after = now + delay(row.lost - 1) if row.lost > 1 else now
    if ended == "queued":
        release(row, ended, now)
    else:
        row.lost = 0
        add_history(session, record, attempt, now, ended, why)
        end_without_result(session, row, ended, now)
    return True


def add_history(
    session: Session, record: int, attempt: int, now: datetime, kind: str, message: Message
) -> None:
    """Add a line to the history of a record."""
    session.add(Event(record_id=record, at=now, attempt=attempt, kind=kind, message=message))


def _changed(session: Session, statement: Any) -> bool:
    result = cast("CursorResult[Any]", session.execute(statement))
    return result.rowcount == 1

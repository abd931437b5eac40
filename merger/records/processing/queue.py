"""The queue: who works on which record, and how it is taken from workers that are gone.

A record is claimed by one conditional UPDATE. `attempt`, which every claim raises, is the fence: a
worker writes only while the row still holds its attempt and says `running` (see `leases`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Engine,
    Select,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from merger.db.engine import LostRace, reading, writing
from merger.i18n import Message
from merger.records import outbox, versions
from merger.records.rules.retry import MOST_DIED, MOST_LOST, delay
from models import Event, Record, RecordUser

# A room, or a user, that was served lately lets others go first.
_LATELY = timedelta(hours=1)
_CANDIDATES = 16
_ROUNDS = 20  # of candidates that others were quicker to take
_LONGEST_LEASE = timedelta(hours=2)  # and more than clocks that disagree are apart
CANCELLED = Message("history.cancelled_at_work")


@dataclass(frozen=True)
class Claim:
    """A record that a worker may work on, as long as nobody takes it away."""

    record: int
    attempt: int
    worker: str


def claim_next(engine: Engine, worker: str, now: datetime, lease: timedelta) -> Claim | None:
    """Take the next record that is due, or None where none is.

    The room and the owner that were served least in the last hour go first; then due time, then id.
    """
    for _ in range(_ROUNDS):
        with reading(engine) as session:
            candidates = session.execute(_next_due(), {"now": now, "lately": now - _LATELY}).all()
        for record, attempt, stage, share in candidates:
            claim = Claim(record, attempt + 1, worker)
            encoded = share if stage == "encode" else 0.0
            take = partial(_take, claim=claim, now=now, lease=lease, encoded=encoded)
            try:
                if writing(engine, take):
                    return claim
            except LostRace:
                continue
        if len(candidates) < _CANDIDATES:
            break
    return None


@cache  # to build it would take as long as to run it
def _next_due() -> Select[int, int, str, float]:
    """Return the query for candidates; its parameters: now, lately."""
    owns = and_(RecordUser.record_id == Record.id, RecordUser.position == 0)
    served = (
        select(Record.room_id.label("room"), RecordUser.user_id.label("owner"))
        .outerjoin(RecordUser, owns)
        .where(Record.claimed_at > bindparam("lately", type_=Record.claimed_at.type))
        .cte("served")  # as a subquery, the whole history would be read for it
    )
    by_room, by_owner = (
        select(of, func.count().label("times")).group_by(of).subquery()
        for of in (served.c.room, served.c.owner)
    )
    of_room = func.coalesce(by_room.c.times, 0)
    of_owner = func.coalesce(by_owner.c.times, 0)
    now = bindparam("now", type_=Record.run_after.type)
    return (
        select(Record.id, Record.attempt, Record.stage, Record.progress)
        .outerjoin(by_room, by_room.c.room == Record.room_id)
        .outerjoin(RecordUser, owns)
        .outerjoin(by_owner, by_owner.c.owner == RecordUser.user_id)
        .where(Record.status == "queued", Record.run_after <= now)
        .order_by(case((of_room > of_owner, of_room), else_=of_owner), Record.run_after, Record.id)
        .limit(_CANDIDATES)
    )


def _take(session: Session, claim: Claim, now: datetime, lease: timedelta, encoded: float) -> bool:
    """Claim a record, unless somebody else was quicker.

    Args:
        encoded: the share of it that attempts before have encoded, for estimates of this one.
    """
    is_ours = _changed_a_row(
        session,
        update(Record)
        .where(
            Record.id == claim.record,
            Record.attempt == claim.attempt - 1,
            Record.status == "queued",
            Record.run_after <= now,
        )
        .values(
            status="running",
            attempt=claim.attempt,
            claimed_by=claim.worker,
            claimed_at=now,
            lease_until=now + lease,
            updated_at=now,
        ),
    )
    if is_ours:
        message = claim_message(claim.worker, encoded)
        add_history(session, claim.record, claim.attempt, now, "claimed", message)
    return is_ours


def claim_message(worker: str, encoded: float) -> Message:
    """Return what the history says of a claim; what its text leaves out is for estimates."""
    values: dict[str, str | float] = {"worker": worker}
    if encoded:
        values["encoded"] = encoded
    return Message("history.claimed", **values)


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


def requeue(
    row: Record,
    run_after: datetime,
    now: datetime,
    stage: str = "collect",
    reached: float = 0.0,
) -> None:
    """Queue a record anew: nothing of it has failed yet.

    Args:
        reached: how far the whole was before, where the same is tried again.
    """
    row.stage, row.run_after, row.tries, row.lost = stage, run_after, 0, 0
    row.progress, row.reached = 0.0, reached
    row.error_code = row.error_message = None
    release(row, "queued", now)


def queue_update(row: Record, now: datetime) -> None:
    """Have a delivered record show its latest name and texts wherever it is; nothing is made."""
    row.is_outdated, row.stage, row.run_after, row.tries, row.lost = True, "deliver", now, 0, 0
    release(row, "queued", now)


def release(row: Record, status: str, now: datetime) -> None:
    """Set a status in which nobody works on the record."""
    row.status, row.updated_at = status, now
    row.claimed_by = row.lease_until = None
    if status != "queued":
        row.cancel_requested_at = None


def take_back_lost(engine: Engine, now: datetime, but_for: Collection[Claim] = ()) -> list[int]:
    """Put back what workers hold that gave no sign of life; return which records that were.

    A record that loses its worker again and again ends: it may well be what kills them.

    Args:
        but_for: claims of workers that are known to live, whose leases ran out while the database
            was away.
    """
    with reading(engine) as session:
        lost = session.execute(
            select(Record.id, Record.attempt)
            .where(Record.status == "running", _is_over(now))
            .order_by(Record.id)
        ).all()
    living = {(claim.record, claim.attempt) for claim in but_for}
    taken_back = []
    for record, attempt in lost:
        if (record, attempt) in living:
            continue
        try:
            if writing(engine, partial(_take_back, record=record, attempt=attempt, now=now)):
                taken_back.append(record)
        except LostRace:  # somebody holds the row: the others do not wait for it
            continue
    return taken_back


def living_claims(engine: Engine, claims: Collection[Claim], now: datetime) -> set[Claim]:
    """Return which claims hold: nobody took the record away, and the lease is not over."""
    with reading(engine) as session:
        rows = session.execute(
            select(Record.id, Record.attempt).where(
                Record.id.in_([claim.record for claim in claims]),
                Record.status == "running",
                Record.lease_until >= now,
            )
        )
        living = {(record, attempt) for record, attempt in rows}
    return {claim for claim in claims if (claim.record, claim.attempt) in living}


def has_begun(engine: Engine, claim: Claim, lease: timedelta) -> bool:
    """Return whether a worker gave a sign of life: its record is not as it was when it was claimed.

    Args:
        lease: for how long the record was claimed.
    """
    with reading(engine) as session:
        row = session.get(Record, claim.record)
        if row is None or row.attempt != claim.attempt or row.claimed_at is None:
            return True
        return row.lease_until != row.claimed_at + lease


def take_back_crashed(engine: Engine, claim: Claim, now: datetime, how: Message) -> None:
    """Take a record back from a worker that is known to be dead."""
    writing(
        engine,
        lambda session: _take_back(session, claim.record, claim.attempt, now, how, is_dead=True),
    )


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
    is_dead: bool = False,
) -> bool:
    still = [Record.id == record, Record.attempt == attempt, Record.status == "running"]
    if not is_dead:
        still.append(_is_over(now))
    row = session.scalars(select(Record).where(*still).with_for_update()).one_or_none()
    if row is None:
        return False
    message = how or Message("history.silent_worker", worker=row.claimed_by or "")
    row.lost += 1
    add_history(session, record, attempt, now, "lost", message)
    why = CANCELLED
    if row.cancel_requested_at is not None:
        ended = "cancelled"
    elif row.lost >= (MOST_DIED if is_dead else MOST_LOST):
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


def _changed_a_row(session: Session, statement: Any) -> bool:
    result = cast("CursorResult[Any]", session.execute(statement))
    return result.rowcount == 1

"""What editors are asked about the screens of rooms, what they answer, and that it is undone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import ColumnElement, Engine, and_, func, select
from sqlalchemy.orm import Session, joinedload

from merger.accounts.permissions import Principal
from merger.db.engine import reading, writing
from merger.errors import Conflict, Invalid, NotFound
from merger.records.stills.learning import PRESENTATION
from merger.timeline.screen.stills import OwnKind
from merger.timeline.zones import zone_named
from models import Record, Still, StillSighting

# What an editor may say that a picture is; the first of them is shown, the others are not.
ANSWERS: tuple[str, ...] = (PRESENTATION, *get_args(OwnKind))
IS_OPEN = (Still.asked_at.is_not(None), Still.answer.is_(None))
MOST = 100  # that are listed: the open ones first
_MOST_TIMES = 5  # at which it was seen last


def count_open(engine: Engine) -> int:
    """Return how many questions wait for an answer."""
    with reading(engine) as session:
        return session.scalars(select(func.count()).select_from(Still).where(*IS_OPEN)).one()


def list_stills(engine: Engine) -> list[dict[str, Any]]:
    """Return what was asked about, as plain values: what is open first, then the newest answers."""
    query = (
        select(Still)
        .where(Still.asked_at.is_not(None))
        .options(joinedload(Still.room), joinedload(Still.answerer))
        .order_by(Still.answer.is_not(None), Still.answered_at.desc(), Still.asked_at, Still.id)
        .limit(MOST)
    )
    with reading(engine) as session:
        return [_document(session, still) for still in session.scalars(query)]


def get_still(engine: Engine, still: int) -> dict[str, Any]:
    """Return one of them. Raises NotFound."""
    with reading(engine) as session:
        return _document(session, _row(session, still))


def picture_of(engine: Engine, still: int) -> bytes:
    """Return the picture (JPEG) of one of them. Raises NotFound."""
    with reading(engine) as session:
        _row(session, still)
        return session.scalars(select(Still.picture).where(Still.id == still)).one()


def answer(engine: Engine, still: int, kind: str | None, by: Principal, now: datetime) -> None:
    """Write down what an editor says that a picture is; None takes the answer back.

    Raises:
        NotFound: nobody was asked about it.
        Invalid: there is no such answer.
        Conflict: somebody else has given another answer meanwhile.
    """
    if kind is not None and kind not in ANSWERS:
        raise Invalid("answer", "stills.no_answer", given=kind, answers=ANSWERS)

    def act(session: Session) -> None:
        row = _row(session, still, lock=True)
        if row.answer == kind:
            return
        if kind is not None and row.answer is not None:
            raise Conflict("answer", "stills.answered", still=still)
        row.answer = kind
        row.answered_by = by.user if kind else None
        row.answered_at = now if kind else None

    writing(engine, act)


def matters_to() -> ColumnElement[bool]:
    """Return the condition that a record was decided otherwise than the answer of today says."""
    today = func.coalesce(Still.answer, PRESENTATION)
    return and_(Record.status == "delivered", StillSighting.decided != today)


def _row(session: Session, still: int, *, lock: bool = False) -> Still:
    query = select(Still).where(Still.id == still, Still.asked_at.is_not(None))
    row = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound("still", "stills.none", still=still)
    return row


def _document(session: Session, row: Still) -> dict[str, Any]:
    rows: Sequence[Any] = session.execute(
        select(
            Record.start_at, Record.zone, StillSighting.seconds, StillSighting.at_start,
            StillSighting.at_end, matters_to().label("matters"),
        )
        .select_from(StillSighting)
        .join(Record, Record.id == StillSighting.record_id)
        .join(Still, Still.id == StillSighting.still_id)
        .where(StillSighting.still_id == row.id)
        .order_by(Record.start_at.desc())
    ).all()  # fmt: skip
    return {
        "id": row.id,
        "room": row.room.name,
        "room_id": row.room_id,
        "zone": row.room.zone,
        "asked_at": row.asked_at and _local(row.asked_at, row.room.zone).isoformat(),
        "answer": row.answer,
        "answered_by": row.answerer.email if row.answerer else None,
        "answered_at": row.answered_at and _local(row.answered_at, row.room.zone).isoformat(),
        "recordings": len(rows),
        "days": len({_local(seen.start_at, seen.zone).date() for seen in rows}),
        "seconds": round(sum(seen.seconds for seen in rows)),
        "at_start": sum(seen.at_start for seen in rows),
        "at_end": sum(seen.at_end for seen in rows),
        "seen_at": [_local(seen.start_at, seen.zone).isoformat() for seen in rows[:_MOST_TIMES]],
        "to_remake": sum(bool(seen.matters) for seen in rows),
    }


def _local(at: datetime, zone: str) -> datetime:
    return at.astimezone(zone_named(zone))

"""Answers that are repeated: the same idempotency key gets what it got at first."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Delete, Engine, delete
from sqlalchemy.orm import Session

from merger.db.engine import writing
from merger.errors import Invalid
from models import Answer

KEPT = timedelta(days=7)
_NONE = 0  # the status of a request that is being acted on, or was when a crash came


def answer_once(
    engine: Engine,
    user: int,
    key: str,
    asked: str,
    now: datetime,
    act: Callable[[], tuple[int, str]],
) -> tuple[int, str]:
    """Return status and body of the first answer to a user's key.

    Args:
        asked: the request, by which a key that is used for another one is recognised.
        act: gives the answer where there is none. It must be something that may be repeated: a
            crash may come before its answer is written down.

    Raises:
        Invalid: the key came with another request before; nothing is done.
    """
    digest = hashlib.sha256(f"{user}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()
    request = hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()

    def reserve(session: Session) -> tuple[int, str] | None:
        row = session.get(Answer, digest)
        if row is None:
            session.add(Answer(digest=digest, asked=request, status=_NONE, body="", created_at=now))
            return None
        if row.asked != request:
            raise Invalid("idempotency_key", "db.key_reused", name=key)
        return _answer_of(row)

    answer = writing(engine, reserve)
    if answer is not None:
        return answer
    try:
        status, body = act()
    except BaseException:
        # What was refused may be corrected under the same key.
        writing(engine, lambda session: session.execute(_delete_unanswered(digest)))
        raise

    def keep(session: Session) -> tuple[int, str]:
        row = session.get(Answer, digest)
        if row is None:  # somebody's same request was refused meanwhile
            row = Answer(digest=digest, asked=request, status=_NONE, body="", created_at=now)
            session.add(row)
        if row.status == _NONE:
            row.status, row.body = status, body
        return row.status, row.body  # of whoever was quicker

    return writing(engine, keep)


def _answer_of(row: Answer) -> tuple[int, str] | None:
    return (row.status, row.body) if row.status != _NONE else None


def _delete_unanswered(digest: str) -> Delete:
    return delete(Answer).where(Answer.digest == digest, Answer.status == _NONE)


def forget_answers(engine: Engine, now: datetime) -> None:
    """Remove answers that are too old to be requested again."""
    old = delete(Answer).where(Answer.created_at < now - KEPT)
    writing(engine, lambda session: session.execute(old))

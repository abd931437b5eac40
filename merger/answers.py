"""Answers that are given again: the same idempotency key gets what it got at first."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Engine, delete
from sqlalchemy.orm import Session

from merger.database import reading, writing
from merger.errors import Refused
from models import Answer

KEPT = timedelta(days=7)


def answered_once(
    engine: Engine,
    user: int,
    key: str,
    asked: str,
    now: datetime,
    act: Callable[[], tuple[int, str]],
) -> tuple[int, str]:
    """Return status and body of the first answer to a user's key; act gives it where there is none.

    act must be one that may be repeated: a crash may come between it and its being written down.
    Raises Refused where the key came with another request before.
    """
    digest = hashlib.sha256(f"{user}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()
    request = hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()
    with reading(engine) as session:
        known = session.get(Answer, digest)
        if known is not None:
            return _again(known, key, request)
    status, body = act()

    def keep(session: Session) -> tuple[int, str]:
        first = session.get(Answer, digest)
        if first is not None:  # of whoever was quicker
            return _again(first, key, request)
        session.add(Answer(digest=digest, asked=request, status=status, body=body, created_at=now))
        return status, body

    return writing(engine, keep)


def _again(known: Answer, key: str, request: str) -> tuple[int, str]:
    if known.asked != request:
        raise Refused("idempotency_key", f"the key {key!r} was used for another request")
    return known.status, known.body


def forget(engine: Engine, now: datetime) -> None:
    """Remove answers that are old enough not to be asked for again."""
    old = delete(Answer).where(Answer.created_at < now - KEPT)
    writing(engine, lambda session: session.execute(old))

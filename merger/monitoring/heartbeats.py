"""Signs of life of daemons, for whoever asks whether one is at work."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine, Select, select
from sqlalchemy.orm import Session

from merger.db.engine import reading, writing
from models import Fact

_NAMED = "daemon:"
_LONGEST = 64 - len(_NAMED)  # of a name, as the table has it
_KEPT = timedelta(days=1)


def write_heartbeat(engine: Engine, name: str, now: datetime) -> None:
    """Write down that a daemon is at work; one that is new forgets those that are no more."""
    key = f"{_NAMED}{name[-_LONGEST:]}"  # its end tells the daemons of a host apart

    def write(session: Session) -> None:
        fact = session.get(Fact, key)
        if fact is not None:
            fact.value = now.isoformat()
            return
        for other in session.scalars(_all()):
            if datetime.fromisoformat(other.value) < now - _KEPT:
                session.delete(other)
        session.add(Fact(name=key, value=now.isoformat()))

    writing(engine, write)


def last_heartbeat(engine: Engine) -> datetime | None:
    """Return when a daemon gave a sign of life for the last time; None where none ever did."""
    with reading(engine) as session:
        given = [datetime.fromisoformat(fact.value) for fact in session.scalars(_all())]
    return max(given, default=None)


def _all() -> Select[Fact]:
    return select(Fact).where(Fact.name.startswith(_NAMED))

"""Signs of life of daemons, from which one can tell whether one is running."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine, Select, select
from sqlalchemy.orm import Session

from merger.db.engine import reading, writing
from models import Fact

_PREFIX = "daemon:"
_LONGEST = 64 - len(_PREFIX)  # of a name: the width of the column
_KEEP = timedelta(days=1)


def write_heartbeat(engine: Engine, name: str, now: datetime) -> None:
    """Store that a daemon is running; a new one removes the heartbeats of those long gone."""
    key = f"{_PREFIX}{name[-_LONGEST:]}"  # its end tells the daemons of a host apart

    def write(session: Session) -> None:
        fact = session.get(Fact, key)
        if fact is not None:
            fact.value = now.isoformat()
            return
        for other in session.scalars(_all()):
            if datetime.fromisoformat(other.value) < now - _KEEP:
                session.delete(other)
        session.add(Fact(name=key, value=now.isoformat()))

    writing(engine, write)


def last_heartbeat(engine: Engine) -> datetime | None:
    """Return when a daemon last gave a sign of life; None where none ever did."""
    with reading(engine) as session:
        instants = [datetime.fromisoformat(fact.value) for fact in session.scalars(_all())]
    return max(instants, default=None)


def _all() -> Select[Fact]:
    return select(Fact).where(Fact.name.startswith(_PREFIX))

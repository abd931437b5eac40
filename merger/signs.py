"""Signs of life of daemons, for whoever asks whether one is at work."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from merger.database import reading, writing
from models import Fact

_NAMED = "daemon:"
_LONGEST = 64 - len(_NAMED)  # of a name, as the table has it


def give(engine: Engine, name: str, now: datetime) -> None:
    """Write down that a daemon is at work."""
    key = f"{_NAMED}{name[-_LONGEST:]}"  # its end tells the daemons of a host apart

    def write(session: Session) -> None:
        fact = session.get(Fact, key)
        if fact is None:
            session.add(Fact(name=key, value=now.isoformat()))
        else:
            fact.value = now.isoformat()

    writing(engine, write)


def last(engine: Engine) -> datetime | None:
    """Return when a daemon gave a sign of life for the last time; None where none ever did."""
    with reading(engine) as session:
        wanted = select(Fact.value).where(Fact.name.startswith(_NAMED))
        return max(map(datetime.fromisoformat, session.scalars(wanted)), default=None)


def forget(engine: Engine, before: datetime) -> None:
    """Forget daemons that gave no sign since an instant, but for the one that gave the last."""

    def remove(session: Session) -> None:
        facts = session.scalars(select(Fact).where(Fact.name.startswith(_NAMED))).all()
        given = [(datetime.fromisoformat(fact.value), fact) for fact in facts]
        newest = max((at for at, _ in given), default=before)
        for at, fact in given:
            if at < min(before, newest):
                session.delete(fact)

    writing(engine, remove)

"""Signs of life of daemons and recorders, from which one can tell whether any is running."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Engine, Select, or_, select
from sqlalchemy.orm import Session

from merger.db.engine import reading, writing
from models import Fact

Kind = Literal["daemon", "recorder"]

_KINDS: tuple[Kind, ...] = ("daemon", "recorder")
_WIDTH = 64  # of the column
_KEEP = timedelta(days=1)


@dataclass(frozen=True)
class Heartbeat:
    """The last sign of life of a process."""

    kind: Kind
    name: str
    at: datetime


def write_heartbeat(engine: Engine, name: str, now: datetime, kind: Kind = "daemon") -> None:
    """Store that a process is running; a new one removes the heartbeats of those long gone."""
    prefix = f"{kind}:"
    key = f"{prefix}{name[len(prefix) - _WIDTH :]}"  # its end tells those of a host apart

    def write(session: Session) -> None:
        fact = session.get(Fact, key)
        if fact is not None:
            fact.value = now.isoformat()
            return
        for other in session.scalars(_facts(kind)):
            if datetime.fromisoformat(other.value) < now - _KEEP:
                session.delete(other)
        session.add(Fact(name=key, value=now.isoformat()))

    writing(engine, write)


def list_heartbeats(engine: Engine) -> list[Heartbeat]:
    """Return the last sign of life of each process, those of daemons first."""
    with reading(engine) as session:
        facts = [(f.name, f.value) for f in session.scalars(_facts(*_KINDS).order_by(Fact.name))]
    return [
        Heartbeat(kind, name.removeprefix(f"{kind}:"), datetime.fromisoformat(value))
        for kind in _KINDS
        for name, value in facts
        if name.startswith(f"{kind}:")
    ]


def last_heartbeat(engine: Engine) -> datetime | None:
    """Return when a daemon last gave a sign of life; None where none ever did."""
    with reading(engine) as session:
        instants = [datetime.fromisoformat(f.value) for f in session.scalars(_facts("daemon"))]
    return max(instants, default=None)


def _facts(*kinds: Kind) -> Select[Fact]:
    return select(Fact).where(or_(*(Fact.name.startswith(f"{kind}:") for kind in kinds)))

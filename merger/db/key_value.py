"""A few facts beside the records, each under a name: whoever writes first is right."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, delete
from sqlalchemy.orm import Session

from merger.db.engine import reading, writing
from models import Fact


@dataclass(frozen=True)
class KeyValueStore:
    """Facts in a database. Names have at most 64 characters."""

    engine: Engine

    def get(self, name: str) -> str | None:
        """Return the value of a name, if it has one."""
        with reading(self.engine) as session:
            row = session.get(Fact, name)
            return row.value if row else None

    def get_or_set(self, name: str, value: str) -> str:
        """Return the value of a name; where it has none, it gets this one."""

        def settle(session: Session) -> str:
            row = session.get(Fact, name)
            if row is None:
                row = Fact(name=name, value=value)
                session.add(row)
                session.flush()  # of two at once, one finds here that it lost, and looks again
            return row.value

        return writing(self.engine, settle)

    def forget(self, name: str, value: str) -> None:
        """Remove the value of a name, unless it has become another one."""
        statement = delete(Fact).where(Fact.name == name, Fact.value == value)
        writing(self.engine, lambda session: session.execute(statement))

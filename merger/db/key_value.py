"""What is to be remembered beside the records, by a name: whoever writes first is right."""

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

    def known(self, name: str) -> str | None:
        """Return what is known under a name."""
        with reading(self.engine) as session:
            row = session.get(Fact, name)
            return row.value if row else None

    def settled(self, name: str, value: str) -> str:
        """Return what is known under a name; that is the value, where nothing was."""

        def settle(session: Session) -> str:
            row = session.get(Fact, name)
            if row is None:
                row = Fact(name=name, value=value)
                session.add(row)
                session.flush()  # of two at once, one finds here that it lost, and looks again
            return row.value

        return writing(self.engine, settle)

    def forget(self, name: str, value: str) -> None:
        """Forget a fact, unless it has become another one."""
        statement = delete(Fact).where(Fact.name == name, Fact.value == value)
        writing(self.engine, lambda session: session.execute(statement))

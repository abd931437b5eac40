"""Facts and secrets beside the records, each under a name: whoever writes first is right."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from merger.db.engine import reading, writing
from models import Fact, Secret


@dataclass(frozen=True)
class KeyValueStore:
    """Facts in a database. Names have at most 64 characters.

    table: of facts, or of secrets, which are encrypted in there.
    """

    engine: Engine
    table: type[Fact] | type[Secret] = Fact

    def get(self, name: str) -> str | None:
        """Return the value of a name, if it has one."""
        with reading(self.engine) as session:
            return self._value(session, name)

    def get_or_set(self, name: str, value: str) -> str:
        """Return the value of a name; where it has none, it gets this one."""

        def settle(session: Session) -> str:
            known = self._value(session, name)
            if known is None:
                session.add(self.table(name=name, value=value))
                session.flush()  # of two at once, one finds here that it lost, and looks again
            return value if known is None else known

        return writing(self.engine, settle)

    def _value(self, session: Session, name: str) -> str | None:
        return session.scalar(select(self.table.value).where(self.table.name == name))

    def forget(self, name: str, value: str) -> None:
        """Remove a fact, unless it has become another one."""
        statement = delete(Fact).where(Fact.name == name, Fact.value == value)
        writing(self.engine, lambda session: session.execute(statement))

"""Whether files can be put where they go: the daemon tries it out, and `/readyz` tells.

Each destination is tried in a thread of its own, for a share may hang for ever. What was found is
kept in the database, without the names of folders and hosts, which are in the log alone.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Select, select
from sqlalchemy.orm import Session

from merger.db.engine import reading, writing
from merger.errors import MergerError
from merger.i18n import Message, from_json, to_json
from merger.ports.destination import CanBeTried
from models import Fact

log = logging.getLogger(__name__)

TRY_EVERY = timedelta(minutes=1)
_OLD = timedelta(minutes=3)  # what is older says nothing about now
_KEEP = timedelta(days=1)
_PREFIX = "destination:"
_LONGEST = 64 - len(_PREFIX)  # of a name: the width of the column

_OK, _SILENT = Message("monitoring.ok"), Message("monitoring.silent")
_NOT_WRITABLE, _AWAY = Message("monitoring.not_writable"), Message("monitoring.away")


@dataclass(frozen=True)
class Result:
    """What a trial found. is_remote: it was tried by reading, and a service elsewhere answers."""

    destination: str
    is_remote: bool
    message: Message

    @property
    def is_ok(self) -> bool:
        return self.message == _OK


class _Trial(threading.Thread):
    """A trial of one destination, which may never end."""

    def __init__(self, destination: CanBeTried) -> None:
        super().__init__(name="destination", daemon=True)
        self._destination = destination
        self.why: str | None = None  # it failed
        self._found = _SILENT

    def run(self) -> None:
        try:
            self._destination.try_out()
        except Exception as error:  # whatever it is: nothing can be put there
            self.why = str(error)
            self._found = _AWAY if self._destination.is_remote else _NOT_WRITABLE
        else:
            self._found = _OK

    @property
    def result(self) -> Result:
        return Result(self._destination.name, self._destination.is_remote, self._found)


@dataclass
class Trials:
    """The trials of the daemon on one machine, whose name tells them from those of others."""

    machine: str
    _running: list[_Trial] = field(default_factory=list)
    _begun_at: datetime | None = None
    _told: dict[str, bool] = field(default_factory=dict)  # whether it was well, in the log

    def go_on(self, engine: Engine, destinations: Sequence[object], now: datetime) -> None:
        """Write down what trials have found, and begin new ones, at most once a minute."""
        is_due = self._begun_at is None or abs(now - self._begun_at) >= TRY_EVERY
        for trial in [trial for trial in self._running if is_due or not trial.is_alive()]:
            self._log_change(trial)
            _write(engine, trial.result, self.machine, now)
            if not trial.is_alive():
                self._running.remove(trial)
        if not is_due:
            return
        self._begun_at = now
        busy = {trial.result.destination for trial in self._running}  # which hang
        for destination in destinations:
            if isinstance(destination, CanBeTried) and destination.name not in busy:
                trial = _Trial(destination)
                trial.start()
                self._running.append(trial)

    def _log_change(self, trial: _Trial) -> None:
        """Log what has changed since the last trial of a destination."""
        result = trial.result
        if self._told.get(result.destination, True) == result.is_ok:
            return
        self._told[result.destination] = result.is_ok
        if result.is_ok:
            log.info("destination %s: it can be used again", result.destination)
        else:
            log.warning("destination %s: %s", result.destination, trial.why or result.message)


def _write(engine: Engine, result: Result, machine: str, now: datetime) -> None:
    name = f"{_PREFIX}{f'{result.destination}:{machine}'[:_LONGEST]}"
    document = {
        "at": now.isoformat(), "destination": result.destination, "remote": result.is_remote,
        **to_json(result.message),
    }  # fmt: skip
    value = json.dumps(document)

    def write(session: Session) -> None:
        fact = session.get(Fact, name)
        if fact is not None:
            fact.value = value
            return
        for other in session.scalars(_all()):
            if _age(json.loads(other.value), now) > _KEEP:
                session.delete(other)
        session.add(Fact(name=name, value=value))

    writing(engine, write)


def results(engine: Engine, now: datetime) -> list[Result]:
    """Return what daemons found lately; of a destination that one of them cannot use, that."""
    with reading(engine) as session:
        documents = [json.loads(fact.value) for fact in session.scalars(_all().order_by(Fact.name))]
    found: dict[str, Result] = {}
    for document in documents:
        if _age(document, now) > _OLD:
            continue
        result = Result(document["destination"], document["remote"], from_json(document))
        if result.destination not in found or not result.is_ok:
            found[result.destination] = result
    return list(found.values())


def remote_checks(engine: Engine, now: datetime) -> dict[str, Message]:
    """Return how remote destinations are, as `/readyz` names them; nothing without a database."""
    try:
        return checks_of([result for result in results(engine, now) if result.is_remote])
    except MergerError:
        return {}


def checks_of(found: Sequence[Result]) -> dict[str, Message]:
    """Return results as `/readyz` names them. Pure."""
    return {f"{result.destination}_destination": result.message for result in found}


def _age(document: Mapping[str, Any], now: datetime) -> timedelta:
    return abs(now - datetime.fromisoformat(document["at"]))


def _all() -> Select[Fact]:
    return select(Fact).where(Fact.name.startswith(_PREFIX))

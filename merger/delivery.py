"""Delivering the renditions of a record: look, act, write down; repeated after any crash."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Engine

from merger import ledger
from merger.failpoints import reached
from merger.queue import Claim


@dataclass(frozen=True)
class Shelf:
    """Where something lies in a destination that has folders, and who may see it there.

    folder: of the room, as it is configured. day: on which the record starts, in the room's zone.
    readers: mail addresses. below: names of folders between that of the room and that of the day.
    """

    room: str
    folder: str | None
    day: date
    readers: tuple[str, ...] = ()
    below: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parcel:
    """A rendition on its way: what it is called there, and the file, which has been checked.

    record: whose it is; None for a file of no record.
    """

    version: int
    kind: str
    name: str
    path: Path
    size_bytes: int
    sha256: str
    shelf: Shelf | None = None
    record: int | None = None


def _not_told(note: str) -> None:
    """Leave a note unsaid."""


@dataclass(frozen=True)
class Fence:
    """What a destination asks on its way.

    keep: writes down what is needed to go on after a crash; called before the outside call that it
    is about. check: cheap, between blocks; raises where somebody asked to stop. confirm: asks the
    database, before anything becomes visible; raises where the record is no longer ours. attempt:
    whoever comes with a higher one has taken the record over, even from us. note: adds a line to
    the history of the record: of what was left out, and is no failure.
    """

    keep: Callable[[Mapping[str, Any]], None]
    check: Callable[[], None]
    confirm: Callable[[], None]
    attempt: int = 0
    note: Callable[[str], None] = _not_told


class Destination(Protocol):
    """Somewhere that renditions go. Every error is Temporary, Refused or Broken."""

    @property
    def name(self) -> str:
        """Its name in the ledger, for ever."""

    def is_foreign(self, name: str) -> bool:
        """Return whether something lies under a name (asked only about names not reserved yet)."""

    def send(self, parcel: Parcel, state: Mapping[str, Any], fence: Fence) -> str:
        """Put a parcel there, whole and checked, and return its link.

        Idempotent: what is there already is not sent again; what lies there of an earlier version
        is replaced in one step. state: what was kept last.
        """

    def remove(self, name: str, state: Mapping[str, Any]) -> None:
        """Remove what an earlier version had put there; gone already is as good."""


def deliver(
    engine: Engine,
    held: Claim,
    destination: Destination,
    parcels: Sequence[Parcel],
    now: Callable[[], datetime],
    check: Callable[[], None],
    confirm: Callable[[], None],
) -> list[str]:
    """Bring all renditions of a version to a destination, and return their links.

    parcels: their names are wishes; another is taken where somebody has that already. check,
    confirm: those of the fence.
    """
    links = []
    known = ledger.entries(engine, held.record, destination.name)

    def note(text: str) -> None:
        ledger.note(engine, held, now(), text)

    for parcel in parcels:
        entry = known.get(parcel.kind)
        name = ledger.reserve(
            engine, held, destination.name, parcel.kind, _names(parcel.name),
            destination.is_foreign,
        )  # fmt: skip
        reached("deliver.reserved")

        def keep(state: Mapping[str, Any], kind: str = parcel.kind) -> None:
            ledger.keep(engine, held, destination.name, kind, state)

        def confirm_this(entry: ledger.Entry | None = entry, parcel: Parcel = parcel) -> None:
            confirm()
            if entry is not None and entry.version not in (None, parcel.version):
                ledger.replacing(engine, held, destination.name, parcel.kind, parcel.version)

        link = destination.send(
            replace(parcel, name=name, record=held.record),
            entry.state if entry else {},
            Fence(keep, check, confirm_this, held.attempt, note),
        )
        reached("deliver.sent")
        ledger.done(
            engine, held, destination.name, parcel.kind, parcel.version, parcel.sha256, link, now()
        )
        reached("deliver.written")
        links.append(link)
    kinds = {parcel.kind for parcel in parcels}
    for kind, entry in known.items():
        if kind not in kinds:
            confirm()
            destination.remove(entry.name, entry.state)
            reached("deliver.removed")
            ledger.removed(engine, held, destination.name, kind)
    return links


def _names(wished: str) -> Iterator[str]:
    """Yield a name, and others like it."""
    stem, dot, extension = wished.rpartition(".")
    yield wished
    for n in count(2):
        yield f"{stem}_{n}{dot}{extension}"

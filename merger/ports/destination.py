"""What the service needs of a place that files go to, and what it hands over with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from merger.i18n import Message


@dataclass(frozen=True)
class Placement:
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
class Upload:
    """A rendition on its way: what it is called there, and the file, which has been checked.

    record: whose it is; None for a file of no record. description: what people wrote about it.
    """

    version: int
    kind: str
    name: str
    path: Path
    size_bytes: int
    sha256: str
    placement: Placement | None = None
    record: int | None = None
    description: str = ""


@dataclass(frozen=True)
class Renaming:
    """A rendition that is there, and that gets another name, or another description.

    name: as it is to be called. former: names under which it may lie until then. sha256: of its
    content. kind, record, description: as of an `Upload`.
    """

    name: str
    former: tuple[str, ...]
    sha256: str
    kind: str
    record: int
    description: str = ""


class NameTaken(Exception):
    """Somebody else's file has the name, since it was reserved."""


def _drop_note(note: Message) -> None:
    """Drop a note: nobody keeps a history here."""


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
    note: Callable[[Message], None] = _drop_note


class Destination(Protocol):
    """Somewhere that renditions go. Every error is Temporary, Refused or Broken."""

    @property
    def name(self) -> str:
        """Its name in the ledger, for ever."""

    def is_foreign(self, name: str) -> bool:
        """Return whether something lies under a name (asked only about names not reserved yet)."""

    def send(self, upload: Upload, state: Mapping[str, Any], fence: Fence) -> str:
        """Put a rendition there, whole and checked, and return its link.

        Idempotent: what is there already is not sent again; what lies there of an earlier version
        is replaced in one step. state: what was kept last.
        """

    def rename(self, renaming: Renaming, state: Mapping[str, Any], fence: Fence) -> str | None:
        """Give what is there its name and description; return its link, None if it is gone.

        Idempotent: what has them already keeps them. Nobody else's file is touched.

        Raises:
            NameTaken: where names are unique.
        """

    def remove(self, name: str, state: Mapping[str, Any]) -> None:
        """Remove what an earlier version had put there; gone already is as good."""


@runtime_checkable
class CanBeTried(Protocol):
    """A destination that can find out whether it would take a file."""

    @property
    def name(self) -> str:
        """Its name in the ledger."""

    @property
    def is_remote(self) -> bool:
        """Whether a service elsewhere answers: it is tried by reading, for calls are counted."""

    def try_out(self) -> None:
        """Find out whether a file could be put there. Raises MergerError where it could not."""


class RawDestination(Protocol):
    """Somewhere that segments go. Refused is for ever; every other error may pass."""

    @property
    def name(self) -> str:
        """Its name in the table of uploads, for ever."""

    def put(
        self,
        path: Path,
        room: str,
        day: date,
        name: str,
        sha256: str,
        state: Mapping[str, Any],
        keep: Callable[[Mapping[str, Any]], None],
    ) -> str:
        """Put a file there, whole and checked, and return its link.

        Idempotent: what is there already is not sent again. room, day: where it lies. state: what
        was kept last. keep: writes down what is needed to go on after a crash; called before the
        outside call that it is about.
        """


@runtime_checkable
class GrantsAccess(Protocol):
    """A destination that knows who may read."""

    @property
    def name(self) -> str:
        """Its name in the ledger."""

    def let_read(
        self,
        state: Mapping[str, Any],
        readers: Sequence[str],
        check: Callable[[], None],
        note: Callable[[Message], None],
        keep: Callable[[Mapping[str, Any]], None],
    ) -> None:
        """Let people read what is there, who may not yet. keep: takes the state after each."""

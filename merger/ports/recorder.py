"""What the service needs of a recorder: a room's source, the media it has, and collecting it.

`recorders/base.py` is the other side of this contract.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, runtime_checkable
from zoneinfo import ZoneInfo

from merger.i18n import Message
from merger.mail_address import normal_form
from merger.timeline.captions import Transcript
from merger.timeline.clock import Span


@dataclass(frozen=True)
class Leave:
    """Which recordings of people, such as of meetings, a record may show.

    email: of the person whose own it may show. span: it may show what lies in there, whoever's it
    is: the record has had it before. origins: of recordings that it may show in any case.
    """

    email: str
    span: Span | None = None
    origins: frozenset[str] = frozenset()

    def covers(self, origin: str, owner: str, span: Span | None) -> bool:
        """Return whether a recording may be shown.

        Args:
            origin: its name among all of its kind.
            owner: a mail address, or empty.
            span: of all of it; None where it is not known yet.
        """
        if origin in self.origins or normal_form(owner) == self.email:
            return True
        return span is not None and self.span is not None and is_mostly_in(span, self.span)


def is_mostly_in(span: Span, other: Span) -> bool:
    """Return whether at least half of a span lies in another, as of a lecture that ran over."""
    return 2 * span.cut_to(other).length >= span.length


@dataclass(frozen=True)
class SourceOfRoom:
    """A source as its recorder sees it. credentials: in a form that only the recorder knows.

    id: its number in the tables, by which its recordings are found whatever it is called; None
    where it is not in there. leave: which recordings of people may be taken; None: all.
    """

    room: str
    name: str
    role: str
    kind: str
    address: str
    zone: ZoneInfo
    credentials: str | None = field(default=None, repr=False)
    id: int | None = None
    leave: Leave | None = None


@dataclass(frozen=True)
class Item:
    """One piece of media that exists where a recorder looks.

    origin: its name among all of its source, for ever. fingerprint: changes when its content does.
    end: as far as it is known without reading the file. settled: nothing is being added to it.
    """

    origin: str
    fingerprint: str
    start: datetime
    end: datetime | None
    size_bytes: int
    settled: bool


@dataclass(frozen=True)
class Found:
    """What exists of a span, in order of time, and whether more of it may still appear.

    more_expected: something is still growing, or the media does not reach over the whole span and
    whoever records it may not have finished. notes: for people, about what is strange or missing.
    """

    items: tuple[Item, ...]
    more_expected: bool
    notes: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Collected:
    """A complete file that was collected, with its sidecar beside it where it has one."""

    item: Item
    path: Path


@dataclass(frozen=True)
class Probe:
    """What a source was seen to have. found: a sentence. jpeg: its picture, where there is one."""

    found: Message
    jpeg: bytes | None = field(default=None, repr=False)


class Recorder(Protocol):
    """One kind of source. Every error is Temporary (later may help), Refused or Broken (never).

    An error about the source itself is a message with the parameters `source`, its name, and `why`:
    whoever shows it beside the source shows `why` alone.
    """

    @property
    def settle(self) -> timedelta:
        """How long after a record's end its media may still be expected to appear."""

    def check(self, source: SourceOfRoom) -> None:
        """Raise Invalid where the address, or the credentials, make no sense."""

    def find(self, source: SourceOfRoom, span: Span, now: datetime) -> Found:
        """Return what exists of a span. Changes nothing."""

    def collect(
        self,
        source: SourceOfRoom,
        span: Span,
        into: Path,
        now: datetime,
        cancelled: Callable[[], bool],
    ) -> list[Collected]:
        """Collect the settled items of a span into a folder; return all that are complete there.

        Each is complete under a name of its own or not there at all. Called again, it collects only
        what is not there yet; an item whose content changed gets another name. An item that
        vanishes or changes meanwhile is left out.

        Raises:
            Cancelled: `cancelled` says so.
        """


@runtime_checkable
class FillsRoles(Protocol):
    """A recorder of which one source has media for several roles, and knows what is shared."""

    @property
    def fills(self) -> tuple[str, ...]:
        """The roles of a room that a source fills beside its own, where nothing else has them."""


@runtime_checkable
class ChecksCredentials(Protocol):
    """A recorder that can check the credentials of a source whatever its address is."""

    def check_credentials(self, source: SourceOfRoom) -> None:
        """Raise Invalid where the credentials make no sense, as `check` does after the address."""


@runtime_checkable
class CanBeProbed(Protocol):
    """A recorder that can look at a source at once, whatever is to be recorded."""

    def probe(self, source: SourceOfRoom, now: datetime, within: timedelta) -> Probe:
        """Return what a source has now, and its picture where that takes no longer.

        Args:
            source: as `check` accepts it; it need not be in the tables.
            within: how long somebody waits.

        Raises:
            MergerError: the source cannot be reached, or has nothing, and why.
        """


@runtime_checkable
class RecordsLive(Protocol):
    """A recorder of sources that are recorded here, as things happen."""

    def is_always_recorded(self, source: SourceOfRoom) -> bool:
        """Return whether a source is recorded all the time, not only while its room is booked."""


@runtime_checkable
class ReportsMissing(Protocol):
    """A recorder that sees at once, without a network, whether a source can have media."""

    def missing(self, source: SourceOfRoom) -> Message | None:
        """Return what is missing where a source's media is to be; None where nothing is."""


@runtime_checkable
class HasTranscripts(Protocol):
    """A recorder that has more of a span than media: transcripts and chats, to be read."""

    def collect_transcripts(
        self, source: SourceOfRoom, span: Span, into: Path, cancelled: Callable[[], bool]
    ) -> list[Transcript]:
        """Collect them into a folder, each complete or not at all; return those there."""


@runtime_checkable
class HasViews(Protocol):
    """A recorder that has recorded the same in several views, of which a record shows some."""

    def collect_views(
        self,
        source: SourceOfRoom,
        span: Span,
        into: Path,
        cancelled: Callable[[], bool],
    ) -> list[Collected]:
        """Collect all views of a span into a folder, as `collect` does; return those there."""

    def view_of(self, origin: str) -> str:
        """Return the name of the view that an item is, fit for a file's name. Pure."""


def fills_roles(recorder: Recorder) -> tuple[str, ...]:
    """Return the roles that a source of a recorder fills beside its own."""
    return recorder.fills if isinstance(recorder, FillsRoles) else ()
